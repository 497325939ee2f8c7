/* SPDX-License-Identifier: MIT */
/*
 * The agent and the BPF guard. A container whose profile asks about ENABLE_RINGS too makes its rings itself when the
 * guard holds its cgroup to disabled ones. The rule is for a cgroup, so that must be the container's own: where it is
 * the root, or the agent is in it or below, or another container in it, others would be held to it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/err.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-store.h"
#include "enforce/cgroup.h"
#include "enforce/guard-policy.h"
#include "enforce/guard.h"
#include "kernel/proc.h"

#define STORED AGENT_STORE_PREFIX "guard-"

static void store(struct agent *agent)
{
	char name[AGENT_STORE_NAME];
	int links[GUARD_LINKS];
	size_t n = guard_links(agent->guard, links);

	if (getrandom(&agent->guard_name, sizeof agent->guard_name, 0) != sizeof agent->guard_name)
		return;
	snprintf(name, sizeof name, STORED "%08x", agent->guard_name);
	for (size_t i = 0; i < n; i++)
		(void)agent_store_put(name, links[i]);
}

bool agent_guard_is_stored(const struct agent_passed *passed)
{
	return strncmp(passed->name, STORED, strlen(STORED)) == 0;
}

void agent_guard_drop_old(struct agent *agent)
{
	for (size_t i = 0; i < agent->n_passed; i++) {
		struct agent_passed *passed = &agent->passed[i];

		if (passed->fd < 0 || !agent_guard_is_stored(passed))
			continue;
		agent_store_remove(passed->name);
		cleanup_fd(&passed->fd);
		passed->fd = -1;
	}
}

int agent_guard_open(struct agent *agent, struct err *err)
{
	int r;

	if (agent->options.callers == AGENT_CALLERS_NEVER)
		return 0;
	r = guard_get(&agent->guard, err);
	if (r == 0)
		store(agent);
	if (r == 0 || agent->options.callers == AGENT_CALLERS_ALWAYS)
		return r;
	agent_log(&agent->log, AGENT_INFO, "guard-absent", "s:s", "why", err->text);
	return 0;
}

void agent_guard_close(struct agent *agent)
{
	agent->guard = guard_free(agent->guard);
}

/* ---- whose cgroup it is ---- */

static int read_path(int pid, char *path, size_t size)
{
	char text[4096];
	int r = cgroup_read(pid, text, sizeof text);

	return r < 0 ? r : proc_parse_cgroup(text, "", path, size);
}

static bool is_within(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int check_own(int pid, struct err *err)
{
	char theirs[PROC_PATH_MAX], ours[PROC_PATH_MAX];
	int r = read_path(pid, theirs, sizeof theirs);

	if (r == 0)
		r = read_path(getpid(), ours, sizeof ours);
	if (r < 0)
		return err_set(err, r, "its cgroup of version 2 is not known: %s", strerror(-r));
	if (strcmp(theirs, "/") == 0 || is_within(ours, theirs))
		return err_set(err, -EXDEV, "it has no cgroup of its own (version 2), but is in %s", theirs);
	return 0;
}

static bool is_shared(const struct agent *agent, const struct agent_container *container, uint64_t cgroup)
{
	for (size_t i = 0; i < AGENT_CONTAINERS; i++) {
		const struct agent_container *other = &agent->containers[i];

		if (other != container && other->kept && other->kept->cgroup == cgroup)
			return true;
	}
	return false;
}

/* ---- its rule ---- */

static int set_rule(struct agent *agent, const struct agent_container *container, uint64_t cgroup, struct err *err)
{
	struct guard_rule rule;

	guard_policy_supervised(&container->policy, &rule);
	return guard_set_rule(agent->guard, cgroup, &rule, err);
}

int agent_guard_take(struct agent *agent, struct agent_container *container, struct err *err)
{
	uint64_t cgroup;
	int r;

	if (!agent->guard)
		return err_set(err, -EOPNOTSUPP, "there is no guard");
	if (container->kept->state.pid <= 0)
		return err_set(err, -ESRCH, "the runtime does not say its process");
	r = check_own(container->kept->state.pid, err);
	if (r == 0)
		r = guard_cgroup_of(container->kept->state.pid, &cgroup, err);
	if (r == 0 && is_shared(agent, container, cgroup))
		r = err_set(err, -EBUSY, "another container is in its cgroup");
	if (r == 0)
		r = set_rule(agent, container, cgroup, err);
	if (r == 0)
		container->kept->cgroup = cgroup;
	return r;
}

/* Its number is another cgroup's at no time. */
int agent_guard_restore(struct agent *agent, struct agent_container *container, struct err *err)
{
	uint64_t cgroup = container->kept->cgroup;
	int r;

	container->kept->cgroup = 0;
	if (!agent->guard)
		return err_set(err, -EOPNOTSUPP, "there is no guard");
	r = set_rule(agent, container, cgroup, err);
	if (r == 0)
		container->kept->cgroup = cgroup;
	return r;
}

int agent_guard_change(struct agent *agent, struct agent_container *container, struct err *err)
{
	return container->kept->cgroup ? set_rule(agent, container, container->kept->cgroup, err) : 0;
}

void agent_guard_let_go(struct agent *agent, struct agent_container *container)
{
	if (container->kept->cgroup && agent->guard)
		(void)guard_remove_rule(agent->guard, container->kept->cgroup, NULL);
	container->kept->cgroup = 0;
}
