/* SPDX-License-Identifier: MIT */
/*
 * Makes a thread that waits for the answer to a system call issue a call of its own before it goes on: a ring with
 * SINGLE_ISSUER belongs to the task that enables it.
 *
 * One shot by ptrace: the thread is seized while it waits, told to stop, and given its answer; so it stops on its way
 * back, before the first instruction behind the call. There it is verified that it is where it must be, signals are
 * held back, the instruction that made the call is run once more with other registers, everything is put back, and the
 * thread is left. One that is traced already (strace, gdb) cannot be seized, and nothing happens to it.
 *
 * The filter must have been installed with WAIT_KILLABLE_RECV: else being told to stop ends the wait, and the answer is
 * lost.
 *
 * A thread left seized would hang its parent's wait, so inject_end() is due whatever happened after inject_begin().
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct injection {
	pid_t thread;
	bool stopped;
	struct user_regs_struct before;
};

/* The thread's answer must follow. -errno: it is not seized (-EPERM: by somebody else, or out of reach). */
int inject_begin(struct injection *injection, pid_t thread);

/*
 * Waits until it comes back from `call`, issued just before `instruction`, with `result`. INJECT_GONE: it was killed.
 * -EPROTO: it is somewhere else. -errno else.
 */
enum { INJECT_GONE = 1 };
int inject_await(struct injection *injection, uint64_t call, uint64_t instruction, int64_t result);

/* Has it issue a call with up to four arguments; 0 and its result, INJECT_GONE or -errno. */
int inject_call(struct injection *injection, uint64_t call, const uint64_t args[4], int64_t *ret_result);

/* What it sees in place of the result it waited for. */
void inject_change_result(struct injection *injection, int64_t result);

void inject_end(struct injection *injection);
