/* SPDX-License-Identifier: MIT */
/*
 * The worker: one notification after the other is read, decided, carried out and answered. What can hang is between
 * arm() and disarm(): there the process ends itself when its patience is over, and the guardian answers.
 *
 * The ring is put into the program and the answer sent in two steps. SECCOMP_ADDFD_FLAG_SEND, which does both, lets the
 * program see descriptor 0 as its ring when a signal comes between.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "abi/decode.h"
#include "base/err.h"
#include "enforce/census.h"
#include "enforce/cgroup.h"
#include "enforce/decide.h"
#include "enforce/inject.h"
#include "enforce/limits.h"
#include "enforce/maker.h"
#include "enforce/restrictions.h"
#include "enforce/serve-inner.h"
#include "kernel/call.h"
#include "kernel/proc.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_register 427
#endif

enum { ATTEMPTS = 2 };

struct worker {
	struct serve_worker_options *options;
	struct maker *maker;
	struct restrictions restrictions;
	bool restricted;
	bool join; /* we may become others */
	timer_t timer;
	struct seccomp_notif *notification;
	size_t notification_bytes;
};

/* One set-up on its way. */
struct setup {
	const struct seccomp_notif *asked;
	struct uring_params params; /* as the program wrote them, then as it shall see them */
	struct decide_request request;
	struct decide_verdict verdict;
	struct limits limits; /* that it shall have, where it has not had them from its beginning */
	struct serve_report report;
	uint64_t began;
};

/* ---- the kernel's interface ---- */

