/* SPDX-License-Identifier: MIT */
/* circlip host: the guard in the kernel, for the whole host or one cgroup. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/decode.h"
#include "base/err.h"
#include "cli/command.h"
#include "cli/host.h"
#include "enforce/guard-policy.h"
#include "enforce/guard.h"

enum { ENTRIES_MAX = 65536, MS_MAX = 3600000 };

struct host_options {
	const char *cgroup, *policy;
	uint32_t sqpoll, sqpoll_per_cpu, sq_max, cq_max, idle_max; /* GUARD_UNLIMITED = not said */
	struct command_list denied;
	bool deny_rings, require_disabled;
	unsigned int format;
};

static const struct host_options host_defaults = {
	.sqpoll = GUARD_UNLIMITED,
	.sqpoll_per_cpu = GUARD_UNLIMITED,
	.sq_max = GUARD_UNLIMITED,
	.cq_max = GUARD_UNLIMITED,
	.idle_max = GUARD_UNLIMITED,
};

COMMAND_NAMES(format_name, "text", "json");

static const char *setup_name(size_t i)
{
	return i < 32 ? abi_flag_name(ABI_FLAGS_SETUP, (unsigned int)i) : NULL;
}

/* ---- apply ---- */

static bool says_nothing(const struct guard_rule *rule)
{
	static const struct guard_rule open = GUARD_RULE_OPEN;

	return memcmp(rule, &open, sizeof open) == 0;
}

static int make_rule(const struct host_options *o, const struct policy *policy, struct guard_rule *ret_rule,
		     struct err *err)
{
	struct guard_rule rule = GUARD_RULE_OPEN, budget = GUARD_RULE_OPEN, policies;
	uint32_t per_cpu = o->sqpoll_per_cpu;

