/* SPDX-License-Identifier: MIT */
/*
 * The containers that the agent serves. Each has one worker; behind one that ended before its time another begins, once
 * nothing of the first is left that could still answer. A container is over when none of its programs is left, or when
 * it is given up: then its listeners are closed, and the kernel answers its further set-ups with ENOSYS.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-pass.h"
#include "enforce/agent-profile.h"
#include "enforce/agent-rules.h"
#include "enforce/agent-store.h"

/* So many workers of one container may end before their time in so long. */
enum { REVIVALS = 5 };
#define REVIVALS_NS 60000000000u

static struct agent_page *page_of(const struct agent *agent, const struct agent_container *container)
{
	return agent_board_page(agent->board, (size_t)(container - agent->containers));
}

size_t agent_crew_count(const struct agent *agent)
{
	size_t n = 0;

	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		n += agent->containers[i].kept != NULL;
	return n;
}

enum mechanism agent_crew_mechanism(const struct agent *agent, const struct agent_container *container, size_t listener)
{
	return container->kept->listeners[listener].by_caller ? container->mechanism : agent->options.force.mechanism;
}

size_t agent_crew_listeners(const struct agent_container *container)
{
	size_t n = 0;

	for (size_t i = 0; i < AGENT_LISTENERS; i++)
		n += container->listeners[i] >= 0;
	return n;
}

void agent_container_init(struct agent_container *container)
{
	*container = (struct agent_container){ .channel.fd = -1, .memory = -1 };
	for (size_t i = 0; i < AGENT_LISTENERS; i++)
		container->listeners[i] = -1;
}

/* ---- its listeners ---- */

static void name_listener(const struct agent_container *container, size_t i, char name[AGENT_STORE_NAME])
{
	snprintf(name, AGENT_STORE_NAME, AGENT_STORE_PREFIX "%08x-%zu", container->kept->name, i);
}

static void name_memory(const struct agent_container *container, char name[AGENT_STORE_NAME])
{
	snprintf(name, AGENT_STORE_NAME, AGENT_STORE_PREFIX "%08x-m", container->kept->name);
}

/* Which it is from now on, -1 = there is no room. Owns it. */
static int hold_listener(struct agent_container *container, bool by_caller, int fd)
{
	struct agent_kept *kept = container->kept;
	char name[AGENT_STORE_NAME];

	for (int i = 0; i < AGENT_LISTENERS; i++) {
		if (container->listeners[i] >= 0)
			continue;
		memset(&kept->account.listeners[i], 0, sizeof kept->account.listeners[i]);
		kept->listeners[i].by_caller = by_caller;
		kept->listeners[i].used = true;
		container->listeners[i] = fd;
		name_listener(container, (size_t)i, name);
		(void)agent_store_put(name, fd);
		return i;
	}
	(void)close(fd);
	return -1;
}

static void drop_listener(struct agent_container *container, size_t i)
{
	char name[AGENT_STORE_NAME];

	name_listener(container, i, name);
	agent_store_remove(name);
	container->kept->listeners[i].used = false;
	(void)close(container->listeners[i]);
	container->listeners[i] = -1;
}

static void drop_ended(struct agent_container *container)
{
	for (size_t i = 0; i < AGENT_LISTENERS; i++)
		if (container->listeners[i] >= 0 && atomic_load(&container->kept->account.listeners[i].ended))
			drop_listener(container, i);
}

/* ---- beginning ---- */

static struct agent_container *find_free(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		if (!agent->containers[i].kept)
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

		if (container->kept && !container->kept->superseded && container->kept->uid == uid &&
		    is_same(&container->kept->state, state))
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
	agent_log(&agent->log, AGENT_WARNING, "container-not-guarded", "s:s, s:s", "id", container->kept->state.id,
		  "why", err.text);
	return agent->options.force.mechanism;
}

static void clear(struct agent_container *container)
{
	container->kept = agent_keep_free(container->kept);
	cleanup_fd(&container->memory);
	agent_container_init(container);
}

