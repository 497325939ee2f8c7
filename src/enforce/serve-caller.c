/* SPDX-License-Identifier: MIT */
/*
 * A ring that the caller itself makes, so that all that the kernel ties to the maker (polling thread, memory of the
 * ring, accounting) is the program's own. The caller is taken in hand, makes its ring disabled, we take a descriptor of
 * that, restrict it and have it enabled, and let the caller go on.
 *
 * Other threads of the program run meanwhile and may do what they like: change the parameters while the kernel copies
 * them, and use, enable, close or exchange the descriptor as soon as it is there. That no unrestricted ring ever comes
 * to be enabled rests on three things:
 *
 * 1. The BPF guard lets no ring come to be that is not disabled (bpf/guard.h). Without it all of this is void, which is
 *    why plan.c wants it.
 * 2. The filter asks about ENABLE_RINGS and refuses the program's own RESTRICTIONS (filter.h), so a ring is enabled
 *    only here, and one that we could restrict nobody had restricted before.
 * 3. We enable the very file that we restricted; or, where its number must do because the caller has to enable it
 *    (SINGLE_ISSUER), only while every disabled ring there is has been restricted. Restricting the ring just made fails
 *    when the number by then means another one; from then on a ring may be astray, nothing is enabled by its number
 *    any more, and SINGLE_ISSUER is taken out.
 *
 * Only one thread is let into io_uring_setup or ENABLE_RINGS at a time, and we wait for it to come back. Should this
 * process end meanwhile, the kernel kills the program (PTRACE_O_EXITKILL): a caller that got away with a ring that
 * nobody restricted would be one too many.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/serve-setup.h"
#include "kernel/call.h"
#include "kernel/proc.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif

enum { REGISTERED_BIT = 31, OPCODE_MASK = 0x7fffffff };

/* ---- its descriptors ---- */

/* A pidfd whose descriptors are the thread's; only from 6.9 on can a thread have one that is not its process. */
static int open_files_of(pid_t thread)
{
	struct proc_status status;
	int r = proc_read_status(thread, &status), fd;

	if (r < 0)
		return r;
	if ((pid_t)status.tgid == thread)
		return kernel_pidfd_open(thread, 0);
	fd = kernel_pidfd_open(thread, PIDFD_THREAD);
	if (fd != -EINVAL)
		return fd;
	r = (int)syscall(SYS_kcmp, thread, (pid_t)status.tgid, KCMP_FILES, 0, 0);
	return r == 0 ? kernel_pidfd_open((pid_t)status.tgid, 0) : r < 0 ? -errno : -EXDEV;
}

/* ---- the ring, in our hand ---- */

static int restrict_ring(const struct serve_worker *w, int ring)
{
	uint32_t limits[2];
	int r = 0;

	if (serve_worker_limits(&w->options->policy, limits))
		r = kernel_register(ring, URING_REG_IOWQ_MAX_WORKERS, limits, 2);
	if (r >= 0 && w->restricted)
		r = kernel_register(ring, URING_REG_RESTRICTIONS, w->restrictions.task.entries, w->restrictions.task.n);
	return r < 0 ? r : 0;
}

static bool is_astray(const struct serve_worker *w)
{
	return atomic_load(w->options->astray);
}

static void set_astray(const struct serve_worker *w)
{
	if (w->restricted)
		atomic_store(w->options->astray, true);
}

/* ---- calls of the caller ---- */

static int let_through(const struct serve_worker *w, void *context, uint64_t id)
{
	bool *through = context;
	int r = serve_continue(w->options->listener, id);

	*through |= r == 0;
	return r;
}

/* 0 or what it got instead. */
static int enable_there(struct serve_worker *w, struct serve_setup *s, int fd)
{
	const struct inject_call call = { SYS_io_uring_register, { (uint64_t)fd, URING_REG_ENABLE_RINGS } };
	bool through = false;
	int64_t result;
	int r = serve_call(w, s, &call, let_through, &through, &result);

	return r < 0 ? r : (int)result;
}

static void close_there(struct serve_worker *w, struct serve_setup *s, int fd)
{
	const struct inject_call call = { SYS_close, { (uint64_t)fd } };
	bool through = false;
	int64_t result;

	(void)serve_call(w, s, &call, let_through, &through, &result);
}

/* ---- a set-up ---- */

static void settle_params(struct serve_setup *s)
{
	if (serve_read_params(s, &s->params) < 0)
		return;
	s->report.made_flags = s->params.flags;
	s->report.sq_entries = s->params.sq_entries;
	s->report.cq_entries = s->params.cq_entries;
	s->params.flags &= ~s->verdict.hidden_flags;
	(void)serve_write_params(s, &s->params);
}

static int enable(struct serve_worker *w, struct serve_setup *s, int ring, int fd)
{
	if (s->verdict.leave_disabled)
		return 0;
	return s->verdict.caller_enables ? enable_there(w, s, fd)
					 : kernel_register(ring, URING_REG_ENABLE_RINGS, NULL, 0);
}

