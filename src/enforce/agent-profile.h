/* SPDX-License-Identifier: MIT */
/*
 * Makes the seccomp profiles that send a container's io_uring_setup to the agent, for each runtime in its own form.
 *
 * A runtime's default profile is not replaced by something weaker: it is taken as it is, io_uring's three calls are
 * taken out of its rules, and new rules for them put in: io_uring_setup goes to the agent, io_uring_enter is allowed,
 * and io_uring_register is allowed for the opcodes of the policy (a ring that its program made disabled has no
 * restrictions yet, so this is the only place where they hold for it). Enabling such a ring is the agent's to answer,
 * so that it can let callers make their rings themselves where the BPF guard holds them. What runc and crun read has
 * the limits of processes that the policy asks for, too (enforce/limits.h).
 */
#pragma once

#include <stddef.h>

struct err;
struct policy;

struct agent_runtime {
	const char *name;
	const char *since; /* the first version known to pass listenerPath on, and where that was read */
	const char *use;   /* what to do with the output */
	const char *limit; /* what "nofile=64" follows, where such a limit of a process can be given by hand; or NULL */
};

/*
 * At the end of listenerMetadata: the profile has the rules that `caller` rests on (enforce/filter.h); no part of what
 * the agent's rules see.
 */
#define AGENT_PROFILE_CALLER ";caller"

extern const struct agent_runtime agent_runtimes[]; /* ended by a NULL name */

struct agent_profile_options {
	const struct agent_runtime *runtime;
	const struct policy *policy;
	const char *socket;
	const char *metadata; /* listenerMetadata, by which the agent's rules know the container */
	const char *base; /* file: the runtime's own profile, or for runc and crun a config.json; NULL = as installed */
};

/* The text is the caller's to free. `ret_base` gets what the profile was made from, or "" */
enum { AGENT_BASE_BYTES = 256 };
int agent_profile_make(const struct agent_profile_options *options, char **ret_text,
		       char ret_base[static AGENT_BASE_BYTES], struct err *err);