/* Closes what it has, here and in the store: programs that wait for an answer get ENOSYS. */
static void let_go(struct agent *agent, struct agent_container *container)
{
	char name[AGENT_STORE_NAME];

	for (size_t i = 0; i < AGENT_LISTENERS; i++)
		if (container->listeners[i] >= 0)
			drop_listener(container, i);
	name_memory(container, name);
	agent_store_remove(name);
	agent_guard_let_go(agent, container);
	clear(container);
}

/* Owns the listener unless it fails. */
static int keep(struct agent_container *container, const struct oci_state *state, uid_t uid, bool by_caller, int fd)
{
	char name[AGENT_STORE_NAME];
	int r = agent_keep_new(&container->kept, &container->memory);

	if (r < 0)
		return r;
	container->kept->state = *state;
	container->kept->uid = uid;
	container->kept->since = agent_board_now();
	name_memory(container, name);
	(void)agent_store_put(name, container->memory);
	(void)hold_listener(container, by_caller, fd);
	return 0;
}

static void log_begun(struct agent *agent, const struct agent_container *container, const char *event)
{
	const struct oci_state *state = &container->kept->state;

	agent_log(&agent->log, AGENT_INFO, event, "s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i", "id", state->id,
		  "status", oci_status_name(state->status), "metadata", state->metadata, "annotation", state->policy,
		  "policy", container->policy.name, "why", container->why, "mechanism",
		  mechanism_name(container->mechanism), "pid", (int)state->pid, "worker", (int)container->worker);
}

/* NULL, or why it cannot be. */
static const char *open_container(struct agent *agent, struct agent_container *container, bool by_caller)
{
	container->mechanism = choose_mechanism(agent, container, by_caller);
	if (agent->options.callers == AGENT_CALLERS_ALWAYS && container->mechanism != MECHANISM_CALLER)
		return by_caller ? "the guard cannot hold it" : "its profile is not made for caller";
	return agent_hire(agent, container) < 0 ? "no worker could be started" : NULL;
}

static void begin(struct agent *agent, const struct oci_state *state, uid_t uid, bool by_caller, int fd)
{
	CLEANUP(cleanup_fd) int listener = fd;
	struct agent_container *container = find_free(agent);
	const char *why;

	if (!container) {
		refuse(agent, state, "as many containers as allowed are served already");
		return;
	}
	if (agent_rules_match(agent->rules, state, &container->policy, container->why) != 0) {
		refuse(agent, state, container->why);
		return;
	}
	if (keep(container, state, uid, by_caller, listener) < 0) {
		refuse(agent, state, "out of memory or descriptors");
		return;
	}
	listener = -1;
	agent_board_clear(page_of(agent, container));
	why = open_container(agent, container, by_caller);
	if (why) {
		refuse(agent, state, why);
		let_go(agent, container);
		return;
	}
	agent->begun++;
	log_begun(agent, container, "container-begun");
}

/*
 * A program that was exec'd into a container draws on that container's budget, so the same worker answers it. One that
 * is gone just now is followed by another, which gets all that are there.
 */
