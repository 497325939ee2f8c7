/* SPDX-License-Identifier: MIT */
/* The containers that the agent serves, and the workers that do it. */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-pass.h"
#include "enforce/agent-profile.h"
#include "enforce/agent-rules.h"

static struct agent_page *page_of(const struct agent *agent, const struct agent_container *container)
{
	return agent_board_page(agent->board, (size_t)(container - agent->containers));
}

static bool is_used(const struct agent_container *container)
{
	return container->worker > 0;
}

size_t agent_crew_count(const struct agent *agent)
{
	size_t n = 0;

	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		n += is_used(&agent->containers[i]);
	return n;
}

/* ---- what workers tell ---- */

/* What a program calls itself may be any bytes, and what a worker says too, should somebody have taken it over. */
static void clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (!isprint((unsigned char)*text))
			*text = '?';
}

static void log_denied(struct agent *agent, const struct agent_container *container, struct serve_report *report)
{
	static const char *const kinds[] = {
		[SERVE_DENIED] = "denied",
		[SERVE_FAILED] = "failed",
		[SERVE_KILLED] = "hung",
	};
	const char *kind = report->kind >= SERVE_DENIED && report->kind <= SERVE_KILLED ? kinds[report->kind] : "?";
	bool has_field = report->field >= 0 && report->field < POLICY_N_FIELDS;

	clean(report->comm, sizeof report->comm);
	clean(report->what, sizeof report->what);
	clean(report->remedy, sizeof report->remedy);
	agent_log(&agent->log, AGENT_WARNING, "setup-denied", "s:s, s:i, s:s, s:s, s:s?, s:i, s:s, s:s, s:s, s:I", "id",
		  container->state.id, "pid", (int)report->pid, "comm", report->comm, "outcome", kind, "field",
		  has_field ? policy_field_name((enum policy_field)report->field) : NULL, "errno", report->error,
		  "what", report->what, "remedy", report->remedy, "policy", container->policy.file, "line",
		  (json_int_t)report->line);
}

static void hear(struct agent *agent, struct agent_container *container, struct agent_word *word)
{
	clean(word->problem.text, sizeof word->problem.text);
	container->listeners = word->listeners;
	if (word->kind == AGENT_WORD_DENIED)
		log_denied(agent, container, &word->report);
	if (word->kind == AGENT_WORD_PROBLEM)
		agent_log(&agent->log, AGENT_ERROR, "worker-problem", "s:s, s:s", "id", container->state.id, "text",
			  word->problem.text);
}

static void on_channel(struct agent *agent, struct agent_source *source)
{
	struct agent_container *container = (struct agent_container *)source;
	struct agent_word word;
	size_t n_fds = 0;

	for (int i = 0; i < 16; i++) { /* the others shall have their turn */
		ssize_t n = agent_pass_receive(source->fd, &word, sizeof word, NULL, 0, &n_fds);

		if (n == -EAGAIN)
			return;
		if (n != (ssize_t)sizeof word) {
			agent_unwatch(agent, source);
			return;
		}
		hear(agent, container, &word);
	}
}

/* ---- beginning ---- */

static void name_and_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_NAME, "circlip-worker", 0, 0, 0);
}

static void __attribute__((noreturn))
work(const struct agent *agent, const struct agent_container *container, pid_t parent, int channel, int listener)
{
	size_t index = (size_t)(container - agent->containers);
	struct agent_worker worker = {
		.page = page_of(agent, container),
		.policy = container->policy,
		.mechanism = container->mechanism,
		.patience_ms = agent->options.patience_ms,
	};
	struct agent_word word = { .kind = AGENT_WORD_PROBLEM };

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, 0);
	name_and_signals();
	if (agent_pass_keep_only(&channel, &listener) < 0)
		_exit(1);
	agent_board_keep_only(agent->board, AGENT_CONTAINERS, index);
	worker.channel = channel;
	worker.listener = listener;
	if (agent_confine_worker(&word.problem) < 0) {
		(void)agent_pass(channel, &word, sizeof word, -1);
		_exit(1);
	}
	_exit(agent_worker_run(&worker));
}

static int start(struct agent *agent, struct agent_container *container, int listener)
{
	int pair[2];
	pid_t pid, parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	agent_board_clear(page_of(agent, container));
	pid = fork();
	if (pid == 0)
		work(agent, container, parent, pair[1], listener);
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return -EAGAIN;
	}
	setpgid(pid, pid);
	container->worker = pid;
	container->channel = (struct agent_source){ .ready = on_channel, .fd = pair[0] };
	container->since = agent_board_now();
	return agent_watch(agent, &container->channel, EPOLLIN);
}

