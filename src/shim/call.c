/* SPDX-License-Identifier: MIT */
/* Which part of the shim wants to know of which system call. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/inner.h"

enum { URING_SETUP_NR = 425, URING_ENTER_NR = 426, URING_REGISTER_NR = 427, LAST_NR = 512 };

enum wanted {
	WANT_ENTER = 1,
	WANT_SETUP = 2,
	WANT_REGISTER = 4,
	WANT_RINGS = 8,
	WANT_MEMORY = 16,
	WANT_FDS = 32,
	WANT_SIGNALS = 64,
	WANT_EXIT = 128,
	WANT_CREDENTIALS = 256,
};

static const uint16_t wanted[LAST_NR] = {
	[URING_SETUP_NR] = WANT_SETUP,
	[URING_ENTER_NR] = WANT_ENTER,
	[URING_REGISTER_NR] = WANT_REGISTER,
	[SYS_mmap] = WANT_RINGS | WANT_MEMORY,
	[SYS_munmap] = WANT_RINGS | WANT_MEMORY,
	[SYS_mremap] = WANT_RINGS | WANT_MEMORY,
	[SYS_madvise] = WANT_MEMORY,
	[SYS_shmat] = WANT_MEMORY,
	[SYS_shmdt] = WANT_MEMORY,
	[SYS_close] = WANT_RINGS | WANT_FDS,
	[SYS_close_range] = WANT_RINGS | WANT_FDS,
	[SYS_dup] = WANT_RINGS | WANT_FDS,
	[SYS_dup2] = WANT_RINGS | WANT_FDS,
	[SYS_dup3] = WANT_RINGS | WANT_FDS,
	[SYS_fcntl] = WANT_RINGS | WANT_FDS,
	[SYS_listen] = WANT_FDS,
	[SYS_pipe] = WANT_FDS,
	[SYS_pipe2] = WANT_FDS,
	[SYS_socketpair] = WANT_FDS,
	[SYS_setuid] = WANT_CREDENTIALS,
	[SYS_setgid] = WANT_CREDENTIALS,
	[SYS_setreuid] = WANT_CREDENTIALS,
	[SYS_setregid] = WANT_CREDENTIALS,
	[SYS_setresuid] = WANT_CREDENTIALS,
	[SYS_setresgid] = WANT_CREDENTIALS,
	[SYS_rt_sigaction] = WANT_SIGNALS,
	[SYS_rt_sigprocmask] = WANT_SIGNALS,
	[SYS_sigaltstack] = WANT_SIGNALS,
	[SYS_exit] = WANT_EXIT,
	[SYS_exit_group] = WANT_EXIT,
	[SYS_execve] = WANT_EXIT,
	[SYS_execveat] = WANT_EXIT,
};

static unsigned wants(const struct call *call)
{
	return (unsigned long)call->number < LAST_NR ? wanted[call->number] : 0;
}

static void leave(struct call *call)
{
	if (call->number == SYS_exit)
		thread_disarm();
	else if (call->number == SYS_exit_group)
		process_exit_event((int)(call->args[0] & 0xff) << 8);
	else
		process_exec_event((const char *)call->args[call->number == SYS_execveat ? 1 : 0]);
}

void call_before(struct call *call)
{
	unsigned want = wants(call);

	if (!want || shim_off() || shim_self.in_shim) {
		call->off = 1;
		return;
	}
	if (want & WANT_ENTER)
		enter_before(call);
	if (want & WANT_SETUP)
		setup_before(call);
	if (want & WANT_REGISTER)
		register_before(call);
	if (want & WANT_MEMORY)
		memory_before(call);
	if (want & WANT_RINGS)
		rings_before(call);
	if (want & WANT_FDS)
		fds_before(call);
	if (want & WANT_SIGNALS && call->trapped)
		signals_before(call);
	if (want & WANT_EXIT)
		leave(call);
}

void call_after(struct call *call)
{
	unsigned want = wants(call);

	if (!want || call->off)
		return;
	if (want & WANT_ENTER)
		enter_after(call);
	if (want & WANT_SETUP)
		setup_after(call);
	if (want & WANT_REGISTER)
		register_after(call);
	if (want & WANT_MEMORY)
		memory_after(call);
	if (want & WANT_RINGS)
		rings_after(call);
	if (want & WANT_FDS)
		fds_after(call);
	if (want & WANT_CREDENTIALS)
		creds_after(call);
	if (want & WANT_SIGNALS && call->trapped)
		signals_after(call);
}

long call_return(struct call *call, long result)
{
	int saved = errno;

	call->result = result == -1 ? -saved : result;
	if (!call->off)
		call_after(call);
	errno = call->result < 0 && call->result > -4096 ? (int)-call->result : saved;
	return call->result < 0 && call->result > -4096 ? -1 : call->result;
}

/* Behind the exported syscall(), which trampoline.S keeps fork-like calls away from: they come back twice. */
long call_syscall(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
long call_syscall(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	struct call call = CALL(number, a, b, c, d, e, f);

	call_before(&call);
	if (!call.skip)
		return call_return(&call, REAL_FUNCTION(syscall)(number, call.args[0], call.args[1], call.args[2],
								 call.args[3], call.args[4], call.args[5]));
	errno = call.result < 0 ? (int)-call.result : errno;
	return call_return(&call, call.result < 0 ? -1 : call.result);
}
