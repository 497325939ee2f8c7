/* SPDX-License-Identifier: MIT */
/*
 * A ring that the maker makes, restricts and mostly enables. It is put into the program and the answer sent in two
 * steps: SECCOMP_ADDFD_FLAG_SEND, which does both, lets the program see descriptor 0 as its ring when a signal comes
 * between.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "base/err.h"
#include "enforce/cgroup.h"
#include "enforce/serve-setup.h"
#include "kernel/proc.h"

/* ---- the maker ---- */

static int identify(const struct serve_worker *w, pid_t pid, struct maker_identity *identity)
{
	struct proc_status status;
	int r;

	memset(identity, 0, sizeof(*identity)); /* compared as a whole */
	if (!w->join)
		return 0;
	r = proc_read_status(pid, &status);
	if (r == 0)
		r = cgroup_read(pid, identity->cgroup, sizeof(identity->cgroup));
	if (r < 0)
		return r;
	if (status.uid < 0 || status.gid < 0 || status.n_groups > MAKER_GROUPS_MAX)
		return -EPROTO;
	identity->join = true;
	identity->uid = (uid_t)status.uid;
	identity->gid = (gid_t)status.gid;
	identity->n_groups = (uint32_t)status.n_groups;
	for (size_t i = 0; i < status.n_groups; i++)
		identity->groups[i] = (gid_t)status.groups[i];
	/* The kernel asks for it in the first user namespace. */
	identity->ipc_lock = status.cap_effective >> CAP_IPC_LOCK & 1 && proc_shares_namespace(pid, "user") == 1;
	return 0;
}

void serve_translate_policy(struct serve_worker *w)
{
	if (!w->maker)
		return;
	restrictions_of(&w->options->policy, maker_kernel(w->maker), &w->restrictions);
	w->restricted = restrictions_needed(&w->options->policy);
}

int serve_get_maker(struct serve_worker *w, const struct serve_setup *s, struct err *err)
{
	struct maker_identity identity;
	int r = identify(w, (pid_t)s->asked.pid, &identity);

	if (r < 0)
		return err_set(err, r, "who asks could not be found out: %s", strerror(-r));
	if (w->maker && maker_is(w->maker, &identity))
		return 0;
	w->maker = maker_free(w->maker);
	r = maker_new(&identity, &w->maker, err);
	serve_translate_policy(w);
	return r;
}

int serve_set_limits(struct serve_worker *w, const struct serve_setup *s)
{
	int r = w->options->set_limits ? maker_limit(w->maker, &s->limits, w->options->patience_ms / 2) : 0;

	if (r == -EOWNERDEAD)
		w->maker = maker_free(w->maker);
	return r;
}

/* 0 would ask the kernel to leave it as it is. */
static uint32_t worker_limit(uint32_t limit)
{
	return limit == POLICY_NO_LIMIT ? 0 : limit ? limit : 1;
}

bool serve_worker_limits(const struct policy *policy, uint32_t limits[2])
{
	limits[0] = worker_limit(policy->workers_bounded);
	limits[1] = worker_limit(policy->workers_unbounded);
	return limits[0] || limits[1];
}

/* 0, -errno, or the POLICY_* whose limit could not be set. */
static int make(struct serve_worker *w, struct serve_setup *s, int *ret_ring)
{
	const struct decide_verdict *v = &s->verdict;
	struct maker_order order = { .entries = v->entries,
				     .params = v->params,
				     .restricted = w->restricted,
				     .enable = !v->leave_disabled && !v->caller_enables };
	int r;

	order.limit_workers = serve_worker_limits(&w->options->policy, order.workers);
	order.restrictions = w->restrictions;
	order.limits = s->limits;
	r = maker_make(w->maker, &order, w->options->patience_ms / 2, &s->params, ret_ring);
	if (r == -EOWNERDEAD)
		w->maker = maker_free(w->maker);
	if (r)
		return r;
	s->report.made_flags = s->params.flags;
	s->report.sq_entries = s->params.sq_entries;
	s->report.cq_entries = s->params.cq_entries;
	s->params.flags &= ~v->hidden_flags;
	return 0;
}

/* ---- giving the ring ---- */

struct gift {
	int ring;
	int fd; /* the number that it has got in the program, -1 = none yet: a second one would be left behind */
};

