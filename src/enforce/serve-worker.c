/* SPDX-License-Identifier: MIT */
/*
 * The worker: one notification after the other is read, decided, carried out and answered. What can hang is between
 * arm() and disarm(): there the process ends itself when its patience is over, and the guardian answers.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "enforce/census.h"
#include "enforce/serve-setup.h"
#include "kernel/call.h"

/* ---- its time ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void set_timer(const struct serve_worker *w, uint32_t ms)
{
	struct itimerspec time = { .it_value = { ms / 1000, (long)(ms % 1000) * 1000000 } };

	timer_settime(w->timer, 0, &time, NULL);
}

static void arm(struct serve_worker *w, const struct seccomp_notif *asked)
{
	atomic_store(&w->options->shared->asking, (int32_t)asked->pid);
	atomic_store(&w->options->shared->notification, asked->id);
	set_timer(w, w->options->patience_ms);
}

static void disarm(struct serve_worker *w)
{
	set_timer(w, 0);
	atomic_store(&w->options->shared->notification, 0);
}

/* ---- telling of it ---- */

void serve_conclude(struct serve_setup *s, enum serve_kind kind, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->report.what, sizeof(s->report.what), format, args);
	va_end(args);
	s->report.kind = kind;
	s->report.error = error;
}

void serve_conclude_refused(struct serve_setup *s, int r)
{
	serve_conclude(s, SERVE_FAILED, -r, "the kernel refused the ring: %s", strerror(-r));
	if (r == -ENOMEM)
		snprintf(s->report.remedy, sizeof(s->report.remedy),
			 "a higher RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=, --ulimit memlock=)");
}

static void tell(struct serve_worker *w, struct serve_setup *s)
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

/* ---- the program ---- */

/* Only what came whole counts: errno is of no use after a part. */
static int transferred(ssize_t n)
{
	return n == sizeof(struct uring_params) ? 0 : n < 0 ? -errno : -EFAULT;
}

int serve_read_params(const struct serve_setup *s, struct uring_params *ret_params)
{
	struct iovec here = { ret_params, sizeof(*ret_params) };
	struct iovec there = { (void *)(uintptr_t)s->asked.data.args[1], sizeof(*ret_params) };

	return transferred(process_vm_readv((pid_t)s->asked.pid, &here, 1, &there, 1, 0));
}

int serve_write_params(const struct serve_setup *s, const struct uring_params *params)
{
	struct iovec here = { (void *)params, sizeof(*params) };
	struct iovec there = { (void *)(uintptr_t)s->asked.data.args[1], sizeof(*params) };

	return transferred(process_vm_writev((pid_t)s->asked.pid, &here, 1, &there, 1, 0));
}

static int count(const struct serve_worker *w, struct serve_setup *s)
{
	const struct policy *policy = &w->options->policy;
	const struct census_scope scope = { .root = w->options->root,
					    .aside = getpid(),
					    .asking = (pid_t)s->asked.pid,
					    .host = decide_needs_host_counts(policy, s->original.flags) };

	return decide_needs_counts(policy) || scope.host ? census_take(&scope, &s->request.counts) : 0;
}

/* ---- one set-up ---- */

static void fail(struct serve_worker *w, struct serve_setup *s, int error, const char *what)
{
	serve_turn_away(w, s, error);
	serve_conclude(s, SERVE_FAILED, error, "%s", what);
}

static void deny(struct serve_worker *w, struct serve_setup *s)
{
	serve_turn_away(w, s, s->verdict.error);
	serve_conclude(s, SERVE_DENIED, s->verdict.error, "%s", s->verdict.what);
}

void serve_deny_limit(struct serve_worker *w, struct serve_setup *s, enum policy_field field, const char *capability)
{
	const struct policy *policy = &w->options->policy;
	const char *name = limits_resource(field);

	s->report.field = (int)field;
	s->report.line = policy->lines[field];
	serve_turn_away(w, s, serve_errno(policy));
	if (capability)
		snprintf(s->report.remedy, sizeof(s->report.remedy), "%s: unlimited, or a container without %s",
			 policy_field_name(field), capability);
	else
		snprintf(s->report.remedy, sizeof(s->report.remedy), "%s: unlimited, or %s of the container",
			 policy_field_name(field), name);
	serve_conclude(s, SERVE_DENIED, serve_errno(policy),
		       capability ? "%s does not keep who may have %s" : "its %s cannot be lowered", name, capability);
}

/* Whether the limits that it is to have would mean something to it. */
static int check_limits(struct serve_worker *w, struct serve_setup *s)
{
	const char *capability = NULL;
	int r;

	if (!w->options->set_limits)
		return 0;
	s->limits = limits_of(&w->options->policy, (pid_t)s->asked.pid);
	r = limits_undone(&s->limits, &capability);
	if (r < 0)
		fail(w, s, serve_errno(&w->options->policy), "its capabilities could not be read");
	if (r > 0)
		serve_deny_limit(w, s, (enum policy_field)r, capability);
	return r;
}

