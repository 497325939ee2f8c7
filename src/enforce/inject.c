/* SPDX-License-Identifier: MIT */
#include "enforce/inject.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum {
	SYSCALL_BYTES = 2,   /* of the instruction */
	SYSCALL_STOP = 0x80, /* PTRACE_O_TRACESYSGOOD */
	KERNEL_SIGSET_BYTES = 8,
	MAX_STOPS = 64, /* stops for other reasons that are passed by */
};

static int trace(int request, const struct injection *injection, uintptr_t address, const void *data)
{
	return ptrace(request, injection->thread, (void *)address, (void *)data) < 0 ? -errno : 0;
}

/* The next stop, or INJECT_GONE. */
static int next_stop(struct injection *injection, int *ret_status)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(injection->thread, &status, __WALL);
	while (pid < 0 && errno == EINTR);
	if (pid < 0)
		return errno == ECHILD ? INJECT_GONE : -errno;
	if (!WIFSTOPPED(status))
		return INJECT_GONE;
	injection->stopped = true;
	*ret_status = status;
	return 0;
}

static bool is_trap(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP;
}

int inject_begin(struct injection *injection, pid_t thread)
{
	int r;

	*injection = (struct injection){ .thread = thread };
	r = trace(PTRACE_SEIZE, injection, 0, (void *)PTRACE_O_TRACESYSGOOD);
	if (r < 0) {
		injection->thread = 0;
		return r;
	}
	return trace(PTRACE_INTERRUPT, injection, 0, NULL);
}

static int hold_signals(struct injection *injection, uint64_t mask)
{
	return trace(PTRACE_SETSIGMASK, injection, KERNEL_SIGSET_BYTES, &mask);
}

int inject_await(struct injection *injection, uint64_t call, uint64_t instruction, int64_t result)
{
	struct user_regs_struct *regs = &injection->before;
	int status, r = next_stop(injection, &status);

	if (r)
		return r;
	r = is_trap(status) ? trace(PTRACE_GETREGS, injection, 0, regs) : -EPROTO;
	if (r < 0)
		return r;
	return regs->orig_rax == call && regs->rip == instruction && (int64_t)regs->rax == result ? 0 : -EPROTO;
}

/* On to the next end of a system call's beginning or end. */
static int to_syscall(struct injection *injection)
{
	for (unsigned int i = 0; i < MAX_STOPS; i++) {
		int status, r = trace(PTRACE_SYSCALL, injection, 0, NULL);

		if (r == 0) {
			injection->stopped = false;
			r = next_stop(injection, &status);
		}
		if (r)
			return r;
		if (WSTOPSIG(status) == (SIGTRAP | SYSCALL_STOP))
			return 0;
	}
	return -EPROTO;
}

static int run_call(struct injection *injection, uint64_t call, const uint64_t args[4], int64_t *ret_result)
{
	struct user_regs_struct regs = injection->before;
	int r;

	regs.rip -= SYSCALL_BYTES;
	regs.orig_rax = UINT64_MAX; /* nothing to restart */
	regs.rax = call;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	r = trace(PTRACE_SETREGS, injection, 0, &regs);
	if (r == 0)
		r = to_syscall(injection);
	if (r == 0)
		r = to_syscall(injection);
	if (r == 0)
		r = trace(PTRACE_GETREGS, injection, 0, &regs);
	if (r == 0)
		*ret_result = (int64_t)regs.rax;
	return r;
}

int inject_call(struct injection *injection, uint64_t call, const uint64_t args[4], int64_t *ret_result)
{
	uint64_t mask = 0;
	int r = trace(PTRACE_GETSIGMASK, injection, KERNEL_SIGSET_BYTES, &mask), put_back;

	if (r == 0)
		r = hold_signals(injection, UINT64_MAX);
	if (r < 0)
		return r;
	r = run_call(injection, call, args, ret_result);
	if (r == INJECT_GONE)
		return r;
	put_back = trace(PTRACE_SETREGS, injection, 0, &injection->before);
	if (put_back == 0)
		put_back = hold_signals(injection, mask);
	return r ? r : put_back;
}

void inject_change_result(struct injection *injection, int64_t result)
{
	injection->before.rax = (uint64_t)result;
	(void)trace(PTRACE_SETREGS, injection, 0, &injection->before);
}

void inject_end(struct injection *injection)
{
	int status;

	if (!injection->thread)
		return;
	if (injection->stopped || next_stop(injection, &status) == 0)
		(void)trace(PTRACE_DETACH, injection, 0, NULL);
	injection->thread = 0;
}
