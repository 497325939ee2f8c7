/* SPDX-License-Identifier: MIT */
/* What an earlier agent left in the service manager's store: each container's memory, with its listeners. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-pass.h"
#include "enforce/agent-store.h"

/* "kept-0123abcd-m" or "kept-0123abcd-7". What stands behind the name, NULL = it is another one. */
static const char *parse(const char *text, uint32_t *ret_name)
{
	size_t prefix = strlen(AGENT_STORE_PREFIX);
	char *end;

	if (strncmp(text, AGENT_STORE_PREFIX, prefix) != 0)
		return NULL;
	*ret_name = (uint32_t)strtoul(text + prefix, &end, 16);
	return end == text + prefix + 8 && *end == '-' ? end + 1 : NULL;
}

static void reject(struct agent *agent, struct agent_passed *passed, const char *why)
{
	agent_log(&agent->log, AGENT_WARNING, "not-restored", "s:s, s:s", "name", passed->name, "why", why);
	agent_store_remove(passed->name);
	cleanup_fd(&passed->fd);
	passed->fd = -1;
}

static void take_listeners(const struct agent *agent, const struct agent_kept *kept, int listeners[AGENT_LISTENERS])
{
	for (size_t i = 0; i < AGENT_LISTENERS; i++)
		listeners[i] = -1;
	for (size_t i = 0; i < agent->n_passed; i++) {
		struct agent_passed *passed = &agent->passed[i];
		uint32_t name;
		const char *rest = parse(passed->name, &name);
		unsigned long listener =
			rest && *rest >= '0' && *rest <= '9' ? strtoul(rest, NULL, 10) : AGENT_LISTENERS;

		if (passed->fd < 0 || listener >= AGENT_LISTENERS || name != kept->name ||
		    !kept->listeners[listener].used || listeners[listener] >= 0 || !agent_pass_is_listener(passed->fd))
			continue;
		listeners[listener] = passed->fd;
		passed->fd = -1;
	}
}

static void restore(struct agent *agent, struct agent_passed *passed, uint32_t name)
{
	struct agent_kept *kept;
	struct err err = { "" };
	int listeners[AGENT_LISTENERS];

	if (agent_keep_open(passed->fd, &kept, &err) < 0) {
		reject(agent, passed, err.text);
		return;
	}
	take_listeners(agent, kept, listeners);
	if (kept->name != name || agent_crew_adopt(agent, kept, passed->fd, listeners) < 0) {
		for (size_t i = 0; i < AGENT_LISTENERS; i++)
			cleanup_fd(&listeners[i]);
		agent_keep_free(kept);
		reject(agent, passed, "there is no room for it");
		return;
	}
	passed->fd = -1;
}

void agent_restore(struct agent *agent)
{
	uint32_t name;

	for (size_t i = 0; i < agent->n_passed; i++) {
		const char *rest = agent->passed[i].fd < 0 ? NULL : parse(agent->passed[i].name, &name);

		if (rest && strcmp(rest, "m") == 0)
			restore(agent, &agent->passed[i], name);
	}
	for (size_t i = 0; i < agent->n_passed; i++)
		if (agent->passed[i].fd >= 0 && !agent_guard_is_stored(&agent->passed[i]))
			reject(agent, &agent->passed[i], "what it belongs to is not there");
}