static void join(struct agent *agent, struct agent_container *container, bool by_caller, int fd)
{
	struct agent_order order = { .kind = AGENT_ORDER_LISTEN };
	int i;

	if (container->given_up) {
		(void)close(fd);
		refuse(agent, &container->kept->state, "the container was given up");
		return;
	}
	i = hold_listener(container, by_caller, fd);
	if (i < 0) {
		refuse(agent, &container->kept->state, "too many programs were started into the container");
		return;
	}
	order.listener = (uint32_t)i;
	order.mechanism = agent_crew_mechanism(agent, container, (size_t)i);
	if (container->worker > 0 && agent_pass(container->channel.fd, &order, sizeof order, fd) == -EAGAIN) {
		drop_listener(container, (size_t)i);
		refuse(agent, &container->kept->state, "the container's worker does not come to it");
		return;
	}
	container->kept->execs++;
	agent_log(&agent->log, AGENT_INFO, "exec-begun", "s:s, s:i, s:s", "id", container->kept->state.id, "worker",
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

void agent_crew_take(struct agent *agent, const struct oci_state *given, uid_t uid, int listener)
{
	struct oci_state state = *given;
	bool by_caller = take_flag(state.metadata);
	struct agent_container *same = find_same(agent, &state, uid);

	if (same && state.status == OCI_RUNNING) {
		join(agent, same, by_caller, listener);
		return;
	}
	if (same)
		same->kept->superseded = true;
	begin(agent, &state, uid, by_caller, listener);
}

/* ---- ending ---- */

static void kill_worker(struct agent *agent, struct agent_container *container, const char *why)
{
	if (container->killed || container->worker <= 0)
		return;
	container->killed = true;
	agent->killed++;
	agent_log(&agent->log, AGENT_ERROR, "worker-killed", "s:s, s:i, s:s", "id", container->kept->state.id, "worker",
		  (int)container->worker, "why", why);
	kill(-container->worker, SIGKILL);
}

static void give_up(struct agent *agent, struct agent_container *container, const char *why)
{
	container->given_up = true;
	agent_log(&agent->log, AGENT_ERROR, "container-given-up", "s:s, s:s", "id", container->kept->state.id, "why",
		  why);
	kill_worker(agent, container, why);
}

static void end(struct agent *agent, struct agent_container *container)
{
	struct agent_numbers numbers = { 0 };

	agent_board_add(&numbers, page_of(agent, container));
	agent_board_add(&agent->gone, page_of(agent, container));
	agent_log(&agent->log, AGENT_INFO, "container-ended", "s:s, s:I, s:I, s:I", "id", container->kept->state.id,
		  "made", (json_int_t)numbers.made, "denied", (json_int_t)agent_numbers_denied(&numbers), "untold",
		  (json_int_t)numbers.untold);
	let_go(agent, container);
}

static bool may_revive(struct agent_container *container)
{
	uint64_t now = agent_board_now();

	if (now - container->revivals_since > REVIVALS_NS) {
		container->revivals_since = now;
		container->revivals = 0;
	}
	return container->revivals++ < REVIVALS;
}

static void recover(struct agent_container *container)
{
	struct agent_account *account = &container->kept->account;

	for (size_t i = 0; i < AGENT_LISTENERS; i++)
		if (container->listeners[i] >= 0)
			(void)serve_recover(container->listeners[i], &account->listeners[i].serve, &account->astray,
					    serve_errno(&container->policy));
}

static void revive(struct agent *agent, struct agent_container *container)
{
	if (!may_revive(container)) {
		give_up(agent, container, "its workers end again and again");
		end(agent, container);
		return;
	}
	recover(container);
	if (agent_hire(agent, container) < 0)
		return; /* the next tick tries again */
	agent->revived += !container->restored;
	agent->restored += container->restored;
	log_begun(agent, container, container->restored ? "container-restored" : "worker-revived");
	container->restored = false;
}

/* It has no worker. */
static void settle(struct agent *agent, struct agent_container *container)
{
	if (!agent_keep_is_idle(container->memory))
		return; /* the next tick looks again */
	drop_ended(container);
	if (agent_crew_listeners(container) == 0 || container->given_up)
		end(agent, container);
	else
		revive(agent, container);
}

void agent_crew_ended(struct agent *agent, pid_t pid, int status)
{
	for (size_t i = 0; i < AGENT_CONTAINERS; i++) {
		struct agent_container *container = &agent->containers[i];
		bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

		if (!container->kept || container->worker != pid)
			continue;
		agent_hear(agent, &container->channel); /* what it said last */
		kill(-pid, SIGKILL);                    /* whatever it has left behind */
		agent_unwatch(agent, &container->channel);
		agent->crashed += !clean && !container->killed;
		if (!clean)
			agent_log(&agent->log, AGENT_ERROR, "worker-ended", "s:s, s:i, s:i", "id",
				  container->kept->state.id, "worker", (int)pid, "wait_status", status);
		container->worker = 0;
		settle(agent, container);
		return;
	}
}

void agent_crew_tick(struct agent *agent)
{
	bool all = true;

	for (size_t i = 0; i < AGENT_CONTAINERS; i++) {
		struct agent_container *container = &agent->containers[i];

		if (!container->kept)
			continue;
		drop_ended(container);
		if (container->worker <= 0)
			settle(agent, container);
		else if (agent_board_silent_ns(page_of(agent, container)) >
			 agent->options.silence_ms * UINT64_C(1000000))
			kill_worker(agent, container, "it fell silent");
		all = all && container->worker > 0;
	}
	if (all)
		agent_guard_drop_old(agent);
}

static void match_again(struct agent *agent, struct agent_container *container)
{
	struct agent_order order = { .kind = AGENT_ORDER_POLICY, .policy = container->policy };
	struct err err;

	if (agent_rules_match(agent->rules, &container->kept->state, &order.policy, container->why) != 0) {
		give_up(agent, container, "the rules refuse it now");
		return;
	}
	if (memcmp(&order.policy, &container->policy, sizeof order.policy) == 0)
		return;
	container->policy = order.policy;
	if (agent_guard_change(agent, container, &err) < 0)
		give_up(agent, container, err.text);
	else if (container->worker > 0 && agent_pass(container->channel.fd, &order, sizeof order, -1) < 0)
		kill_worker(agent, container, "it does not take its new policy");
	else
		agent_log(&agent->log, AGENT_INFO, "policy-changed", "s:s, s:s, s:s", "id", container->kept->state.id,
			  "policy", container->policy.name, "why", container->why);
}

void agent_crew_reload(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		if (agent->containers[i].kept && !agent->containers[i].given_up)
			match_again(agent, &agent->containers[i]);
}

/* What the store has of them stays there: whether there is a next agent is not known here. */
void agent_crew_stop(struct agent *agent)
{
	for (size_t i = 0; agent->containers && i < AGENT_CONTAINERS; i++) {
		struct agent_container *container = &agent->containers[i];

		if (!container->kept)
			continue;
		if (container->worker > 0) {
			kill(-container->worker, SIGKILL);
			while (waitpid(container->worker, NULL, 0) < 0 && errno == EINTR)
				;
		}
		agent_unwatch(agent, &container->channel);
		for (size_t k = 0; k < AGENT_LISTENERS; k++)
			cleanup_fd(&container->listeners[k]);
		clear(container);
	}
}

/* ---- an earlier agent's ---- */

/* NULL, or why it cannot be served. */
static const char *open_again(struct agent *agent, struct agent_container *container)
{
	struct agent_kept *kept = container->kept;
	struct err err = { "" };

	if (agent_rules_match(agent->rules, &kept->state, &container->policy, container->why) != 0)
		return "the rules refuse it now";
	container->mechanism = agent->options.force.mechanism;
	if (kept->cgroup && agent_guard_restore(agent, container, &err) == 0)
		container->mechanism = MECHANISM_CALLER;
	if (agent->options.callers == AGENT_CALLERS_ALWAYS && container->mechanism != MECHANISM_CALLER)
		return "no guard holds it now";
	return NULL;
}

int agent_crew_adopt(struct agent *agent, struct agent_kept *kept, int memory, const int listeners[AGENT_LISTENERS])
{
	struct agent_container *container = find_free(agent);
	const char *why;

	if (!container)
		return -ENOSPC;
	container->kept = kept;
	container->memory = memory;
	container->restored = true;
	for (size_t i = 0; i < AGENT_LISTENERS; i++) {
		container->listeners[i] = listeners[i];
		kept->listeners[i].used = listeners[i] >= 0;
	}
	agent_board_clear(page_of(agent, container));
	why = open_again(agent, container);
	if (why)
		give_up(agent, container, why);
	settle(agent, container);
	return 0;
}
