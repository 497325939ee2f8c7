/* SPDX-License-Identifier: MIT */
#include "enforce/inject.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum {
	SYSCALL_BYTES = 2,   /* of the instruction */
	SYSCALL_STOP = 0x80, /* PTRACE_O_TRACESYSGOOD */
	KERNEL_SIGSET_BYTES = 8,
	KERNEL_RESTARTSYS = 512, /* what an interrupted call leaves in the register for the kernel's own eyes */
	MAX_STOPS = 64,          /* stops for other reasons that are passed by */
};

static int trace(int request, const struct injection *injection, uintptr_t address, const void *data)
{
	return ptrace(request, injection->thread, (void *)address, (void *)data) < 0 ? -errno : 0;
}

static int wait_for(struct injection *injection, int flags)
{
	pid_t pid;

	do
		pid = waitpid(injection->thread, &injection->status, flags | __WALL);
	while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return INJECT_RUNNING;
	if (pid < 0)
		return errno == ECHILD ? INJECT_GONE : -errno;
	injection->stopped = WIFSTOPPED(injection->status);
	return injection->stopped ? 0 : INJECT_GONE;
}

int inject_begin(struct injection *injection, pid_t thread)
{
	int r;

	*injection = (struct injection){ .thread = thread };
	r = trace(PTRACE_SEIZE, injection, 0, (void *)PTRACE_O_TRACESYSGOOD);
	if (r < 0)
		injection->thread = 0;
	return r;
}

int inject_stop(struct injection *injection)
{
	return trace(PTRACE_INTERRUPT, injection, 0, NULL);
}

static int go_on(struct injection *injection, int request, int signal)
{
	int r = trace(request, injection, 0, (void *)(uintptr_t)signal);

	injection->stopped = r < 0;
	return r == -ESRCH ? INJECT_GONE : r;
}

static int hold_signals(struct injection *injection)
{
	const uint64_t all = UINT64_MAX;
	int r;

	if (injection->held)
		return 0;
	r = trace(PTRACE_GETSIGMASK, injection, KERNEL_SIGSET_BYTES, &injection->mask);
	if (r == 0)
		r = trace(PTRACE_SETSIGMASK, injection, KERNEL_SIGSET_BYTES, &all);
	injection->held = r == 0;
	return r;
}

/* That it stopped for, and that is lost unless it goes on with it; 0 = none. */
static int signal_of(const struct injection *injection)
{
	int signal = WSTOPSIG(injection->status);

	return injection->status >> 16 || signal == (SIGTRAP | SYSCALL_STOP) ? 0 : signal;
}

/* Where a signal came first, the kernel puts it back, for by then it is blocked, and stops it as it was told. */
static int await_stop(struct injection *injection)
{
	for (unsigned int i = 0; i < MAX_STOPS; i++) {
		int r = injection->stopped ? 0 : wait_for(injection, 0);

		if (r || injection->status >> 16 == PTRACE_EVENT_STOP)
			return r;
		r = hold_signals(injection);
		if (r == 0)
			r = inject_stop(injection);
		if (r == 0)
			r = go_on(injection, PTRACE_CONT, signal_of(injection));
		if (r)
			return r;
	}
	return -EPROTO;
}

static bool is_back(const struct user_regs_struct *regs, const struct inject_call *call, uint64_t instruction)
{
	int64_t result = (int64_t)regs->rax;

	return regs->orig_rax == call->number && regs->rip == instruction && regs->rdi == call->args[0] &&
	       regs->rsi == call->args[1] && (result == -EAGAIN || result == -KERNEL_RESTARTSYS);
}

int inject_take(struct injection *injection, const struct inject_call *call, uint64_t instruction, bool kill)
{
	uintptr_t options = PTRACE_O_TRACESYSGOOD | (kill ? PTRACE_O_EXITKILL : 0);
	int r = await_stop(injection);

	if (r == 0)
		r = trace(PTRACE_GETREGS, injection, 0, &injection->before);
	if (r == 0 && !is_back(&injection->before, call, instruction))
		r = -EPROTO;
	if (r == 0)
		r = trace(PTRACE_SETOPTIONS, injection, 0, (void *)options);
	if (r == 0)
		r = hold_signals(injection);
	injection->placed = r == 0;
	return r;
}

/* SIGSTOP alone can be held by nobody: the others of the process heed it at once, this thread when it is left. */
static int run_on(struct injection *injection)
{
	return go_on(injection, PTRACE_SYSCALL, signal_of(injection) == SIGSTOP ? SIGSTOP : 0);
}

/* Up to the beginning or the end of a system call. */
static int await_syscall(struct injection *injection)
{
	for (unsigned int i = 0; i < MAX_STOPS; i++) {
		int r = injection->stopped ? 0 : wait_for(injection, 0);

		if (r)
			return r;
		if (WSTOPSIG(injection->status) == (SIGTRAP | SYSCALL_STOP))
			return 0;
		r = run_on(injection);
		if (r)
			return r;
	}
	return -EPROTO;
}

/* The program may have written over the instruction; then it makes what call it likes, and that is not ours. */
static int read_call(struct injection *injection, uint64_t number, struct user_regs_struct *regs)
{
	int r = trace(PTRACE_GETREGS, injection, 0, regs);

	return r < 0 ? r : regs->orig_rax == number && regs->rip == injection->before.rip ? 0 : -EPROTO;
}

int inject_start(struct injection *injection, const struct inject_call *call)
{
	struct user_regs_struct regs = injection->before;
	int r;

	regs.rip -= SYSCALL_BYTES;
	regs.orig_rax = UINT64_MAX; /* nothing to restart */
	regs.rax = call->number;
	regs.rdi = call->args[0];
	regs.rsi = call->args[1];
	regs.rdx = call->args[2];
	regs.r10 = call->args[3];
	r = trace(PTRACE_SETREGS, injection, 0, &regs);
	if (r == 0)
		r = run_on(injection);
	if (r == 0)
		r = await_syscall(injection);
	if (r == 0)
		r = read_call(injection, call->number, &regs);
	return r ? r : run_on(injection);
}

int inject_look(struct injection *injection)
{
	int r = injection->stopped ? 0 : wait_for(injection, WNOHANG);

	return r == 0 ? INJECT_STOPPED : r;
}

int inject_finish(struct injection *injection, int64_t *ret_result)
{
	struct user_regs_struct regs;
	int r = await_syscall(injection);

	if (r == 0)
		r = trace(PTRACE_GETREGS, injection, 0, &regs);
	if (r == 0 && regs.rip != injection->before.rip)
		r = -EPROTO;
	if (r == 0)
		*ret_result = (int64_t)regs.rax;
	return r;
}

void inject_return(struct injection *injection, int64_t result)
{
	injection->before.rax = (uint64_t)result;
}

/* One that was killed while it stood is ours to reap: until then its parent's wait would hang. */
void inject_end(struct injection *injection)
{
	bool ended = !injection->thread;

	if (!ended && !injection->stopped)
		(void)inject_stop(injection);
	for (unsigned int i = 0; i < MAX_STOPS && !ended; i++) {
		if (!injection->stopped && wait_for(injection, 0) != 0)
			break;
		if (injection->placed)
			(void)trace(PTRACE_SETREGS, injection, 0, &injection->before);
		if (injection->held)
			(void)trace(PTRACE_SETSIGMASK, injection, KERNEL_SIGSET_BYTES, &injection->mask);
		ended = trace(PTRACE_DETACH, injection, 0, (void *)(uintptr_t)signal_of(injection)) == 0;
		injection->stopped = false;
	}
	injection->thread = 0;
}