	if (o->cgroup && per_cpu != GUARD_UNLIMITED)
		return err_set(err, -EINVAL,
			       "--sqpoll-per-cpu is about the whole host; say --sqpoll for a single cgroup");
	if (o->sqpoll != GUARD_UNLIMITED && per_cpu != GUARD_UNLIMITED)
		return err_set(err, -EINVAL, "--sqpoll and --sqpoll-per-cpu say the same thing twice; choose one");
	rule.demands = (o->deny_rings ? GUARD_NO_RINGS : 0u) | (o->require_disabled ? GUARD_DISABLED : 0u);
	for (size_t i = 0; i < o->denied.n; i++)
		rule.setup_flags &= ~abi_flag_find(ABI_FLAGS_SETUP, o->denied.items[i]);
	rule.sq_max = o->sq_max;
	rule.cq_max = o->cq_max;
	rule.idle_max = o->idle_max;
	rule.sqpoll_max = o->sqpoll;
	if (o->policy) {
		guard_policy_rule(policy, !o->cgroup, &policies);
		guard_rule_join(&rule, &policies);
	}
	if (says_nothing(&rule) && per_cpu == GUARD_UNLIMITED && o->cgroup)
		return err_set(err, -EINVAL, "--cgroup: say also what it may not have, as --sqpoll=1 or --cq-max=4096");
	if (says_nothing(&rule) && per_cpu == GUARD_UNLIMITED && !o->policy)
		per_cpu = 1;
	if (per_cpu != GUARD_UNLIMITED) {
		budget.sqpoll_max = per_cpu * (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
		budget.pinned_max = per_cpu;
		guard_rule_join(&rule, &budget);
	}
	*ret_rule = rule;
	return 0;
}

/* Of cgroups that are gone for ever: ids are not given twice. */
static void forget_gone(struct guard *guard)
{
	char path[GUARD_PATH_MAX];
	uint64_t cgroup, next;
	int r = guard_next(guard, NULL, &next);

	for (int i = 0; r == 0 && i < GUARD_RULES_MAX; i++) {
		cgroup = next;
		r = guard_next(guard, &cgroup, &next);
		if (cgroup != GUARD_HOST && guard_cgroup_path(cgroup, path, sizeof path) == -ESTALE)
			(void)guard_remove_rule(guard, cgroup, NULL);
	}
}

/* The pinned guard, or a new one; -EEXIST when somebody else has just pinned his. */
static int put(uint64_t cgroup, const struct guard_rule *rule, struct err *err)
{
	CLEANUP(cleanup_guard) struct guard *guard = NULL;
	int r = guard_find(&guard, err);

	if (r == -ESTALE) {
		r = guard_remove(err);
		if (r < 0)
			return r;
		r = -ENOENT;
	}
	if (r == -ENOENT)
		r = guard_load(&guard, err);
	if (r < 0)
		return r;
	forget_gone(guard);
	r = guard_set_rule(guard, cgroup, rule, err);
	if (r == 0 && !guard_is_pinned(guard))
		r = guard_pin(guard, err);
	return r;
}

/* What the policy says and the guard cannot hold anybody to. */
static void put_rest(const struct policy *policy, bool whole_host)
{
	bool any = false;

	for (int field = 0; field < POLICY_N_FIELDS; field++) {
		if (guard_policy_keeps(policy, whole_host, (enum policy_field)field))
			continue;
		printf("%s%s", any ? ", " : "not kept by the guard: ", policy_field_name((enum policy_field)field));
		any = true;
	}
	if (any)
		puts("; circlip run and circlip agent keep more");
}

static int apply_run(void *options, char **words, size_t n_words)
{
	const struct host_options *o = options;
	struct guard_rule rule;
	struct policy policy = policy_allow_all();
	struct err err = { "" };
	uint64_t cgroup = GUARD_HOST;
	char text[GUARD_TEXT_MAX];
	int r = o->policy ? policy_find(o->policy, &policy, &err) : 0;

	if (r < 0)
		return command_fail("host apply", COMMAND_FAILED, "%s", err.text);
	r = make_rule(o, &policy, &rule, &err);
	if (r < 0)
		return command_fail("host apply", COMMAND_USAGE, "%s", err.text);
	if (o->cgroup)
		r = guard_cgroup(o->cgroup, &cgroup, &err);
	if (r < 0)
		return command_fail("host apply", COMMAND_FAILED, "--cgroup: %s", err.text);
	r = put(cgroup, &rule, &err);
	if (r == -EEXIST)
		r = put(cgroup, &rule, &err);
	if (r < 0) {
		command_fail("host apply", COMMAND_FAILED, "nothing was applied; the guard cannot be put in force: %s",
			     err.text);
		host_put_instead(stderr);
		return COMMAND_FAILED;
	}
	guard_rule_text(&rule, text, sizeof text);
	printf("in force for %s: %s\n", o->cgroup ? o->cgroup : "the whole host", text);
	if (o->policy)
		put_rest(&policy, !o->cgroup);
	return COMMAND_OK;
}

/* ---- status and remove ---- */

static int status_run(void *options, char **words, size_t n_words)
{
	const struct host_options *o = options;

	return host_put_status(o->format);
}

static int remove_one(const char *path, struct err *err)
{
	CLEANUP(cleanup_guard) struct guard *guard = NULL;
	uint64_t cgroup;
	int r = guard_cgroup(path, &cgroup, err);

	if (r < 0)
		return err_wrap(err, r, "--cgroup");
	r = guard_find(&guard, err);
	return r < 0 ? r : guard_remove_rule(guard, cgroup, err);
}

static int remove_run(void *options, char **words, size_t n_words)
{
	const struct host_options *o = options;
	struct err err = { "" };
	int r = o->cgroup ? remove_one(o->cgroup, &err) : guard_remove(&err);

	if (r == -ENOENT && !o->cgroup) {
		puts("no guard was in force");
		return COMMAND_OK;
	}
	if (r < 0)
		return command_fail("host remove", COMMAND_FAILED, "%s", err.text);
	printf("removed: %s\n", o->cgroup ? o->cgroup : "the guard and all its rules");
	return COMMAND_OK;
}

/* ---- the commands ---- */

#define CGROUP_ROW(help)                                                                                               \
	{                                                                                                              \
		"cgroup", "PATH", help, COMMAND_FILE, offsetof(struct host_options, cgroup)                            \
	}

static const struct command_option apply_rows[] = {
	CGROUP_ROW(
		"The rule is for this cgroup (a folder of version 2) and all below it. Default: for the whole host."),
	{ "policy", "POLICY",
	  "What a policy says of set-up flags, sizes and SQPOLL: a curated profile by its name, or a file (with a '/' "
	  "or a '.'). What else is said here is held to as well. What the guard cannot keep of it is told.",
	  COMMAND_FILE, offsetof(struct host_options, policy) },
	{ "sqpoll-per-cpu", "N",
	  "At most N kernel threads that poll (SQPOLL) for each CPU of the host, and at most N bound to the same one. "
	  "Applied with N=1 when nothing else is said.",
	  COMMAND_NUMBER, offsetof(struct host_options, sqpoll_per_cpu), NULL, 0, 64 },
	{ "sqpoll", "N", "At most N such threads at one time; 0: none.", COMMAND_NUMBER,
	  offsetof(struct host_options, sqpoll), NULL, 0, GUARD_POLLERS_MAX },
	{ "idle-max", "MS", "Such a thread may spin without work for at most MS milliseconds.", COMMAND_NUMBER,
	  offsetof(struct host_options, idle_max), NULL, 0, MS_MAX },
	{ "sq-max", "N", "At most N entries in a submission queue.", COMMAND_NUMBER,
	  offsetof(struct host_options, sq_max), NULL, 1, ENTRIES_MAX },
	{ "cq-max", "N", "At most N entries in a completion queue.", COMMAND_NUMBER,
	  offsetof(struct host_options, cq_max), NULL, 1, ENTRIES_MAX },
	{ "deny-setup", "FLAG", "No rings with this set-up flag; may be given several times.", COMMAND_NAME,
	  offsetof(struct host_options, denied), setup_name },
	{ "deny-rings", NULL, "No rings at all.", COMMAND_FLAG, offsetof(struct host_options, deny_rings) },
	{ "require-disabled", NULL,
	  "Only rings that are made disabled (R_DISABLED), for a supervisor to restrict and enable.", COMMAND_FLAG,
	  offsetof(struct host_options, require_disabled) },
	{ NULL },
};

static const struct command host_apply_command = {
	.name = "host apply",
	.summary = "Put a rule in force, for the whole host or a cgroup, until it is removed or the host restarts.",
	.about = "It replaces the rule of the same place, if there was one. Without options: --sqpoll-per-cpu=1.",
	.options = apply_rows,
	.defaults = &host_defaults,
	.size = sizeof host_defaults,
	.run = apply_run,
};

static const struct command_option status_rows[] = {
	{ "format", NULL, "How to write it.", COMMAND_CHOICE, offsetof(struct host_options, format), format_name },
	{ NULL },
};

static const struct command host_status_command = {
	.name = "host status",
	.summary = "Say whether a guard is at work, or could be, its rules and what they refused.",
	.about = "The exit status is 0 when one is in force and was seen to work just now, else 1.",
	.options = status_rows,
	.defaults = &host_defaults,
	.size = sizeof host_defaults,
	.run = status_run,
};

static const struct command_option remove_rows[] = {
	CGROUP_ROW("Only the rule of this cgroup. Default: the guard, with all its rules."),
	{ NULL },
};

static const struct command host_remove_command = {
	.name = "host remove",
	.summary = "Take the guard away, or one rule of it.",
	.options = remove_rows,
	.defaults = &host_defaults,
	.size = sizeof host_defaults,
	.run = remove_run,
};

static const struct command *const verbs[] = { &host_apply_command, &host_status_command, &host_remove_command, NULL };

const struct command host_command = {
	.name = "host",
	.summary = "Hold all rings of the host, or of a cgroup, to rules that the kernel keeps.",
	.about = "Needs root, and a kernel that lets BPF programs attach to security hooks. What was applied outlives "
		 "the command.",
	.verbs = verbs,
};
