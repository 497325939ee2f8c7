/* SPDX-License-Identifier: MIT */
#include "enforce/agent-worker.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "enforce/agent-board.h"
#include "enforce/agent-keep.h"
#include "enforce/agent-pass.h"

enum { BEAT_MS = 500, TOLD = 64 };
#define TELL_AGAIN_NS 60000000000u

struct served {
	int fd;
	uint32_t listener; /* which it is of the account's */
	struct serve *serve;
};

/* A kind of denial that the agent was told of. */
struct told {
	enum serve_kind kind;
	int field, error;
	uint32_t flags;
	uint64_t at;
};

struct worker {
	struct agent_worker given;
	struct served served[AGENT_LISTENERS];
	size_t n;
	struct told told[TOLD];
	size_t n_told;
	uint64_t unreported; /* of listeners that are gone */
};

static void tell(struct worker *worker, struct agent_word *word)
{
	if (agent_pass(worker->given.channel, word, sizeof *word, -1) < 0 && word->kind == AGENT_WORD_DENIED)
		agent_board_untold(worker->given.page);
}

static void complain(struct worker *worker, const struct err *err)
{
	struct agent_word word = { .kind = AGENT_WORD_PROBLEM, .problem = *err };

	tell(worker, &word);
}

static bool is_same(const struct told *told, const struct serve_report *report)
{
	return told->kind == report->kind && told->field == report->field && told->error == report->error &&
	       told->flags == report->flags;
}

/* A container that is denied a thousand times a second must not fill the log: each kind once a minute. */
static bool is_news(struct worker *worker, const struct serve_report *report)
{
	uint64_t now = agent_board_now();
	struct told *told = NULL;

	for (size_t i = 0; i < worker->n_told && !told; i++)
		if (is_same(&worker->told[i], report))
			told = &worker->told[i];
	if (told && now - told->at < TELL_AGAIN_NS)
		return false;
	for (size_t i = 0; i < worker->n_told && !told; i++)
		if (now - worker->told[i].at >= TELL_AGAIN_NS)
			told = &worker->told[i];
	if (!told && worker->n_told == TOLD)
		return false;
	if (!told)
		told = &worker->told[worker->n_told++];
	*told = (struct told){ report->kind, report->field, report->error, report->flags, now };
	return true;
}

static void on_report(void *context, const struct serve_report *report)
{
	struct worker *worker = context;
	struct agent_word word = { .kind = AGENT_WORD_DENIED, .report = *report };

	agent_board_count(worker->given.page, report);
	if (report->kind == SERVE_MADE || report->kind == SERVE_ALTERED)
		return;
	if (is_news(worker, report))
		tell(worker, &word);
	else
		agent_board_untold(worker->given.page);
}

static int add(struct worker *worker, int fd, uint32_t listener, enum mechanism mechanism)
{
	struct agent_account *account = worker->given.account;
	const struct serve_options options = {
		.listener = fd,
		.mechanism = mechanism,
		.policy = &worker->given.policy,
		.set_limits = true,
		.astray = &account->astray,
		.shared = &account->listeners[listener].serve,
		.patience_ms = worker->given.patience_ms,
		.report = on_report,
		.context = worker,
	};
	struct served *served = &worker->served[worker->n];
	struct err err = { "" };
	int r;

	r = serve_new(&options, &served->serve, &err);
	if (r < 0) {
		complain(worker, &err);
		return r;
	}
	served->fd = fd;
	served->listener = listener;
	worker->n++;
	return 0;
}

/* The agent may use its place again as soon as it has ended. */
static void drop(struct worker *worker, size_t i)
{
	uint32_t listener = worker->served[i].listener;
	struct serve_status status;

	serve_get_status(worker->served[i].serve, &status);
	worker->unreported += status.unreported;
	worker->served[i].serve = serve_free(worker->served[i].serve);
	(void)close(worker->served[i].fd);
	worker->served[i] = worker->served[--worker->n];
	atomic_store(&worker->given.account->listeners[listener].ended, true);
}

static int set_policy(struct worker *worker, const struct policy *policy)
{
	struct err err = { "" };
	int r = 0;

	worker->given.policy = *policy;
	for (size_t i = 0; i < worker->n && r == 0; i++)
		r = serve_set_policy(worker->served[i].serve, policy, &err);
	if (r < 0)
		complain(worker, &err);
	return r;
}

/* -EPIPE: the agent is gone. */
static int obey(struct worker *worker)
{
	struct agent_order order;
	size_t n_fds = 0;
	int fd = -1;
	ssize_t n = agent_pass_receive(worker->given.channel, &order, sizeof order, &fd, 1, &n_fds);

	if (n == -EAGAIN)
		return 0;
	if (n != (ssize_t)sizeof order || (order.kind == AGENT_ORDER_LISTEN) != (fd >= 0))
		return -EPIPE;
	return fd >= 0 ? add(worker, fd, order.listener, order.mechanism) : set_policy(worker, &order.policy);
}

static int dispatch(struct worker *worker, size_t i)
{
	struct err err = { "" };
	int r = serve_dispatch(worker->served[i].serve, &err);

	if (r < 0)
		complain(worker, &err);
	if (r == SERVE_ENDED)
		drop(worker, i);
	return r < 0 ? r : 0;
}

static void beat(struct worker *worker)
{
	uint64_t unreported = worker->unreported;

	for (size_t i = 0; i < worker->n; i++) {
		struct serve_status status;

		serve_get_status(worker->served[i].serve, &status);
		unreported += status.unreported;
	}
	agent_board_alive(worker->given.page, unreported);
}

/* One turn: 0 or -errno. */
static int turn(struct worker *worker)
{
	struct pollfd polled[1 + AGENT_LISTENERS];
	size_t n = worker->n;
	int r = 0;

	polled[0] = (struct pollfd){ .fd = worker->given.channel, .events = POLLIN };
	for (size_t i = 0; i < n; i++)
		polled[1 + i] = (struct pollfd){ .fd = serve_fd(worker->served[i].serve), .events = POLLIN };
	if (poll(polled, (nfds_t)(1 + n), BEAT_MS) < 0 && errno != EINTR)
		return -errno;
	beat(worker);
	/* From behind: one that ended is replaced by the last. */
	for (size_t i = n; i-- > 0 && r == 0;)
		if (polled[1 + i].revents)
			r = dispatch(worker, i);
	return r == 0 && polled[0].revents ? obey(worker) : r;
}

int agent_worker_run(const struct agent_worker *given)
{
	static struct worker worker;
	int r = 0;

	worker.given = *given;
	beat(&worker);
	for (uint32_t i = 0; i < AGENT_LISTENERS && r == 0; i++)
		if (given->listeners[i].fd >= 0)
			r = add(&worker, given->listeners[i].fd, i, given->listeners[i].mechanism);
	while (r == 0 && worker.n)
		r = turn(&worker);
	return r == 0 ? 0 : 1;
}
