/* SPDX-License-Identifier: MIT */
/*
 * The limits of a process that keep registeredBufferBytes (RLIMIT_MEMLOCK) and registeredFiles (RLIMIT_NOFILE), for one
 * that runs already: `circlip run` sets them before its program begins, the agent meets its programs when they ask for
 * their first ring. What such a program starts from then on has them too.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "enforce/policy.h"

enum { LIMITS_N = 2 };

/* A plain value, for another process to carry out. */
struct limits {
	pid_t pid;               /* of any of its threads; 0 = nobody's */
	uint64_t most[LIMITS_N]; /* UINT64_MAX = as it is */
};

struct limits limits_of(const struct policy *policy, pid_t pid);

/*
 * Lowers what is higher. The process must be of our user in every respect, or we need CAP_SYS_RESOURCE. 0, or the
 * POLICY_* whose limit it could not lower.
 */
int limits_lower(const struct limits *limits);

/*
 * Our own RLIMIT_MEMLOCK becomes that of the process, as far as our hard limit goes: what we make for it is counted
 * against it. 0 or -errno; nobody's: 0.
 */
int limits_take(const struct limits *limits);

/*
 * The POLICY_* that such a limit would not keep, since the program has, or gets when it executes something, a
 * capability for which it does not count or that raises it again; `ret_capability` gets its name. Capabilities count in
 * the first user namespace alone, which is taken to be ours. 0 = they keep all, or -errno.
 */
int limits_undone(const struct limits *limits, const char **ret_capability);

enum policy_field limits_field(size_t i); /* of most[i] */

/* Resource of the runtime spec ("RLIMIT_NOFILE"), and of docker's --ulimit ("nofile"); NULL = it has none. */
const char *limits_resource(enum policy_field field);
const char *limits_ulimit(enum policy_field field);
