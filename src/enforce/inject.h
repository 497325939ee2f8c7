/* SPDX-License-Identifier: MIT */
/*
 * Makes a thread that waits for the answer to a system call issue calls of its own before it goes on: a ring belongs to
 * the process that makes it, and one with SINGLE_ISSUER to the task that enables it.
 *
 * One shot by ptrace: the thread is seized while it waits, and told to stop; whatever it is answered, it stops on its
 * way back, before the first instruction behind the call. There it is verified that it is where it must be, signals are
 * held back, and the instruction that made the call is run again with other registers, as often as needed. Then
 * everything is put back, with the result that it shall see, and the thread is left. One that is traced already
 * (strace, gdb) cannot be seized, and nothing happens to it.
 *
 * Between being seized and being told to stop it waits on, but for a signal it stops too, before any handler: one that
 * was seen to wait after it was seized runs nothing of its own until it is left, unless it is answered. Such a signal
 * is put back among those that wait.
 *
 * Being told to stop ends the wait, unless the filter was installed with WAIT_KILLABLE_RECV; then an answer must. So
 * the call that it waited for is lost either way, and is the first to be issued again. What is issued passes the
 * filter too and may have to be answered: that is what inject_start() and inject_finish() are apart for.
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
	pid_t thread; /* 0 = not seized */
	bool stopped;
	bool held;   /* its signals are */
	bool placed; /* it is where it must be */
	int status;  /* of the stop */
	struct user_regs_struct before;
	uint64_t mask; /* of its signals, as it was */
};

struct inject_call {
	uint64_t number, args[4];
};

/* Positive outcomes. */
enum {
	INJECT_GONE = 1, /* it was killed, or another thread's execve ended it */
	INJECT_STOPPED,  /* it stopped before it asked: for the call's end, which inject_finish() looks at */
	INJECT_RUNNING,
};

/* Seized. -errno: it is not (-EPERM: it is by somebody else, or out of reach). */
int inject_begin(struct injection *injection, pid_t thread);

/* Tells it to stop. The answer that ends its wait may follow. */
int inject_stop(struct injection *injection);

/*
 * Waits until it comes back from the call that it waited for, issued just before `instruction`, interrupted or with
 * -EAGAIN. INJECT_GONE, or -EPROTO: it is somewhere else, and will ask again. `kill`: should this process end before
 * inject_end(), the thread's process is killed.
 */
int inject_take(struct injection *injection, const struct inject_call *call, uint64_t instruction, bool kill);

/* Sets it off into a call; INJECT_GONE or -errno. */
int inject_start(struct injection *injection, const struct inject_call *call);

/* Never blocks: INJECT_RUNNING, INJECT_STOPPED, INJECT_GONE or -errno. SIGCHLD tells when to ask. */
int inject_look(struct injection *injection);

/* Waits for the call's end; INJECT_GONE or -errno. */
int inject_finish(struct injection *injection, int64_t *ret_result);

/* What it sees as the result of the call that it waited for. */
void inject_return(struct injection *injection, int64_t result);

void inject_end(struct injection *injection);
