/* SPDX-License-Identifier: MIT */
/*
 * What the files of the worker share: the worker, one set-up on its way, and the steps of it.
 *
 *	serve-worker.c   one notification after the other: read, decided, handed on, told of
 *	serve-listener.c the kernel's interface, and notifications that wait their turn
 *	serve-thread.c   the caller taken in hand, so that it issues calls of its own
 *	serve-helper.c   a ring that the maker makes: `enable`, `strip`
 *	serve-caller.c   a ring that the caller makes: `caller`
 */
#pragma once

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "enforce/decide.h"
#include "enforce/inject.h"
#include "enforce/limits.h"
#include "enforce/maker.h"
#include "enforce/restrictions.h"
#include "enforce/serve-inner.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_register 427
#endif

struct err;

/* What those behind the listener do when a signal comes while they are being answered. */
enum serve_waits { SERVE_WAITS_UNKNOWN, SERVE_WAITS_UNTIL_SIGNAL, SERVE_WAITS_TO_THE_END };

struct serve_worker {
	struct serve_worker_options *options;
	struct maker *maker;
	struct restrictions restrictions;
	bool restricted; /* `restrictions` holds */
	bool join;       /* we may become others */
	timer_t timer;
	int children; /* signalfd for SIGCHLD */
	void *buffer; /* for a notification of the kernel's size */
	size_t buffer_bytes;
	struct seccomp_notif held[SERVE_HELD]; /* from `first` to `end`, both ever growing */
	uint64_t first, end;
	enum serve_waits waits;
};

struct serve_setup {
	struct seccomp_notif asked;
	struct uring_params original; /* as the program wrote them */
	struct uring_params params;   /* as it shall see them */
	struct decide_request request;
	struct decide_verdict verdict;
	struct limits limits; /* that it shall have, where it has not had them from its beginning */
	struct injection caller;
	struct serve_report report;
	bool is_quiet; /* nobody wants to hear of it */
	uint64_t began;
};

/* Somebody else traces the caller, or it is out of reach; nothing has happened yet. */
enum { SERVE_OUT_OF_REACH = 1 };

/* ---- serve-listener.c ---- */

/* The next one: of those that wait, else the kernel's. 0 or -errno. */
int serve_receive(struct serve_worker *w, struct seccomp_notif *ret_notification);
bool serve_has_held(const struct serve_worker *w);

/*
 * Waits for the one that `injection`'s thread causes by `call`; others are held. 0, INJECT_STOPPED (it causes none),
 * INJECT_GONE or -errno.
 */
int serve_receive_own(struct serve_worker *w, struct injection *injection, const struct inject_call *call,
		      uint64_t *ret_id);

int serve_continue(int listener, uint64_t id); /* the kernel carries the call out */
bool serve_is_valid(int listener, uint64_t id);
int serve_put_ring(int listener, uint64_t id, int ring); /* its number in the program, or -errno */

/* ---- serve-worker.c ---- */

/* The program's parameters, read or written: 0, -EFAULT as the kernel would say, -EPERM where we may not look. */
int serve_read_params(const struct serve_setup *s, struct uring_params *ret_params);
int serve_write_params(const struct serve_setup *s, const struct uring_params *params);

void __attribute__((format(printf, 4, 5)))
serve_conclude(struct serve_setup *s, enum serve_kind kind, int error, const char *format, ...);

/* Refuses because a limit of the process would not hold: by a capability that it has, or (NULL) that cannot be set. */
void serve_deny_limit(struct serve_worker *w, struct serve_setup *s, enum policy_field field, const char *capability);

/* The kernel refused the ring: -errno, and what would help where that is known. */
void serve_conclude_refused(struct serve_setup *s, int r);

/* ---- serve-thread.c ---- */

/*
 * The caller is bound to the call that it asked about: a signal does not take it on to the next one. 0,
 * SERVE_OUT_OF_REACH or -EINTR (something had ended the call). Bound or taken, it is to be left in the end.
 */
int serve_bind(const struct serve_worker *w, struct serve_setup *s);
void serve_leave(struct serve_setup *s, int64_t result); /* what it sees, where it was taken */

/* Whether a signal may end the call, as far as is known yet, so that binding comes first. */
bool serve_is_fleeting(const struct serve_worker *w);

/*
 * The caller is bound if it was not, and taken in hand, and its notification answered. 0, SERVE_OUT_OF_REACH or -errno
 * (-EINTR, -ESRCH: it is gone, -EPROTO: it went elsewhere and will ask again); unless 0, it is left. Where it is taken
 * it stands in the very call that `asked` tells of. `kill`: should we end before it is left, its process is killed.
 */
int serve_take(struct serve_worker *w, struct serve_setup *s, bool kill);

/*
 * Answers with an error (positive). A caller that is bound is left in this very call: told to stop later it would be in
 * another one, and there are some that end with EINTR for that (signal(7), "Interruption by stop signals").
 */
void serve_turn_away(struct serve_worker *w, struct serve_setup *s, int error);

/* What is done when the filter asks about the call; -ENOENT: the thread does not wait any more. */
typedef int serve_deal(const struct serve_worker *w, void *context, uint64_t id);

/* Has the one taken issue the call, again when it was interrupted: 0 and the result, -ESRCH or -errno. */
int serve_call(struct serve_worker *w, struct serve_setup *s, const struct inject_call *call, serve_deal *deal,
	       void *context, int64_t *ret_result);

/* ---- serve-helper.c, serve-caller.c: 0 (dealt with and concluded) or SERVE_OUT_OF_REACH ---- */

int serve_by_helper(struct serve_worker *w, struct serve_setup *s);
int serve_by_caller(struct serve_worker *w, struct serve_setup *s);

/* The maker for who asks, and with it what this kernel can restrict. */
int serve_get_maker(struct serve_worker *w, const struct serve_setup *s, struct err *err);
void serve_translate_policy(struct serve_worker *w);

/* The program's limits, where they are ours to set; as maker_limit(). */
int serve_set_limits(struct serve_worker *w, const struct serve_setup *s);

/* How many workers a ring may have, as the kernel is told; false = as it is. */
bool serve_worker_limits(const struct policy *policy, uint32_t limits[2]);

/* Answers ENABLE_RINGS of a ring that the program made disabled. */
void serve_enable(struct serve_worker *w, struct serve_setup *s);
