/* SPDX-License-Identifier: MIT */
/*
 * Answers io_uring_setup for the programs behind one seccomp listener: the kernel asks, the policy decides, a ring is
 * made and restricted outside of the program and put into it, or refused.
 *
 * Two processes do it. The caller's own is the guardian: it holds the listener, takes what is reported, and never looks
 * at the program. A worker that it forks does the rest. Reading a program's memory can hang for as long as the program
 * wishes (a page that its own userfaultfd never serves), so the worker lets itself be killed when a request takes too
 * long; the guardian then answers that request with a refusal and forks another worker. Stopping or killing either of
 * the two, which a program of the same user can do, delays set-ups and nothing else.
 *
 * Everything fails closed: with no worker and no guardian, the kernel answers ENOSYS.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "enforce/mechanism.h"

struct err;
struct policy;
struct serve_shared;

enum serve_kind {
	SERVE_MADE,    /* a ring as it was asked for */
	SERVE_ALTERED, /* a ring, but smaller or without some flags: `what` says so, `field` why */
	SERVE_DENIED,  /* by the policy, or because the mechanism cannot do it */
	SERVE_FAILED,  /* the kernel refused it, or the caller was gone: no rule is behind it */
	SERVE_KILLED,  /* the worker hung or was killed; `what` says at whose request */
};

enum { SERVE_WHAT_BYTES = 200, SERVE_REMEDY_BYTES = 200 };

/* One set-up. Passed through a socket: a plain value. */
struct serve_report {
	enum serve_kind kind;
	pid_t pid, tid;   /* as the supervisor sees them */
	char comm[16];    /* what the thread calls itself: hostile bytes, always ended by a NUL */
	int field;        /* enum policy_field whose rule decided; -1 = none did */
	uint32_t line;    /* of the policy's file, 0 = it does not speak of the field */
	int error;        /* positive errno that the program got, 0 = a ring */
	uint32_t entries; /* asked for */
	uint32_t flags;   /* enum uring_setup_flag asked for */
	uint32_t sq_entries, cq_entries, made_flags; /* of the ring made */
	uint64_t latency_ns;                         /* from the notification's arrival to its answer */
	char what[SERVE_WHAT_BYTES];     /* "SQPOLL was taken out", "rings of this process: 4, 4 allowed": for people */
	char remedy[SERVE_REMEDY_BYTES]; /* the line of policy that would allow it; "" = none would */
};

struct serve_status {
	uint64_t made, altered, denied, failed, workers; /* since the beginning; workers: how many were forked */
	uint64_t unreported; /* reports that were dropped because the guardian was too slow */
};

typedef void serve_report_function(void *context, const struct serve_report *report);

struct serve_options {
	int listener; /* stays the caller's, who must not read it */
	/*
	 * Not TASK. CALLER: the guard must hold the programs to disabled rings (GUARD_DISABLED), and the filter must be
	 * one with FILTER_SETUP_CALLER.
	 */
	enum mechanism mechanism;
	const struct policy *policy; /* copied */
	/*
	 * Whose rings count as one container: the descendants of this process, itself not; 0 = all processes of the
	 * cgroup that the asking one is in, and of those below it.
	 */
	pid_t root;
	/*
	 * In memory that is shared with whoever else answers for programs that can take each other's descriptors:
	 * whether one of them may have a ring that nobody restricted (serve-caller.c). NULL = there is nobody else.
	 */
	_Atomic bool *astray;
	/*
	 * NULL, or the caller's own shared memory for this listener: zeroes, or what another guardian left behind, once
	 * serve_recover() has been through it.
	 */
	struct serve_shared *shared;
	bool set_limits;               /* who asks gets the policy's limits first: it began without them */
	uint32_t patience_ms;          /* how long one request may take; 0 = 3000 */
	serve_report_function *report; /* in the guardian, from serve_dispatch(); may be NULL */
	void *context;
};

int serve_errno(const struct policy *policy); /* what a denied set-up answers, positive */

struct serve;

/*
 * Behind a worker that is no more, and before the next one begins: all that it had received and not answered gets
 * `error` (positive). Whether it was at work on one, which may then have left a ring that nobody restricted: `astray`
 * is set.
 */
bool serve_recover(int listener, struct serve_shared *shared, _Atomic bool *astray, int error);

enum { SERVE_ENDED = 1 };

/* Blocks SIGCHLD in the calling process and takes it: serve_fd() tells of other children's ends too. */
int serve_new(const struct serve_options *options, struct serve **ret_serve, struct err *err);
struct serve *serve_free(struct serve *serve);
CLEANUP_DEFINE(serve, struct serve, serve_free);

int serve_fd(const struct serve *serve); /* readable = call serve_dispatch() */

/* A child of the caller that only serve_dispatch() and serve_free() may wait for; changes. */
pid_t serve_worker(const struct serve *serve);

/* Never blocks. 0 = goes on, SERVE_ENDED = no process is left that could ask, -errno = cannot go on. */
int serve_dispatch(struct serve *serve, struct err *err);

/* From now on; rings that exist keep what they have. */
int serve_set_policy(struct serve *serve, const struct policy *policy, struct err *err);
void serve_get_status(const struct serve *serve, struct serve_status *ret_status);
