/* SPDX-License-Identifier: MIT */
/*
 * SIGSYS stays ours and unblocked (blocked, it would kill), and it finds an alternate stack; the program is told what
 * it would see without us: its own handler for SIGSYS, its masks as it set them, its own alternate stack.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/inner.h"

#define SIGSYS_BIT (UINT64_C(1) << (SIGSYS - 1))

enum { SMALLEST_STACK = 12288 };

struct kernel_action {
	uint64_t handler, flags, restorer, mask;
};

static struct sigaction program_action; /* for SIGSYS */
static uint64_t masked;                 /* signals whose handlers asked to have SIGSYS blocked */
static bool ours;

void signals_install_stack(void)
{
	struct thread_more *more = shim_self.more;
	stack_t now;

	if (SYS2(SYS_sigaltstack, 0, &now) == 0 && !(now.ss_flags & SS_DISABLE) && now.ss_sp != more->own_stack.ss_sp)
		more->program_stack = now;
	if (more->program_stack.ss_flags & SS_DISABLE || more->program_stack.ss_size < SMALLEST_STACK)
		SYS2(SYS_sigaltstack, &more->own_stack, 0);
}

static bool inside(const stack_t *stack, uint64_t sp)
{
	return !(stack->ss_flags & SS_DISABLE) && sp - (uint64_t)stack->ss_sp < stack->ss_size;
}

static long alt_stack(const stack_t *set, stack_t *old)
{
	struct thread_more *more = shim_self.more;
	stack_t before = more->program_stack;
	bool on_it = inside(&before, (uint64_t)__builtin_frame_address(0));
	long r = 0;

	if (set && on_it)
		return -EPERM;
	if (set && set->ss_flags & SS_DISABLE) {
		r = SYS2(SYS_sigaltstack, &more->own_stack, 0);
		more->program_stack = (stack_t){ .ss_flags = SS_DISABLE };
	} else if (set) {
		r = SYS2(SYS_sigaltstack, set, 0);
		if (r == 0)
			more->program_stack = *set;
		if (r == 0 && set->ss_size < SMALLEST_STACK)
			SYS2(SYS_sigaltstack, &more->own_stack, 0);
	}
	if (r == 0 && old) {
		*old = before;
		old->ss_flags = before.ss_flags & SS_DISABLE
					? SS_DISABLE
					: (before.ss_flags & ~SS_ONSTACK) | (on_it ? SS_ONSTACK : 0);
	}
	return r;
}

SHIM_EXPORT int sigaltstack(const stack_t *set, stack_t *old)
{
	long r;

	if (shim_off())
		return REAL_FUNCTION(sigaltstack)(set, old);
	r = alt_stack(set, old);
	if (r < 0)
		errno = (int)-r;
	return r < 0 ? -1 : 0;
}

/* ---- handlers ---- */

static int sigsys_action(const struct sigaction *set, struct sigaction *old)
{
	struct sigaction before = program_action;

	if (set) {
		program_action = *set;
		if (set->sa_handler != SIG_DFL)
			emit_notice(EVENT_NOTICE_SIGSYS,
				    "the program installed a handler for SIGSYS: it gets what is not Circlip's");
	}
	if (old)
		*old = before;
	return 0;
}

static void note_mask(int number, bool wanted)
{
	if (wanted)
		__atomic_fetch_or(&masked, UINT64_C(1) << (number - 1), __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&masked, ~(UINT64_C(1) << (number - 1)), __ATOMIC_RELAXED);
}

static bool noted(int number)
{
	return number > 0 && number <= 64 && masked >> (number - 1) & 1;
}

static int act(int (*real)(int, const struct sigaction *, struct sigaction *), int number, const struct sigaction *set,
	       struct sigaction *old)
{
	struct sigaction copy;
	bool before = noted(number);
	int r;

	if (!ours)
		return real(number, set, old);
	if (number == SIGSYS)
		return sigsys_action(set, old);
	if (set) {
		copy = *set;
		sigdelset(&copy.sa_mask, SIGSYS);
	}
	r = real(number, set ? &copy : NULL, old);
	if (r == 0 && old && before)
		sigaddset(&old->sa_mask, SIGSYS);
	if (r == 0 && set && number <= 64)
		note_mask(number, sigismember(&set->sa_mask, SIGSYS) == 1);
	return r;
}

SHIM_EXPORT int sigaction(int number, const struct sigaction *set, struct sigaction *old)
{
	return act(REAL_FUNCTION(sigaction), number, set, old);
}

int __sigaction(int number, const struct sigaction *set, struct sigaction *old);
SHIM_EXPORT int __sigaction(int number, const struct sigaction *set, struct sigaction *old)
{
	return act(REAL_FUNCTION(sigaction), number, set, old);
}

SHIM_EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	struct sigaction set = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;

	if (!ours || number != SIGSYS)
		return REAL_FUNCTION(signal)(number, handler);
	sigsys_action(&set, &old);
	return old.sa_handler;
}

/* A SIGSYS that is not the dispatch's: seccomp, kill. */
void signals_foreign_sigsys(int number, siginfo_t *info, void *context)
{
	struct sigaction action = program_action;
	struct sigaction fatal = { .sa_handler = SIG_DFL };

	if (action.sa_flags & SA_SIGINFO && action.sa_sigaction) {
		action.sa_sigaction(number, info, context);
	} else if (action.sa_handler == SIG_DFL) {
		ours = false;
		REAL_FUNCTION(sigaction)(SIGSYS, &fatal, NULL);
		SYS3(SYS_tgkill, shim_pid, shim_self.tid, SIGSYS);
	} else if (action.sa_handler != SIG_IGN) {
		action.sa_handler(number);
	}
}

