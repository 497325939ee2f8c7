/* SPDX-License-Identifier: MIT */
/* Tells of the guard: whether it is at work, its rules and what they refused; and what there is without it. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/decode.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cli/command.h"
#include "cli/host.h"
#include "cli/print.h"
#include "enforce/guard.h"
#include "kernel/feature.h"
#include "kernel/host.h"
#include "kernel/proc.h"
#include "report/common.h"

enum { INDENT = 4, TEXT = 400 };

/* ---- instead of it ---- */

static bool instead_sysctl(char *text, size_t size)
{
	int64_t disabled, group = -1;

	if (proc_read_number("/proc/sys/kernel/io_uring_disabled", &disabled) < 0) {
		snprintf(text, size, "there is no kernel.io_uring_disabled here; it came with Linux 6.6");
		return false;
	}
	(void)proc_read_number("/proc/sys/kernel/io_uring_group", &group);
	snprintf(text, size,
		 "sysctl kernel.io_uring_disabled (now %lld): 1 leaves new rings to CAP_SYS_ADMIN and to the group in "
		 "kernel.io_uring_group (now %lld), 2 to nobody",
		 (long long)disabled, (long long)group);
	return true;
}

static bool instead_run(char *text, size_t size)
{
	const struct kernel_answer *answer = kernel_feature(KERNEL_SECCOMP_NOTIFY);

	if (answer->state != KERNEL_YES) {
		snprintf(text, size, "circlip run cannot ask seccomp for the rings of a program here: %s", answer->why);
		return false;
	}
	snprintf(text, size,
		 "circlip run --policy P -- PROG: operations, set-up flags and sizes of one program's rings, by "
		 "seccomp and rings that the kernel restricts (circlip run --explain says which of it)");
	return true;
}

static bool has_controller(const char *name)
{
	char point[PROC_PATH_MAX], path[PROC_PATH_MAX + 32], text[4096], where[PROC_PATH_MAX];

	if (kernel_cgroup2(point, sizeof point) == 0) {
		snprintf(path, sizeof path, "%s/cgroup.controllers", point);
		if (proc_read(path, text, sizeof text) > 0 && strstr(text, name))
			return true;
	}
	return proc_read("/proc/self/cgroup", text, sizeof text) > 0 &&
	       proc_parse_cgroup(text, name, where, sizeof where) == 0;
}

static bool instead_memory(char *text, size_t size)
{
	bool has = has_controller("memory");

	snprintf(text, size, "%s",
		 has ? "memory.max of a cgroup (memory.limit_in_bytes in version 1): what rings, "
		       "buffers and unread completions may take"
		     : "this kernel's cgroups do not limit memory");
	return has;
}

static bool instead_cpu(char *text, size_t size)
{
	bool has = has_controller("cpu");

	snprintf(text, size, "%s",
		 has ? "cpu.max of a cgroup (cpu.cfs_quota_us in version 1): CPU time, that of polling "
		       "threads included"
		     : "this kernel's cgroups do not limit CPU time");
	return has;
}

static const struct {
	const char *name;
	bool (*say)(char *text, size_t size); /* false: not here, and why */
} instead[] = {
	{ "sysctl", instead_sysctl },
	{ "run", instead_run },
	{ "memory", instead_memory },
	{ "cpu", instead_cpu },
};

void host_put_instead(FILE *file)
{
	char text[TEXT];

	fputs("What can be enforced here without it:\n", file);
	for (size_t i = 0; i < sizeof instead / sizeof *instead; i++)
		if (instead[i].say(text, sizeof text)) {
			fputs("  - ", file);
			print_wrapped(file, text, INDENT, INDENT);
		}
	for (size_t i = 0; i < sizeof instead / sizeof *instead; i++)
		if (!instead[i].say(text, sizeof text)) {
			fputs("  not: ", file);
			print_wrapped(file, text, INDENT, INDENT + 3);
		}
}

static json_t *instead_json(void)
{
	json_t *list = json_array();
	char text[TEXT];

	for (size_t i = 0; i < sizeof instead / sizeof *instead; i++) {
		json_t *object = json_object();

		common_set(object, "name", instead[i].name);
		json_object_set_new(object, "available", json_boolean(instead[i].say(text, sizeof text)));
		common_set(object, "text", text);
		json_array_append_new(list, object);
	}
	return list;
}

/* ---- the status ---- */

enum host_state { HOST_IN_FORCE, HOST_BROKEN, HOST_NOT_APPLIED, HOST_IMPOSSIBLE };

static const struct {
	const char *name, *text;
} states[] = {
	[HOST_IN_FORCE] = { "in-force", "the guard is in force; it was tried just now" },
	[HOST_BROKEN] = { "broken", "a guard is there, but it is not seen to work" },
	[HOST_NOT_APPLIED] = { "not-applied", "no guard is in force; it was tried just now and would work here" },
	[HOST_IMPOSSIBLE] = { "impossible", "no guard is in force, and none can be" },
};

struct host_status {
	enum host_state state;
	struct guard *guard; /* NULL = none */
	struct err why;
};

static void find_status(struct host_status *status)
{
	struct err err = { "" };
	int r = guard_find(&status->guard, &err);

	if (r == 0)
		status->state = guard_try(status->guard, &status->why) < 0 ? HOST_BROKEN : HOST_IN_FORCE;
	else if (r == -ENOENT || r == -EOPNOTSUPP)
		status->state = guard_probe(&status->why) < 0 ? HOST_IMPOSSIBLE : HOST_NOT_APPLIED;
	else
		*status = (struct host_status){ .state = HOST_BROKEN, .why = err };
}