static int control(int listener, unsigned long request, void *argument)
{
	int r;

	do
		r = ioctl(listener, request, argument);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static int answer(int listener, uint64_t id, int64_t value, int error)
{
	struct seccomp_notif_resp response = { .id = id, .val = value, .error = -error };

	return control(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void serve_refuse(int listener, uint64_t notification, int error)
{
	(void)answer(listener, notification, 0, error);
}

int serve_errno(const struct policy *policy)
{
	return policy->answer == POLICY_ANSWER_ENOSYS ? ENOSYS : EPERM;
}

static bool is_valid(const struct worker *w, uint64_t id)
{
	return control(w->options->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static int receive(struct worker *w)
{
	memset(w->notification, 0, w->notification_bytes);
	return control(w->options->listener, SECCOMP_IOCTL_NOTIF_RECV, w->notification);
}

/* Into the program; its number there, or -errno. */
static int put_ring(const struct worker *w, uint64_t id, int ring)
{
	struct seccomp_notif_addfd add = { .id = id, .srcfd = (uint32_t)ring, .newfd_flags = O_CLOEXEC };

	return control(w->options->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
}

/* ---- its time ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void set_timer(const struct worker *w, uint32_t ms)
{
	struct itimerspec time = { .it_value = { ms / 1000, (long)(ms % 1000) * 1000000 } };

	timer_settime(w->timer, 0, &time, NULL);
}

static void arm(struct worker *w)
{
	atomic_store(&w->options->shared->asking, (int32_t)w->notification->pid);
	atomic_store(&w->options->shared->notification, w->notification->id);
	set_timer(w, w->options->patience_ms);
}

static void disarm(struct worker *w)
{
	set_timer(w, 0);
	atomic_store(&w->options->shared->notification, 0);
}

/* ---- telling of it ---- */

static void __attribute__((format(printf, 4, 5)))
conclude(struct setup *s, enum serve_kind kind, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->report.what, sizeof(s->report.what), format, args);
	va_end(args);
	s->report.kind = kind;
	s->report.error = error;
}

static void tell(struct worker *w, struct setup *s)
{
	struct serve_shared *shared = w->options->shared;
	_Atomic uint64_t *const counts[] = { [SERVE_MADE] = &shared->made,
					     [SERVE_ALTERED] = &shared->altered,
					     [SERVE_DENIED] = &shared->denied,
					     [SERVE_FAILED] = &shared->failed };

	atomic_fetch_add(counts[s->report.kind], 1);
	serve_name(&s->report);
	/* Never waits: a guardian that was stopped must not stop the program. */
	if (send(w->options->socket, &s->report, sizeof(s->report), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		atomic_fetch_add(&shared->unreported, 1);
}

/* ---- reading the program ---- */

/* 0, -EFAULT as the kernel would say, -EPERM where we may not look. */
static int copy_params(const struct setup *s, struct uring_params *params, bool out)
{
	struct iovec here = { params, sizeof(*params) };
	struct iovec there = { (void *)(uintptr_t)s->asked->data.args[1], sizeof(*params) };
	pid_t pid = (pid_t)s->asked->pid;
	ssize_t n =
		out ? process_vm_writev(pid, &here, 1, &there, 1, 0) : process_vm_readv(pid, &here, 1, &there, 1, 0);

	return n == sizeof(*params) ? 0 : n < 0 ? -errno : -EFAULT;
}

static int count(const struct worker *w, struct setup *s)
{
	const struct policy *policy = &w->options->policy;
	const struct census_scope scope = { .root = w->options->root,
					    .aside = getpid(),
					    .asking = (pid_t)s->asked->pid,
					    .host = decide_needs_host_counts(policy, s->params.flags) };

	return decide_needs_counts(policy) || scope.host ? census_take(&scope, &s->request.counts) : 0;
}

static int identify(const struct worker *w, pid_t pid, struct maker_identity *identity)
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

/* ---- making the ring ---- */

static void translate_policy(struct worker *w)
{
	if (!w->maker)
		return;
	restrictions_of(&w->options->policy, maker_kernel(w->maker), &w->restrictions);
	w->restricted = restrictions_needed(&w->options->policy);
}

static int get_maker(struct worker *w, const struct setup *s, struct err *err)
{
	struct maker_identity identity;
	int r = identify(w, (pid_t)s->asked->pid, &identity);

	if (r < 0)
		return err_set(err, r, "who asks could not be found out: %s", strerror(-r));
	if (w->maker && maker_is(w->maker, &identity))
		return 0;
	w->maker = maker_free(w->maker);
	r = maker_new(&identity, &w->maker, err);
	translate_policy(w);
	return r;
}

static uint32_t worker_limit(uint32_t limit)
{
	return limit == POLICY_NO_LIMIT ? 0 : limit ? limit : 1; /* 0 asks the kernel to leave it as it is */
}

static int make_ring(struct worker *w, struct setup *s, int *ret_ring, struct err *err)
{
	const struct policy *policy = &w->options->policy;
	const struct decide_verdict *v = &s->verdict;
	struct maker_order order = { .entries = v->entries,
				     .params = v->params,
				     .restricted = w->restricted,
				     .enable = !v->leave_disabled && !v->caller_enables,
				     .workers = { worker_limit(policy->workers_bounded),
						  worker_limit(policy->workers_unbounded) } };
	int r;

	order.limit_workers = order.workers[0] || order.workers[1];
	order.restrictions = w->restrictions;
	order.limits = s->limits;
	r = maker_make(w->maker, &order, w->options->patience_ms / 2, &s->params, ret_ring);
	if (r == -EOWNERDEAD)
		w->maker = maker_free(w->maker);
	if (r < 0)
		return err_set(err, r, "the kernel refused the ring: %s", strerror(-r));
	if (r > 0)
		return r;
	s->report.made_flags = s->params.flags;
	s->report.sq_entries = s->params.sq_entries;
	s->report.cq_entries = s->params.cq_entries;
	s->params.flags &= ~v->hidden_flags;
	return 0;
}

/* ---- giving it ---- */

static int give_plainly(struct worker *w, struct setup *s, int ring)
{
	int fd = put_ring(w, s->asked->id, ring);

	return fd < 0 ? fd : answer(w->options->listener, s->asked->id, fd, 0);
}

static int enable_there(struct injection *injection, const struct setup *s, int fd)
{
	const uint64_t args[4] = { (uint64_t)fd, URING_REG_ENABLE_RINGS, 0, 0 };
	int64_t result = -EPERM;
	int r = inject_await(injection, SYS_io_uring_setup, s->asked->data.instruction_pointer, fd);

	if (r == 0)
		r = inject_call(injection, SYS_io_uring_register, args, &result);
	if (r == INJECT_GONE)
		return -ESRCH;
	if (r < 0 || result < 0) {
		/* A ring that is never enabled is of no use, and of no harm. */
		inject_change_result(injection, -EPERM);
		return r < 0 ? r : (int)result;
	}
	return 0;
}

/* GIVE_TRACED: nothing has happened yet. */
enum { GIVE_TRACED = 1 };

static int give_and_enable(struct worker *w, struct setup *s, int ring)
{
	struct injection injection;
	int r = inject_begin(&injection, (pid_t)s->asked->pid), fd;

	if (r < 0 && !injection.thread)
		return GIVE_TRACED;
	fd = put_ring(w, s->asked->id, ring);
	r = answer(w->options->listener, s->asked->id, fd < 0 ? 0 : fd, fd < 0 ? -fd : 0);
	if (fd < 0)
		r = fd;
	if (r >= 0)
		r = enable_there(&injection, s, fd);
	inject_end(&injection);
	return r;
}

/* 0, GIVE_TRACED, or -errno with the answer sent already where there was one to send it to. */
static int give(struct worker *w, struct setup *s, int ring)
{
	int r = copy_params(s, &s->params, true);

	if (r == 0)
		r = s->verdict.caller_enables ? give_and_enable(w, s, ring) : give_plainly(w, s, ring);
	if (r < 0)
		serve_refuse(w->options->listener, s->asked->id, -r);
	return r < 0 ? r : r == GIVE_TRACED ? r : 0;
}

/* ---- one set-up ---- */

static void fail(struct worker *w, struct setup *s, int error, const char *what)
{
	serve_refuse(w->options->listener, s->asked->id, error);
	conclude(s, SERVE_FAILED, error, "%s", what);
}

static void deny_for_limit(struct worker *w, struct setup *s, enum policy_field field, const char *capability)
{
	const struct policy *policy = &w->options->policy;
	const char *name = limits_resource(field);

	s->report.field = (int)field;
	s->report.line = policy->lines[field];
	serve_refuse(w->options->listener, s->asked->id, serve_errno(policy));
	if (capability)
		snprintf(s->report.remedy, sizeof(s->report.remedy), "%s: unlimited, or a container without %s",
			 policy_field_name(field), capability);
	else
		snprintf(s->report.remedy, sizeof(s->report.remedy), "%s: unlimited, or %s of the container",
			 policy_field_name(field), name);
	conclude(s, SERVE_DENIED, serve_errno(policy),
		 capability ? "%s does not keep who may have %s" : "its %s cannot be lowered", name, capability);
}

/* Whether the limits that it is to have would mean something to it. */
static int check_limits(struct worker *w, struct setup *s)
{
	const char *capability = NULL;
	int r;

	if (!w->options->set_limits)
		return 0;
	s->limits = limits_of(&w->options->policy, (pid_t)s->asked->pid);
	r = limits_undone(&s->limits, &capability);
	if (r < 0)
		fail(w, s, serve_errno(&w->options->policy), "its capabilities could not be read");
	if (r > 0)
		deny_for_limit(w, s, (enum policy_field)r, capability);
	return r;
}

/* 0 = it is dealt with, 1 = once more, without the caller's help. */
static int attempt(struct worker *w, struct setup *s)
{
	const struct policy *policy = &w->options->policy;
	CLEANUP(cleanup_fd) int ring = -1;
	struct err err = { "" };
	int r;

	decide(policy, &s->request, &s->verdict);
	s->report.field = s->verdict.field;
	s->report.line = s->verdict.line;
	snprintf(s->report.remedy, sizeof(s->report.remedy), "%s", s->verdict.remedy);
	if (s->verdict.outcome == DECIDE_DENIED) {
		serve_refuse(w->options->listener, s->asked->id, s->verdict.error);
		conclude(s, SERVE_DENIED, s->verdict.error, "%s", s->verdict.what);
		return 0;
	}
	if (check_limits(w, s) != 0)
		return 0;
	r = get_maker(w, s, &err);
	if (r < 0)
		return fail(w, s, serve_errno(policy), err.text), 0;
	r = make_ring(w, s, &ring, &err);
	if (r < 0)
		return fail(w, s, r == -EOWNERDEAD ? serve_errno(policy) : -r, err.text), 0;
	if (r > 0)
		return deny_for_limit(w, s, (enum policy_field)r, NULL), 0;
	r = give(w, s, ring);
	if (r == GIVE_TRACED)
		return 1;
	if (r < 0)
		conclude(s, SERVE_FAILED, -r, "the ring could not be given: %s", strerror(-r));
	else
		conclude(s, s->verdict.outcome == DECIDE_ALTERED ? SERVE_ALTERED : SERVE_MADE, 0, "%s",
			 s->verdict.what);
	return 0;
}

static void look_and_attempt(struct worker *w, struct setup *s)
{
	int r = copy_params(s, &s->params, false);
	struct uring_params asked;

	if (r == 0 && !is_valid(w, s->asked->id))
		r = -ESRCH;
	if (r == -EFAULT || r == -ESRCH)
		return fail(w, s, -r, r == -EFAULT ? "its parameters are not in its memory" : "it was gone");
	if (r < 0)
		return fail(w, s, serve_errno(&w->options->policy), "its memory may not be read");
	r = count(w, s);
	if (r < 0)
		return fail(w, s, serve_errno(&w->options->policy), "its rings could not be counted");
	asked = s->params;
	s->report.flags = asked.flags;
	s->request.params = &asked;
	s->request.can_enable = w->options->wait_killable;
	for (int i = 0; i < ATTEMPTS && attempt(w, s) == 1; i++)
		s->request.can_enable = false;
}

static void handle(struct worker *w)
{
	const struct seccomp_notif *asked = w->notification;
	struct setup s = { .asked = asked, .began = now_ns() };

	arm(w);
	s.report.field = -1;
	s.report.tid = s.report.pid = (pid_t)asked->pid;
	s.report.entries = (uint32_t)asked->data.args[0];
	s.request.entries = s.report.entries;
	s.request.mechanism = w->options->mechanism;
	if (asked->data.nr != SYS_io_uring_setup || asked->data.arch != SERVE_ARCH)
		fail(w, &s, ENOSYS, "a call that is not io_uring_setup");
	else
		look_and_attempt(w, &s);
	s.report.latency_ns = now_ns() - s.began;
	tell(w, &s); /* reads /proc: under the clock too */
	disarm(w);
}

/* ---- the worker ---- */

static int heed_guardian(struct worker *w)
{
	struct policy policy;
	ssize_t n = recv(w->options->socket, &policy, sizeof(policy), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return -EPIPE;
	if (n == sizeof(policy)) {
		w->options->policy = policy;
		translate_policy(w);
	}
	return 0;
}

static int prepare(struct worker *w)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct seccomp_notif_sizes sizes = { 0 };
	struct rlimit none = { 0 };
	sigset_t all;
	int r = kernel_seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &sizes);

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (r < 0 || setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &none) < 0 || timer_create(CLOCK_MONOTONIC, &event, &w->timer) < 0)
		return -1;
	w->join = geteuid() == 0;
	w->notification_bytes =
		sizes.seccomp_notif > sizeof(*w->notification) ? sizes.seccomp_notif : sizeof(*w->notification);
	w->notification = calloc(1, w->notification_bytes);
	return w->notification && getppid() == w->options->guardian ? 0 : -1;
}

void serve_worker_main(struct serve_worker_options *options)
{
	struct worker w = { .options = options };
	struct pollfd fds[] = { { .fd = options->listener, .events = POLLIN },
				{ .fd = options->socket, .events = POLLIN } };

	if (prepare(&w) < 0)
		_exit(1);
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents && heed_guardian(&w) < 0)
			break;
		if (fds[0].revents & POLLIN && receive(&w) == 0)
			handle(&w);
		else if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			break;
	}
	maker_free(w.maker);
	_exit(0);
}
