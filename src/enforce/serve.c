/* SPDX-License-Identifier: MIT */
/* The guardian of a worker: see serve.h for why there are two. */
#include "enforce/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "enforce/policy.h"
#include "enforce/serve-inner.h"
#include "kernel/call.h"
#include "kernel/proc.h"

enum { DEFAULT_PATIENCE_MS = 3000, MAX_REPORTS = 64 /* a turn */, LOST_NUMBERS = 1024 };

enum source { SOURCE_LISTENER, SOURCE_WORKER, SOURCE_REPORTS, SOURCE_CHILDREN };

struct serve {
	struct serve_options options;
	struct policy policy;
	struct serve_shared *shared;
	pid_t worker;
	int pidfd, socket, epoll, signals;
	uint64_t workers;
	bool ending; /* nobody is left who could ask */
};

static int watch(struct serve *serve, int fd, enum source source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = source };

	return epoll_ctl(serve->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* ---- the worker ---- */

static void __attribute__((noreturn)) become_worker(const struct serve *serve, int socket, pid_t guardian)
{
	struct serve_worker_options options = { .listener = serve->options.listener,
						.socket = socket,
						.guardian = guardian,
						.shared = serve->shared,
						.mechanism = serve->options.mechanism,
						.policy = serve->policy,
						.root = serve->options.root,
						.astray = serve->options.astray,
						.set_limits = serve->options.set_limits,
						.patience_ms = serve->options.patience_ms };

	close(serve->socket);
	serve_worker_main(&options);
}

static int start_worker(struct serve *serve)
{
	pid_t guardian = getpid();
	int sockets[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	serve->socket = sockets[0];
	serve->worker = fork();
	if (serve->worker == 0)
		become_worker(serve, sockets[1], guardian);
	close(sockets[1]);
	if (serve->worker < 0)
		return -errno;
	serve->workers++;
	serve->pidfd = kernel_pidfd_open(serve->worker, 0);
	r = serve->pidfd < 0 ? serve->pidfd : watch(serve, serve->pidfd, SOURCE_WORKER, EPOLLIN);
	return r < 0 ? r : watch(serve, serve->socket, SOURCE_REPORTS, EPOLLIN);
}

static void forget_worker(struct serve *serve)
{
	cleanup_fd(&serve->pidfd);
	cleanup_fd(&serve->socket);
	serve->worker = serve->pidfd = serve->socket = -1;
}

static void reap_worker(struct serve *serve)
{
	while (waitpid(serve->worker, NULL, 0) < 0 && errno == EINTR)
		;
	forget_worker(serve);
}

int serve_errno(const struct policy *policy)
{
	return policy->answer == POLICY_ANSWER_ENOSYS ? ENOSYS : EPERM;
}

void serve_name(struct serve_report *report)
{
	struct proc_status status;

	if (proc_read_status(report->tid, &status) < 0)
		return;
	report->pid = (pid_t)status.tgid;
	snprintf(report->comm, sizeof(report->comm), "%.15s", status.name);
}

static void tell_killed(const struct serve *serve, pid_t thread)
{
	struct serve_report report = { .kind = SERVE_KILLED, .pid = thread, .tid = thread, .field = -1 };

	if (!serve->options.report)
		return;
	report.error = serve_errno(&serve->policy);
	serve_name(&report);
	strcpy(report.what, "the process that answers was killed, or its patience with this request ended");
	serve->options.report(serve->options.context, &report);
}

static void refuse_one(int listener, struct serve_shared *shared, uint64_t id, int error)
{
	serve_refuse(listener, id, error);
	atomic_fetch_add(&shared->failed, 1);
}

/* Those that it had received and not come to. */
static void refuse_held(int listener, struct serve_shared *shared, int error)
{
	for (size_t i = 0; i < SERVE_HELD; i++) {
		uint64_t id = atomic_exchange(&shared->held[i], 0);

		if (id)
			refuse_one(listener, shared, id, error);
	}
}

/*
 * The last that it had received, or one more, which it had not written down yet. The kernel numbers a listener's
 * notifications one after the other (test-serve.c sees it), and takes no answer to one that was not received. Some of
 * them may have ended unasked.
 */
static void refuse_lost(int listener, struct serve_shared *shared, int error)
{
	uint64_t last = atomic_load(&shared->last);

	for (uint64_t i = 0; last && i <= LOST_NUMBERS; i++)
		if (serve_answer(listener, last + i, 0, error) == 0)
			atomic_fetch_add(&shared->failed, 1);
}

bool serve_recover(int listener, struct serve_shared *shared, _Atomic bool *astray, int error)
{
	uint64_t notification = atomic_exchange(&shared->notification, 0);

	if (notification) {
		atomic_store(astray, true);
		refuse_one(listener, shared, notification, error);
	}
	refuse_held(listener, shared, error);
	refuse_lost(listener, shared, error);
	return notification;
}

/* What it was at work on is refused; others that wait will be asked for by the next worker. */
static int replace_worker(struct serve *serve, struct err *err)
{
	int r;

	reap_worker(serve);
	if (serve_recover(serve->options.listener, serve->shared, serve->options.astray, serve_errno(&serve->policy)))
		tell_killed(serve, atomic_load(&serve->shared->asking));
	r = start_worker(serve);
	return r < 0 ? err_set(err, r, "the process that answers io_uring_setup cannot be started again: %s",
			       strerror(-r))
		     : 0;
}

/* Somebody of the same user may stop it: that is undone. SIGCHLD tells; what it tells is looked up. */
static void continue_worker(const struct serve *serve)
{
	struct signalfd_siginfo signal;
	siginfo_t info = { .si_pid = 0 };

	while (read(serve->signals, &signal, sizeof(signal)) == sizeof(signal))
		;

	if (serve->worker > 0 && waitid(P_PID, (id_t)serve->worker, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid > 0)
		kill(serve->worker, SIGCONT);
}

/* ---- reports ---- */

static bool is_report(const struct serve_report *report, ssize_t n)
{
	return n == sizeof(*report) && memchr(report->what, 0, sizeof(report->what)) &&
	       memchr(report->remedy, 0, sizeof(report->remedy)) && memchr(report->comm, 0, sizeof(report->comm));
}

/* Whether there may be more. */
static bool take_reports(struct serve *serve)
{
	struct serve_report report;

	for (unsigned int i = 0; i < MAX_REPORTS && serve->socket >= 0; i++) {
		ssize_t n = recv(serve->socket, &report, sizeof(report), MSG_DONTWAIT);

		if (n <= 0)
			return false;
		if (is_report(&report, n) && serve->options.report)
			serve->options.report(serve->options.context, &report);
	}
	return serve->socket >= 0;
}

/* ---- the object ---- */

static int hear_of_children(struct serve *serve)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	serve->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return serve->signals < 0 ? -errno : watch(serve, serve->signals, SOURCE_CHILDREN, EPOLLIN);
}

static struct serve_shared *new_shared(void)
{
	return mmap(NULL, sizeof(struct serve_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int serve_new(const struct serve_options *options, struct serve **ret_serve, struct err *err)
{
	CLEANUP(cleanup_serve) struct serve *serve = NULL;
	int r;

	if (options->mechanism == MECHANISM_TASK)
		return err_set(err, -EOPNOTSUPP, "io_uring_setup cannot be answered under %s",
			       mechanism_name(options->mechanism));
	serve = calloc(1, sizeof(*serve));
	if (!serve)
		return err_set(err, -ENOMEM, "out of memory");
	*serve = (struct serve){ .options = *options,
				 .policy = *options->policy,
				 .worker = -1,
				 .pidfd = -1,
				 .socket = -1,
				 .epoll = -1,
				 .signals = -1,
				 .shared = MAP_FAILED };
	serve->options.policy = &serve->policy;
	if (serve->options.patience_ms == 0)
		serve->options.patience_ms = DEFAULT_PATIENCE_MS;
	serve->shared = options->shared ? options->shared : new_shared();
	if (!serve->options.astray && serve->shared != MAP_FAILED)
		serve->options.astray = &serve->shared->astray;
	serve->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (serve->shared == MAP_FAILED || serve->epoll < 0)
		return err_set(err, -errno, "cannot prepare to answer io_uring_setup: %m");
	/* Its descriptors give access to rings that are not restricted yet. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_set(err, -errno, "cannot be protected from being traced: %m");
	r = watch(serve, options->listener, SOURCE_LISTENER, 0);
	if (r == 0)
		r = hear_of_children(serve);
	if (r == 0)
		r = start_worker(serve);
	if (r < 0)
		return err_set(err, r, "the process that answers io_uring_setup cannot be started: %s", strerror(-r));
	*ret_serve = serve;
	serve = NULL;
	return 0;
}

struct serve *serve_free(struct serve *serve)
{
	if (!serve)
		return NULL;
	if (serve->worker > 0) {
		kill(serve->worker, SIGKILL);
		reap_worker(serve);
	}
	if (serve->shared != MAP_FAILED && !serve->options.shared)
		munmap(serve->shared, sizeof(*serve->shared));
	cleanup_fd(&serve->epoll);
	cleanup_fd(&serve->signals);
	free(serve);
	return NULL;
}

int serve_fd(const struct serve *serve)
{
	return serve->epoll;
}

pid_t serve_worker(const struct serve *serve)
{
	return serve->worker;
}

static void stop_listening(struct serve *serve)
{
	epoll_ctl(serve->epoll, EPOLL_CTL_DEL, serve->options.listener, NULL);
	serve->ending = true;
}

int serve_dispatch(struct serve *serve, struct err *err)
{
	struct epoll_event events[8];
	int n = epoll_wait(serve->epoll, events, 8, 0);
	bool died = false, ended = false;

	continue_worker(serve);
	for (int i = 0; i < n; i++) {
		died |= events[i].data.u32 == SOURCE_WORKER;
		ended |= events[i].data.u32 == SOURCE_LISTENER;
	}
	/* The worker sees that too, and goes when it has told of the last request. */
	if (ended)
		stop_listening(serve);
	while (take_reports(serve) && died)
		;
	if (died && serve->ending)
		return SERVE_ENDED;
	return died ? replace_worker(serve, err) : 0;
}

int serve_set_policy(struct serve *serve, const struct policy *policy, struct err *err)
{
	ssize_t n;

	serve->policy = *policy;
	do
		n = send(serve->socket, policy, sizeof(*policy), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	/* A worker that is gone is replaced by one that knows it. */
	return n < 0 && errno != EPIPE && errno != ECONNRESET
		       ? err_set(err, -errno, "the policy cannot be handed over: %m")
		       : 0;
}

void serve_get_status(const struct serve *serve, struct serve_status *ret_status)
{
	struct serve_shared *shared = serve->shared;

	*ret_status = (struct serve_status){ .made = atomic_load(&shared->made),
					     .altered = atomic_load(&shared->altered),
					     .denied = atomic_load(&shared->denied),
					     .failed = atomic_load(&shared->failed),
					     .workers = serve->workers,
					     .unreported = atomic_load(&shared->unreported) };
}