/* ---- masks ---- */

static const sigset_t *without(const sigset_t *set, sigset_t *copy)
{
	if (!set || shim_off() || sigismember(set, SIGSYS) != 1)
		return set;
	*copy = *set;
	sigdelset(copy, SIGSYS);
	return copy;
}

/* What the program believes after a change. */
static void believe(int how, bool named)
{
	if (how == SIG_SETMASK)
		shim_self.sigsys_blocked = named;
	else if (named)
		shim_self.sigsys_blocked = how == SIG_BLOCK;
}

static int mask(int (*real)(int, const sigset_t *, sigset_t *), int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;
	bool before = shim_self.sigsys_blocked, named = set && sigismember(set, SIGSYS) == 1;
	int r;

	if (shim_off())
		return real(how, set, old);
	r = real(how, how == SIG_UNBLOCK ? set : without(set, &copy), old);
	if (r != 0)
		return r;
	if (set)
		believe(how, named);
	if (old && before)
		sigaddset(old, SIGSYS);
	return 0;
}

SHIM_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return mask(REAL_FUNCTION(sigprocmask), how, set, old);
}

SHIM_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return mask(REAL_FUNCTION(pthread_sigmask), how, set, old);
}

SHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *limit, const sigset_t *set)
{
	sigset_t copy;

	return REAL_FUNCTION(ppoll)(fds, n, limit, without(set, &copy));
}

SHIM_EXPORT int pselect(int n, fd_set *in, fd_set *out, fd_set *other, const struct timespec *limit,
			const sigset_t *set)
{
	sigset_t copy;

	return REAL_FUNCTION(pselect)(n, in, out, other, limit, without(set, &copy));
}

SHIM_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int n, int limit, const sigset_t *set)
{
	sigset_t copy;

	return REAL_FUNCTION(epoll_pwait)(fd, events, n, limit, without(set, &copy));
}

SHIM_EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int n, const struct timespec *limit,
			     const sigset_t *set)
{
	sigset_t copy;

	return REAL_FUNCTION(epoll_pwait2)(fd, events, n, limit, without(set, &copy));
}

SHIM_EXPORT int sigsuspend(const sigset_t *set)
{
	sigset_t copy;

	return REAL_FUNCTION(sigsuspend)(without(set, &copy));
}

/* ---- the same calls made as instructions: kernel layouts ---- */

static void poke(uint64_t to, const void *from, size_t bytes)
{
	memcpy((void *)to, from, bytes);
}

static void before_action(struct call *call)
{
	struct kernel_action *copy = (struct kernel_action *)call->scratch;
	struct sigaction set = { 0 };
	struct kernel_action old = { (uint64_t)program_action.sa_handler, (uint64_t)program_action.sa_flags };

	if (call->args[1] && shim_peek(copy, call->args[1], sizeof(*copy)) != sizeof(*copy))
		return;
	if (call->args[0] != SIGSYS) {
		if (!call->args[1])
			return;
		copy->mask &= ~SIGSYS_BIT;
		call->args[1] = (uint64_t)copy;
		return;
	}
	if (call->args[1]) {
		set.sa_handler = (sighandler_t)copy->handler;
		set.sa_flags = (int)copy->flags;
		sigsys_action(&set, NULL);
	}
	if (call->args[2])
		poke(call->args[2], &old, sizeof(old));
	call->skip = 1;
	call->result = 0;
}

static void before_mask(struct call *call)
{
	bool named =
		call->args[1] && shim_peek(&call->scratch[0], call->args[1], 8) == 8 && call->scratch[0] & SIGSYS_BIT;

	call->state[0] = shim_self.sigsys_blocked;
	call->state[1] = named;
	if (!named || call->args[0] == SIG_UNBLOCK)
		return;
	call->scratch[0] &= ~SIGSYS_BIT;
	call->args[1] = (uint64_t)&call->scratch[0];
}

void signals_before(struct call *call)
{
	stack_t set, old;

	if (call->number == SYS_rt_sigaction) {
		before_action(call);
	} else if (call->number == SYS_rt_sigprocmask) {
		before_mask(call);
	} else {
		if (call->args[0] && shim_peek(&set, call->args[0], sizeof(set)) != sizeof(set))
			return;
		call->skip = 1;
		call->result = alt_stack(call->args[0] ? &set : NULL, &old);
		if (call->result == 0 && call->args[1])
			poke(call->args[1], &old, sizeof(old));
	}
}

void signals_after(struct call *call)
{
	uint64_t now;

	if (call->number != SYS_rt_sigprocmask || call->result != 0)
		return;
	if (call->args[1])
		believe((int)call->args[0], call->state[1]);
	if (call->args[2] && call->state[0] && shim_peek(&now, call->args[2], 8) == 8) {
		now |= SIGSYS_BIT;
		poke(call->args[2], &now, 8);
	}
}

void signals_init(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct kernel_action now = { 0 };

	sigfillset(&action.sa_mask);
	action.sa_sigaction = dispatch_handler;
	REAL_FUNCTION(sigaction)(SIGSYS, &action, &program_action);
	SYS4(SYS_rt_sigaction, SIGSYS, 0, &now, 8);
	dispatch_restorer = now.restorer;
	ours = true;
}