static struct agent_container *find_free(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		if (!is_used(&agent->containers[i]))
			return &agent->containers[i];
	return NULL;
}

/* crun's exec says "." for the bundle. */
static bool is_same_bundle(const struct oci_state *a, const struct oci_state *b)
{
	return *b->bundle != '/' || strcmp(a->bundle, b->bundle) == 0;
}

/* All that the rules look at must be the same: two runtimes may give containers the same id. */
static bool is_same(const struct oci_state *a, const struct oci_state *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->metadata, b->metadata) == 0 &&
	       strcmp(a->policy, b->policy) == 0 && is_same_bundle(a, b);
}

/* The one that new programs of this container belong to. */
static struct agent_container *find_same(struct agent *agent, const struct oci_state *state, uid_t uid)
{
	for (size_t i = 0; i < AGENT_CONTAINERS; i++) {
		struct agent_container *container = &agent->containers[i];

		if (is_used(container) && !container->superseded && container->uid == uid &&
		    is_same(&container->state, state))
			return container;
	}
	return NULL;
}

static void refuse(struct agent *agent, const struct oci_state *state, const char *why)
{
	agent->refused++;
	agent_log(&agent->log, AGENT_WARNING, "container-refused", "s:s, s:s, s:s, s:s", "id", state->id, "metadata",
		  state->metadata, "annotation", state->policy, "why", why);
}

/* Its own, as far as its profile and the guard allow. */
static enum mechanism choose_mechanism(struct agent *agent, struct agent_container *container, bool by_caller)
{
	struct err err;

	if (!by_caller || !agent->guard)
		return agent->options.force.mechanism;
	if (agent_guard_take(agent, container, &err) == 0)
		return MECHANISM_CALLER;
	agent_log(&agent->log, AGENT_WARNING, "container-not-guarded", "s:s, s:s", "id", container->state.id, "why",
		  err.text);
	return agent->options.force.mechanism;
}

static void begin(struct agent *agent, const struct oci_state *state, uid_t uid, bool by_caller, int listener)
{
	struct agent_container *container = find_free(agent);
	struct agent_container fresh = { .channel.fd = -1, .uid = uid, .state = *state };

	if (agent_rules_match(agent->rules, state, &fresh.policy, fresh.why) != 0) {
		refuse(agent, state, fresh.why);
		return;
	}
	if (!container) {
		refuse(agent, state, "as many containers as allowed are served already");
		return;
	}
	*container = fresh;
	container->mechanism = choose_mechanism(agent, container, by_caller);
	if (agent->options.callers == AGENT_CALLERS_ALWAYS && container->mechanism != MECHANISM_CALLER) {
		refuse(agent, state, by_caller ? "the guard cannot hold it" : "its profile is not made for caller");
		return;
	}
	if (start(agent, container, listener) < 0) {
		container->worker = 0;
		agent_guard_let_go(agent, container);
		refuse(agent, state, "no worker could be started");
		return;
	}
	agent->begun++;
	agent_log(&agent->log, AGENT_INFO, "container-begun", "s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i", "id",
		  state->id, "status", oci_status_name(state->status), "metadata", state->metadata, "annotation",
		  state->policy, "policy", container->policy.name, "why", container->why, "mechanism",
		  mechanism_name(container->mechanism), "pid", (int)state->pid, "worker", (int)container->worker);
}

/* A program that was exec'd into a container draws on that container's budget, so the same worker answers it. */
static void join(struct agent *agent, struct agent_container *container, bool by_caller, int listener)
{
	const struct agent_order order = { .kind = AGENT_ORDER_LISTEN,
					   .mechanism =
						   by_caller ? container->mechanism : agent->options.force.mechanism };

	if (container->killed || agent_pass(container->channel.fd, &order, sizeof order, listener) < 0) {
		refuse(agent, &container->state, "the container's worker takes no further program");
		return;
	}
	container->execs++;
	agent_log(&agent->log, AGENT_INFO, "exec-begun", "s:s, s:i, s:s", "id", container->state.id, "worker",
		  (int)container->worker, "mechanism", mechanism_name(order.mechanism));
}

/*
 * listenerMetadata may end with ";caller": it stands in the same profile as the rules that `caller` rests on (enforce/
 * filter.h), and there is no other way to know of them. True, and taken off.
 */