/* 0, or -errno with the answer sent where there was one to send it to. */
static int give(const struct serve_worker *w, struct gift *gift, uint64_t id)
{
	int listener = w->options->listener, fd = gift->fd;

	if (fd < 0)
		fd = serve_put_ring(listener, id, gift->ring);
	if (fd < 0) {
		serve_refuse(listener, id, -fd);
		return fd;
	}
	gift->fd = fd;
	return serve_answer(listener, id, fd, 0);
}

static int give_here(const struct serve_worker *w, void *context, uint64_t id)
{
	return give(w, context, id);
}

/* Profiles that are made for `caller` ask about ENABLE_RINGS. Whichever ring has the number now is restricted. */
static int let_enable(const struct serve_worker *w, void *context, uint64_t id)
{
	return serve_continue(w->options->listener, id);
}

/* 0 and its descriptor; or what it got instead. A ring that is never enabled is of no use, and of no harm. */
static int give_and_enable(struct serve_worker *w, struct serve_setup *s, struct gift *gift, int64_t *ret_fd)
{
	const __u64 *args = s->asked.data.args;
	struct inject_call call = { SYS_io_uring_setup, { args[0], args[1], args[2], args[3] } };
	int64_t result = 0;
	int r = serve_call(w, s, &call, give_here, gift, ret_fd);

	if (r < 0 || *ret_fd < 0)
		return r < 0 ? r : (int)*ret_fd;
	if (!s->verdict.caller_enables)
		return 0;
	call = (struct inject_call){ SYS_io_uring_register, { (uint64_t)*ret_fd, URING_REG_ENABLE_RINGS } };
	r = serve_call(w, s, &call, let_enable, NULL, &result);
	return r < 0 ? r : (int)result;
}

/* It is taken in hand, asks for its ring once more, gets it, and enables it before it knows. */
static int hand_over_there(struct serve_worker *w, struct serve_setup *s, struct gift *gift)
{
	int64_t fd = -1;
	int r = serve_take(w, s, false);

	if (r)
		return r;
	r = serve_write_params(s, &s->params);
	if (r == 0) {
		r = give_and_enable(w, s, gift, &fd);
		if (r < 0 && r != -ESRCH)
			(void)serve_write_params(s, &s->original);
	}
	serve_leave(s, r < 0 ? r : fd);
	return r;
}

/* -EINTR: it does not wait any more. */
static int hand_over_here(const struct serve_worker *w, struct serve_setup *s, struct gift *gift)
{
	int r;

	if (!serve_is_valid(w->options->listener, s->asked.id))
		return -EINTR; /* its memory may long be something else's */
	r = serve_write_params(s, &s->params);
	if (r == 0)
		r = give(w, gift, s->asked.id);
	return r == -ENOENT || r == -ESRCH ? -EINTR : r;
}

/* Who is bound is given it there, and left in this call (serve_turn_away()). */
static int hand_over(struct serve_worker *w, struct serve_setup *s, int ring)
{
	bool there = s->verdict.caller_enables || s->caller.thread;
	struct gift gift = { ring, -1 };

	return there ? hand_over_there(w, s, &gift) : hand_over_here(w, s, &gift);
}

static void fail(struct serve_worker *w, struct serve_setup *s, int r, const char *what)
{
	int error = r == -EOWNERDEAD ? serve_errno(&w->options->policy) : -r;

	serve_turn_away(w, s, error);
	serve_conclude(s, SERVE_FAILED, error, "%s: %s", what, strerror(-r));
}

static void refuse(struct serve_worker *w, struct serve_setup *s, int r)
{
	if (r == -EOWNERDEAD)
		return fail(w, s, r, "the process that makes rings was killed, or took too long");
	serve_turn_away(w, s, -r);
	serve_conclude_refused(s, r);
}

int serve_by_helper(struct serve_worker *w, struct serve_setup *s)
{
	CLEANUP(cleanup_fd) int ring = -1;
	int r = make(w, s, &ring);

	if (r < 0)
		return refuse(w, s, r), 0;
	if (r > 0)
		return serve_deny_limit(w, s, (enum policy_field)r, NULL), 0;
	r = hand_over(w, s, ring);
	if (r == SERVE_OUT_OF_REACH)
		return r;
	if (r < 0)
		fail(w, s, r, "the ring could not be given");
	else
		serve_conclude(s, s->verdict.outcome == DECIDE_ALTERED ? SERVE_ALTERED : SERVE_MADE, 0, "%s",
			       s->verdict.what);
	return 0;
}