static void place_name(uint64_t cgroup, char *text, size_t size)
{
	if (cgroup == GUARD_HOST)
		snprintf(text, size, "the whole host");
	else if (guard_cgroup_path(cgroup, text, size) < 0)
		snprintf(text, size, "cgroup %llu, which is gone", (unsigned long long)cgroup);
}

static void put_rule(uint64_t cgroup, const struct guard_rule *rule, const struct guard_state *state)
{
	char text[GUARD_TEXT_MAX], place[GUARD_PATH_MAX];

	place_name(cgroup, place, sizeof place);
	guard_rule_text(rule, text, sizeof text);
	printf("%s: ", place);
	print_wrapped(stdout, text, INDENT, (int)strlen(place) + 2);
	printf("    SQPOLL threads now: %u; rings let through: %llu\n", state->pollers,
	       (unsigned long long)state->counts[GUARD_ALLOWED]);
	for (unsigned int i = GUARD_ALLOWED + 1; i < GUARD_REASONS; i++)
		if (state->counts[i])
			printf("    refused: %llu (%s)\n", (unsigned long long)state->counts[i], guard_reason_text(i));
}

static void add_limit(json_t *object, const char *key, uint32_t limit)
{
	json_object_set_new(object, key, limit == GUARD_UNLIMITED ? json_null() : json_integer(limit));
}

static json_t *rule_json(uint64_t cgroup, const struct guard_rule *rule, const struct guard_state *state)
{
	json_t *object = json_object(), *refused = json_object(), *denied = json_array();
	char place[GUARD_PATH_MAX];

	json_object_set_new(object, "cgroup", json_integer((json_int_t)cgroup));
	if (cgroup != GUARD_HOST && guard_cgroup_path(cgroup, place, sizeof place) == 0)
		common_set(object, "path", place);
	json_object_set_new(object, "denyRings", json_boolean(rule->demands & GUARD_NO_RINGS));
	json_object_set_new(object, "requireDisabled", json_boolean(rule->demands & GUARD_DISABLED));
	for (unsigned int bit = 0; bit < 32; bit++)
		if (!(rule->setup_flags & 1u << bit) && abi_flag_name(ABI_FLAGS_SETUP, bit))
			json_array_append_new(denied, common_string(abi_flag_name(ABI_FLAGS_SETUP, bit)));
	json_object_set_new(object, "deniedSetupFlags", denied);
	add_limit(object, "sqMax", rule->sq_max);
	add_limit(object, "cqMax", rule->cq_max);
	add_limit(object, "sqpollMax", rule->sqpoll_max);
	add_limit(object, "sqpollPerCpuMax", rule->pinned_max);
	add_limit(object, "idleMaxMs", rule->idle_max);
	json_object_set_new(object, "pollers", json_integer(state->pollers));
	json_object_set_new(object, "allowed", json_integer((json_int_t)state->counts[GUARD_ALLOWED]));
	for (unsigned int i = GUARD_ALLOWED + 1; i < GUARD_REASONS; i++)
		json_object_set_new(refused, guard_reason_name(i), json_integer((json_int_t)state->counts[i]));
	json_object_set_new(object, "refused", refused);
	return object;
}

typedef void rule_visitor(void *context, uint64_t cgroup, const struct guard_rule *rule,
			  const struct guard_state *state);

static void each_rule(struct guard *guard, rule_visitor *visit, void *context)
{
	struct guard_state state;
	struct guard_rule rule;
	uint64_t cgroup;
	int r = guard ? guard_next(guard, NULL, &cgroup) : -ENOENT;

	for (int i = 0; r == 0 && i < GUARD_RULES_MAX; i++) {
		if (guard_read(guard, cgroup, &rule, &state, NULL) == 0)
			visit(context, cgroup, &rule, &state);
		r = guard_next(guard, &cgroup, &cgroup);
	}
}

static void visit_text(void *context, uint64_t cgroup, const struct guard_rule *rule, const struct guard_state *state)
{
	put_rule(cgroup, rule, state);
}

static void visit_json(void *context, uint64_t cgroup, const struct guard_rule *rule, const struct guard_state *state)
{
	json_array_append_new(context, rule_json(cgroup, rule, state));
}

static void put_text(const struct host_status *status)
{
	printf("%s%s", states[status->state].text, *status->why.text ? ": " : "\n");
	if (*status->why.text)
		print_wrapped(stdout, status->why.text, INDENT, (int)strlen(states[status->state].text) + 2);
	each_rule(status->guard, visit_text, NULL);
	if (status->state == HOST_IMPOSSIBLE)
		host_put_instead(stdout);
}

static void put_json(const struct host_status *status)
{
	json_t *object = json_object(), *rules = json_array();

	common_set(object, "type", "host");
	common_set(object, "state", states[status->state].name);
	common_set(object, "why", *status->why.text ? status->why.text : NULL);
	each_rule(status->guard, visit_json, rules);
	json_object_set_new(object, "rules", rules);
	json_object_set_new(object, "instead", instead_json());
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(object);
}

int host_put_status(unsigned int format)
{
	static void (*const put[])(const struct host_status *) = { put_text, put_json };
	struct host_status status = { 0 };

	find_status(&status);
	put[format](&status);
	guard_free(status.guard);
	return status.state == HOST_IN_FORCE ? COMMAND_OK : COMMAND_FINDINGS;
}