static bool take_flag(char *metadata)
{
	size_t length = strlen(metadata), cut = strlen(AGENT_PROFILE_CALLER);

	if (length < cut || strcmp(metadata + length - cut, AGENT_PROFILE_CALLER) != 0)
		return false;
	metadata[length - cut] = '\0';
	return true;
}

void agent_crew_take(struct agent *agent, const struct oci_state *given, uid_t uid, int fd)
{
	CLEANUP(cleanup_fd) int listener = fd;
	struct oci_state state = *given;
	bool by_caller = take_flag(state.metadata);
	struct agent_container *same = find_same(agent, &state, uid);

	if (same && state.status == OCI_RUNNING) {
		join(agent, same, by_caller, listener);
		return;
	}
	if (same)
		same->superseded = true;
	begin(agent, &state, uid, by_caller, listener);
}

/* ---- ending ---- */

static void kill_worker(struct agent *agent, struct agent_container *container, const char *why)
{
	if (container->killed)
		return;
	container->killed = true;
	agent->killed++;
	agent_log(&agent->log, AGENT_ERROR, "worker-killed", "s:s, s:i, s:s", "id", container->state.id, "worker",
		  (int)container->worker, "why", why);
	kill(-container->worker, SIGKILL);
}

void agent_crew_tick(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_CONTAINERS; i++) {
		struct agent_container *container = &agent->containers[i];

		if (is_used(container) &&
		    agent_board_silent_ns(page_of(agent, container)) > agent->options.silence_ms * UINT64_C(1000000))
			kill_worker(agent, container, "it fell silent");
	}
}

static void log_end(struct agent *agent, const struct agent_container *container, int status,
		    const struct agent_numbers *numbers)
{
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	agent->crashed += !clean && !container->killed;
	agent_log(&agent->log, clean ? AGENT_INFO : AGENT_ERROR, clean ? "container-ended" : "worker-ended",
		  "s:s, s:i, s:I, s:I, s:I", "id", container->state.id, "wait_status", status, "made",
		  (json_int_t)numbers->made, "denied", (json_int_t)agent_numbers_denied(numbers), "untold",
		  (json_int_t)numbers->untold);
}

void agent_crew_ended(struct agent *agent, pid_t pid, int status)
{
	for (size_t i = 0; i < AGENT_CONTAINERS; i++) {
		struct agent_container *container = &agent->containers[i];
		struct agent_numbers numbers = { 0 };

		if (container->worker != pid)
			continue;
		on_channel(agent, &container->channel); /* what it said last */
		agent_board_add(&numbers, page_of(agent, container));
		agent_board_add(&agent->gone, page_of(agent, container));
		log_end(agent, container, status, &numbers);
		kill(-pid, SIGKILL); /* whatever it has left behind */
		agent_unwatch(agent, &container->channel);
		agent_guard_let_go(agent, container);
		container->worker = 0;
		return;
	}
}

static void match_again(struct agent *agent, struct agent_container *container)
{
	struct agent_order order = { .kind = AGENT_ORDER_POLICY, .policy = container->policy };
	bool refused = agent_rules_match(agent->rules, &container->state, &order.policy, container->why) != 0;
	struct err err;

	if (refused) {
		kill_worker(agent, container, "the rules refuse it now");
		return;
	}
	if (memcmp(&order.policy, &container->policy, sizeof order.policy) == 0)
		return;
	container->policy = order.policy;
	if (agent_guard_change(agent, container, &err) < 0)
		kill_worker(agent, container, err.text);
	else if (agent_pass(container->channel.fd, &order, sizeof order, -1) < 0)
		kill_worker(agent, container, "it does not take its new policy");
	else
		agent_log(&agent->log, AGENT_INFO, "policy-changed", "s:s, s:s, s:s", "id", container->state.id,
			  "policy", container->policy.name, "why", container->why);
}

void agent_crew_reload(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		if (is_used(&agent->containers[i]))
			match_again(agent, &agent->containers[i]);
}

void agent_crew_stop(struct agent *agent)
{
	for (size_t i = 0; agent->containers && i < AGENT_CONTAINERS; i++) {
		struct agent_container *container = &agent->containers[i];

		if (!is_used(container))
			continue;
		kill(-container->worker, SIGKILL);
		while (waitpid(container->worker, NULL, 0) < 0 && errno == EINTR)
			;
		agent_unwatch(agent, &container->channel);
		agent_guard_let_go(agent, container);
		container->worker = 0;
	}
}
