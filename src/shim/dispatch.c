/* SPDX-License-Identifier: MIT */
/*
 * Trapped system calls. The handler runs the before-hook (all signals are blocked, we are on the alternate stack), puts
 * a frame on the program's stack and edits the saved context, so that the thread resumes in the trampoline. That makes
 * the call through libc, in the allowed range, with the selector on, in ordinary context: what interrupts it, jumps out
 * of it or makes calls of its own meanwhile does as it would without us.
 */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "shim/frame.h"
#include "shim/inner.h"

#ifndef SYS_USER_DISPATCH
#define SYS_USER_DISPATCH 2
#endif

enum { RED_ZONE = 128 };

struct frame {
	uint64_t r8, r9, r10, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rsp, rip, flags;
	long result;
	struct call call;
};
_Static_assert(offsetof(struct frame, r15) == FRAME_R15, "frame.h");
_Static_assert(offsetof(struct frame, rsp) == FRAME_RSP, "frame.h");
_Static_assert(offsetof(struct frame, result) == FRAME_RESULT, "frame.h");
_Static_assert(offsetof(struct thread, selector) == 0 && offsetof(struct thread, vforked) == 2, "trampoline.S");

void trampoline_run(void);
void trampoline_new_stack(void);
void trampoline_same_stack(void);
void dispatch_run(struct frame *frame);

uint64_t dispatch_restorer;
SHIM_TLS uint64_t dispatch_return; /* where a fork-like call goes on */

/* In the trampoline. */
void dispatch_run(struct frame *frame)
{
	struct call *call = &frame->call;

	if (!call->skip)
		call->result = shim_sys(call->number, (long)call->args[0], (long)call->args[1], (long)call->args[2],
					(long)call->args[3], (long)call->args[4], (long)call->args[5]);
	if (!call->off)
		call_after(call);
	frame->result = call->result;
}

static void registers_of(const greg_t *g, uint64_t out[17])
{
	static const uint8_t order[17] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
					   REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
					   REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP };

	for (int i = 0; i < 17; i++)
		out[i] = (uint64_t)g[order[i]];
}

static void save_registers(const greg_t *g, struct frame *frame)
{
	frame->r8 = (uint64_t)g[REG_R8];
	frame->r9 = (uint64_t)g[REG_R9];
	frame->r10 = (uint64_t)g[REG_R10];
	frame->r12 = (uint64_t)g[REG_R12];
	frame->r13 = (uint64_t)g[REG_R13];
	frame->r14 = (uint64_t)g[REG_R14];
	frame->r15 = (uint64_t)g[REG_R15];
	frame->rdi = (uint64_t)g[REG_RDI];
	frame->rsi = (uint64_t)g[REG_RSI];
	frame->rbp = (uint64_t)g[REG_RBP];
	frame->rbx = (uint64_t)g[REG_RBX];
	frame->rdx = (uint64_t)g[REG_RDX];
	frame->rsp = (uint64_t)g[REG_RSP];
	frame->rip = (uint64_t)g[REG_RIP];
	frame->flags = (uint64_t)g[REG_EFL];
}

/* The context resumes in the trampoline. */
static void divert(greg_t *g)
{
	struct frame *frame =
		(struct frame *)(((uint64_t)g[REG_RSP] - RED_ZONE - sizeof(struct frame)) & ~UINT64_C(15));
	struct call *call = &frame->call;
	uint64_t registers[17];

	save_registers(g, frame);
	registers_of(g, registers);
	*call = (struct call){ .number = g[REG_RAX],
			       .args = { (uint64_t)g[REG_RDI], (uint64_t)g[REG_RSI], (uint64_t)g[REG_RDX],
					 (uint64_t)g[REG_R10], (uint64_t)g[REG_R8], (uint64_t)g[REG_R9] },
			       .registers = registers,
			       .trapped = 1 };
	call_before(call);
	call->registers = NULL;
	g[REG_RSP] = (greg_t)frame;
	g[REG_RIP] = (greg_t)trampoline_run;
}

/* Calls from which a second thread of control comes back are instructions of our own, with the selector off. */
static void fork_like(greg_t *g, bool new_stack, uint64_t child_stack)
{
	if (new_stack) {
		*(uint64_t *)((uint64_t)g[REG_RSP] - 136) = (uint64_t)g[REG_RIP];
		*(uint64_t *)(child_stack - 8) = (uint64_t)g[REG_RIP];
		g[REG_RIP] = (greg_t)trampoline_new_stack;
	} else {
		dispatch_return = (uint64_t)g[REG_RIP];
		g[REG_RIP] = (greg_t)trampoline_same_stack;
	}
	shim_self.selector = 0;
}

static bool is_fork_like(greg_t *g)
{
	struct clone_args args = { 0 };
	uint64_t stack;

	switch (g[REG_RAX]) {
	case SYS_fork:
	case SYS_vfork:
		fork_like(g, false, 0);
		return true;
	case SYS_clone:
		stack = (uint64_t)g[REG_RSI];
		fork_like(g, stack && stack != (uint64_t)g[REG_RSP], stack);
		return true;
	case SYS_clone3:
		if (shim_peek(&args, (uint64_t)g[REG_RDI], 64 /* CLONE_ARGS_SIZE_VER0 */) != 64)
			return false;
		fork_like(g, args.stack != 0, args.stack + args.stack_size);
		return true;
	}
	return false;
}

void dispatch_handler(int number, siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	int saved = errno;

	if (info->si_code != SYS_USER_DISPATCH) {
		signals_foreign_sigsys(number, info, context);
		return;
	}
	shim_self.selector = 0;
	shim_self.in_handler = 1;
	if (g[REG_RAX] == SYS_rt_sigreturn) {
		g[REG_RIP] = (greg_t)dispatch_restorer;
		shim_self.selector = 1;
	} else if (!is_fork_like(g)) {
		divert(g);
		shim_self.selector = 1;
	}
	shim_self.in_handler = 0;
	errno = saved;
}