/* `fd` is what the kernel gave the caller for its ring. */
static int finish(struct serve_worker *w, struct serve_setup *s, int files, int fd)
{
	CLEANUP(cleanup_fd) int ring = kernel_pidfd_getfd(files, fd, 0);
	int r = ring < 0 ? ring : restrict_ring(w, ring);

	if (r < 0)
		set_astray(w);
	else
		r = enable(w, s, ring, fd);
	if (r < 0) {
		close_there(w, s, fd);
		return r;
	}
	settle_params(s);
	return 0;
}

/* The descriptor that it has now, or -errno. */
static int make_there(struct serve_worker *w, struct serve_setup *s, int files)
{
	const struct inject_call call = { SYS_io_uring_setup, { s->verdict.entries, s->asked.data.args[1] } };
	bool through = false;
	int64_t result;
	int r = serve_call(w, s, &call, let_through, &through, &result);

	if (r < 0 && through)
		set_astray(w);
	if (r < 0 || result < 0)
		return r < 0 ? r : (int)result;
	r = finish(w, s, files, (int)result);
	return r < 0 ? r : (int)result;
}

static void conclude(struct serve_worker *w, struct serve_setup *s, int r)
{
	if (r >= 0) {
		serve_conclude(s, s->verdict.outcome == DECIDE_ALTERED ? SERVE_ALTERED : SERVE_MADE, 0, "%s",
			       s->verdict.what);
		return;
	}
	serve_turn_away(w, s, -r); /* where it still waits */
	serve_conclude_refused(s, r);
}

int serve_by_caller(struct serve_worker *w, struct serve_setup *s)
{
	CLEANUP(cleanup_fd) int files = open_files_of((pid_t)s->asked.pid);
	int r;

	if (files < 0)
		return SERVE_OUT_OF_REACH;
	r = serve_set_limits(w, s);
	if (r > 0)
		return serve_deny_limit(w, s, (enum policy_field)r, NULL), 0;
	if (r < 0)
		return conclude(w, s, r), 0;
	r = serve_take(w, s, true);
	if (r == 0) {
		r = serve_write_params(s, &s->verdict.params);
		if (r == 0)
			r = make_there(w, s, files);
		if (r < 0 && r != -ESRCH)
			(void)serve_write_params(s, &s->original);
		serve_leave(s, r);
	}
	if (r != SERVE_OUT_OF_REACH)
		conclude(w, s, r);
	return r == SERVE_OUT_OF_REACH ? r : 0;
}

/* ---- a ring that the program enables itself ---- */

/* 0: it is restricted and disabled. What the kernel would say otherwise. */
static int check_disabled(const struct serve_worker *w, int ring)
{
	int r = ring < 0 ? ring : w->restricted ? restrict_ring(w, ring) : 0;

	if (r == -EBUSY)
		return 0;
	/* One that has been enabled is another task's, or its own restrictions forbid us to look. */
	return r == -EEXIST || r == -EACCES ? -EBADFD : r;
}

static int enable_by_number(struct serve_worker *w, struct serve_setup *s)
{
	const __u64 *args = s->asked.data.args;
	const struct inject_call call = { SYS_io_uring_register, { args[0], args[1], args[2], args[3] } };
	bool through = false;
	int64_t result = -EAGAIN;
	int r = serve_take(w, s, true);

	if (r == SERVE_OUT_OF_REACH)
		return -EPERM;
	if (r < 0)
		return r;
	r = serve_call(w, s, &call, let_through, &through, &result);
	serve_leave(s, r < 0 ? r : result);
	return 0;
}

void serve_enable(struct serve_worker *w, struct serve_setup *s)
{
	const __u64 *args = s->asked.data.args;
	CLEANUP(cleanup_fd) int files = open_files_of((pid_t)s->asked.pid);
	CLEANUP(cleanup_fd) int ring = files < 0 ? files : kernel_pidfd_getfd(files, (int)args[0], 0);
	int r;

	if ((args[1] & OPCODE_MASK) != URING_REG_ENABLE_RINGS || args[1] >> REGISTERED_BIT & 1)
		r = -EACCES; /* a registered descriptor cannot be looked at from here */
	else
		r = check_disabled(w, ring);
	if (r == 0 && !is_astray(w))
		r = enable_by_number(w, s);
	else if (r == 0)
		r = kernel_register(ring, URING_REG_ENABLE_RINGS, NULL, 0);
	/* Where it was enabled by its number it has been answered. */
	(void)serve_answer(w->options->listener, s->asked.id, 0, r < 0 ? -r : 0);
	s->is_quiet = r != -EACCES;
	if (!s->is_quiet)
		serve_conclude(s, SERVE_DENIED, EACCES, "ENABLE_RINGS of a ring named by a registered descriptor");
}