/* 0 = it is dealt with; SERVE_OUT_OF_REACH. */
static int attempt(struct serve_worker *w, struct serve_setup *s)
{
	struct err err = { "" };

	decide(&w->options->policy, &s->request, &s->verdict);
	s->report.field = s->verdict.field;
	s->report.line = s->verdict.line;
	snprintf(s->report.remedy, sizeof(s->report.remedy), "%s", s->verdict.remedy);
	if (s->verdict.outcome == DECIDE_DENIED)
		return deny(w, s), 0;
	if (check_limits(w, s) != 0)
		return 0;
	if (serve_get_maker(w, s, &err) < 0)
		return fail(w, s, serve_errno(&w->options->policy), err.text), 0;
	return s->request.mechanism == MECHANISM_CALLER ? serve_by_caller(w, s) : serve_by_helper(w, s);
}

/* Its parameters are read, and are this call's; where it could leave it before it is answered, it no longer can. */
static int look(struct serve_worker *w, struct serve_setup *s)
{
	int r = serve_read_params(s, &s->original);

	if (r == 0 && !serve_is_valid(w->options->listener, s->asked.id))
		return -ESRCH;
	if (r == 0 && w->options->mechanism != MECHANISM_STRIP && serve_is_fleeting(w))
		r = serve_bind(w, s);
	return r == SERVE_OUT_OF_REACH ? 0 : r;
}

static void look_and_attempt(struct serve_worker *w, struct serve_setup *s)
{
	int r = look(w, s);

	if (r == -EFAULT || r == -ESRCH || r == -EINTR)
		return fail(w, s, -r, r == -EFAULT ? "its parameters are not in its memory" : "it was gone");
	if (r < 0)
		return fail(w, s, serve_errno(&w->options->policy), "its memory may not be read");
	r = count(w, s);
	if (r < 0)
		return fail(w, s, serve_errno(&w->options->policy), "its rings could not be counted");
	s->report.flags = s->original.flags;
	s->request.params = &s->original;
	s->request.mechanism = w->options->mechanism;
	s->request.can_enable = !atomic_load(w->options->astray);
	if (attempt(w, s) == SERVE_OUT_OF_REACH) {
		s->request.mechanism = MECHANISM_STRIP;
		(void)attempt(w, s);
	}
}

/* ---- whatever is asked ---- */

static const struct {
	int number;
	void (*handle)(struct serve_worker *w, struct serve_setup *s);
} calls[] = { { SYS_io_uring_setup, look_and_attempt }, { SYS_io_uring_register, serve_enable } };

static void dispatch(struct serve_worker *w, struct serve_setup *s)
{
	const struct seccomp_data *data = &s->asked.data;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (data->nr == calls[i].number && data->arch == SERVE_ARCH)
			return calls[i].handle(w, s);
	fail(w, s, ENOSYS, "a call that is not io_uring_setup");
}

static void handle(struct serve_worker *w, const struct seccomp_notif *asked)
{
	struct serve_setup s = { .asked = *asked, .began = now_ns() };

	arm(w, asked);
	s.report.field = -1;
	s.report.tid = s.report.pid = (pid_t)asked->pid;
	s.report.entries = s.request.entries = (uint32_t)asked->data.args[0];
	dispatch(w, &s);
	inject_end(&s.caller);
	s.report.latency_ns = now_ns() - s.began;
	if (!s.is_quiet)
		tell(w, &s); /* reads /proc: under the clock too */
	disarm(w);
}

/* ---- the worker ---- */

static int heed_guardian(struct serve_worker *w)
{
	struct policy policy;
	ssize_t n = recv(w->options->socket, &policy, sizeof(policy), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return -EPIPE;
	if (n == sizeof(policy)) {
		w->options->policy = policy;
		serve_translate_policy(w);
	}
	return 0;
}

/* What is traced and the maker; only heard of, SIGCHLD stays blocked. */
static int listen_to_children(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	signal(SIGCHLD, SIG_DFL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int prepare(struct serve_worker *w)
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
	w->children = listen_to_children();
	w->buffer_bytes = sizes.seccomp_notif > sizeof(*w->held) ? sizes.seccomp_notif : sizeof(*w->held);
	w->buffer = calloc(1, w->buffer_bytes);
	return w->children >= 0 && w->buffer && getppid() == w->options->guardian ? 0 : -1;
}

void serve_worker_main(struct serve_worker_options *options)
{
	static struct serve_worker w;
	struct seccomp_notif asked;
	struct pollfd fds[] = { { .fd = options->listener, .events = POLLIN },
				{ .fd = options->socket, .events = POLLIN } };

	w.options = options;
	if (prepare(&w) < 0)
		_exit(1);
	for (;;) {
		bool held = serve_has_held(&w);

		if (poll(fds, 2, held ? 0 : -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents && heed_guardian(&w) < 0)
			break;
		if ((held || fds[0].revents & POLLIN) && serve_receive(&w, &asked) == 0)
			handle(&w, &asked);
		else if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			break;
	}
	maker_free(w.maker);
	_exit(0);
}
