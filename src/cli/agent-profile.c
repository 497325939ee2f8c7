/* SPDX-License-Identifier: MIT */
/* circlip agent profile: the seccomp profile that sends a container's io_uring_setup to the agent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/agent.h"
#include "cli/command.h"
#include "enforce/agent-profile.h"
#include "enforce/agent.h"
#include "enforce/limits.h"
#include "enforce/policy.h"

struct profile_words {
	unsigned int runtime;
	const char *policy, *metadata, *socket, *base;
};

static const struct profile_words profile_defaults = { .policy = "default", .socket = AGENT_DEFAULT_LISTEN };

static const char *runtime_name(size_t i)
{
	return agent_runtimes[i].name;
}

/* A seccomp profile cannot hold them. */
static void tell_limits(const struct agent_runtime *runtime, const struct policy *policy)
{
	const struct limits limits = limits_of(policy, 0);

	for (size_t i = 0; i < LIMITS_N; i++) {
		enum policy_field field = limits_field(i);

		if (limits.most[i] == UINT64_MAX)
			continue;
		fprintf(stderr, "%s: the agent sets %s when a program asks for a ring", policy_field_name(field),
			limits_resource(field));
		if (runtime->limit)
			fprintf(stderr, "; from the container's beginning: %s %s=%llu", runtime->limit,
				limits_ulimit(field), (unsigned long long)limits.most[i]);
		fputc('\n', stderr);
	}
}

/* The profile alone goes to stdout, where a file takes it; what to do with it is for the reader. */
static void tell(const struct agent_runtime *runtime, const char *base, const struct policy *policy)
{
	if (*base)
		fprintf(stderr, "made from: %s\n", base);
	fprintf(stderr, "to use it: %s\nneeds: %s\n", runtime->use, runtime->since);
	tell_limits(runtime, policy);
}

static int profile_run(void *options, char **words, size_t n_words)
{
	const struct profile_words *given = options;
	struct policy policy;
	struct agent_profile_options profile = {
		.runtime = &agent_runtimes[given->runtime],
		.policy = &policy,
		.socket = given->socket,
		.base = given->base,
	};
	CLEANUP(cleanup_free) char *text = NULL;
	char base[AGENT_BASE_BYTES];
	struct err err = { "" };

	if (policy_find(given->policy, &policy, &err) < 0)
		return command_fail("agent profile", COMMAND_USAGE, "%s", err.text);
	profile.metadata = given->metadata ? given->metadata : policy.name;
	if (*given->socket != '/')
		return command_fail("agent profile", COMMAND_USAGE, "--socket is an absolute path");
	if (agent_profile_make(&profile, &text, base, &err) < 0)
		return command_fail("agent profile", COMMAND_FAILED, "%s", err.text);
	puts(text);
	tell(profile.runtime, base, &policy);
	return COMMAND_OK;
}

static const struct command_option profile_rows[] = {
	{ "runtime", NULL, "Whose form to write.", COMMAND_CHOICE, offsetof(struct profile_words, runtime),
	  runtime_name },
	{ "policy", "POLICY",
	  "A profile's name or a policy's file; its register opcodes go into the profile (default: default).",
	  COMMAND_TEXT, offsetof(struct profile_words, policy) },
	{ "metadata", "TEXT",
	  "The listenerMetadata by which the agent's rules know the container (default: the policy's name).",
	  COMMAND_TEXT, offsetof(struct profile_words, metadata) },
	{ "socket", "PATH", "The agent's socket.", COMMAND_FILE, offsetof(struct profile_words, socket) },
	{ "base", "FILE", "The runtime's own profile, or for runc and crun a config.json, to put the rules into.",
	  COMMAND_FILE, offsetof(struct profile_words, base) },
	{ NULL },
};

const struct command agent_profile_command = {
	.name = "agent profile",
	.summary = "Print the seccomp profile, or the manifest, that sends a container's rings to the agent.",
	.about = "The runtime's default profile stays as it is but for io_uring's three calls. It is taken from "
		 "/etc/containers or /usr/share/containers unless --base names another; runc and crun have none, and "
		 "get "
		 "a part of config.json.",
	.options = profile_rows,
	.defaults = &profile_defaults,
	.size = sizeof profile_defaults,
	.run = profile_run,
};
