/* SPDX-License-Identifier: MIT */
/* circlip agent status: what a running agent says of itself. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/agent.h"
#include "cli/command.h"
#include "enforce/agent.h"

struct status_words {
	const char *socket;
	unsigned int format;
};

static const struct status_words status_defaults = { .socket = AGENT_DEFAULT_CONTROL };

COMMAND_NAMES(format_name, "text", "json");

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static json_int_t denied(const json_t *setups)
{
	const json_t *value;
	const char *key;
	json_int_t sum = 0;

	json_object_foreach(json_object_get(setups, "denied"), key, value) sum += json_integer_value(value);
	return sum;
}

static void put_denied(const json_t *setups, const char *indent)
{
	const json_t *value;
	const char *key;

	json_object_foreach(json_object_get(setups, "denied"), key, value)
		printf("%sdenied by %s: %" JSON_INTEGER_FORMAT "\n", indent, key, json_integer_value(value));
}

static void put_container(const json_t *container)
{
	const json_t *setups = json_object_get(container, "setups");

	printf("%-36s %-16s %8" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT " %6" JSON_INTEGER_FORMAT
	       " %8.0f  %s%s\n",
	       text(container, "id"), text(container, "policy"), number(setups, "made"), denied(setups),
	       number(container, "listeners"), json_number_value(json_object_get(container, "seconds")),
	       text(container, "why"), json_is_true(json_object_get(container, "killed")) ? " (killed)" : "");
}

static void put_text(const json_t *root)
{
	const json_t *containers = json_object_get(root, "containers"), *counts = json_object_get(root, "counts"),
		     *setups = json_object_get(root, "setups"), *container;
	size_t i;

	printf("agent %s, pid %" JSON_INTEGER_FORMAT ", for %.0f s; mechanism %s; rules: %" JSON_INTEGER_FORMAT
	       " from %s\n",
	       text(root, "version"), number(root, "pid"), json_number_value(json_object_get(root, "seconds")),
	       text(root, "mechanism"), number(root, "rules"),
	       *text(root, "rules_file") ? text(root, "rules_file") : "no file");
	printf("rings made: %" JSON_INTEGER_FORMAT " (%" JSON_INTEGER_FORMAT " altered), denied: %" JSON_INTEGER_FORMAT
	       "\n",
	       number(setups, "made"), number(setups, "altered"), denied(setups));
	put_denied(setups, "  ");
	printf("containers: %zu now, %" JSON_INTEGER_FORMAT " begun, %" JSON_INTEGER_FORMAT
	       " refused; workers killed: %" JSON_INTEGER_FORMAT ", crashed: %" JSON_INTEGER_FORMAT "\n",
	       json_array_size(containers), number(counts, "begun"), number(counts, "refused"),
	       number(counts, "workers_killed"), number(counts, "workers_crashed"));
	if (json_array_size(containers))
		printf("\n%-36s %-16s %8s %8s %6s %8s  %s\n", "CONTAINER", "POLICY", "MADE", "DENIED", "PROGS",
		       "SECONDS", "CHOSEN BY");
	json_array_foreach(containers, i, container) put_container(container);
}

static int status_run(void *options, char **words, size_t n_words)
{
	const struct status_words *given = options;
	CLEANUP(cleanup_free) char *answer = NULL;
	struct err err = { "" };
	json_t *root;

	if (agent_ask(given->socket, &answer, &err) < 0)
		return command_fail("agent status", COMMAND_FAILED, "%s", err.text);
	root = json_loads(answer, 0, NULL);
	if (!root)
		return command_fail("agent status", COMMAND_FAILED, "%s: what answers there is no agent",
				    given->socket);
	if (given->format)
		puts(answer);
	else
		put_text(root);
	json_decref(root);
	return COMMAND_OK;
}

static const struct command_option status_rows[] = {
	{ "socket", "PATH", "The agent's control socket.", COMMAND_FILE, offsetof(struct status_words, socket) },
	{ "format", NULL, "How to write it.", COMMAND_CHOICE, offsetof(struct status_words, format), format_name },
	{ NULL },
};

const struct command agent_status_command = {
	.name = "agent status",
	.summary = "Say which containers a running agent serves, and what it made and denied.",
	.options = status_rows,
	.defaults = &status_defaults,
	.size = sizeof status_defaults,
	.run = status_run,
};
