/* SPDX-License-Identifier: MIT */
/*
 * Which policy for which container. The file is YAML:
 *
 *	default: default             # a policy's name or file, or "refuse"
 *	rules:                       # the first that matches wins; all that a rule names must match
 *	  - metadata: database*      # the seccomp profile's listenerMetadata
 *	    policy: database
 *	  - annotation: storage      # the container's annotation io.circlip.policy
 *	    policy: /etc/circlip/policies/storage.yaml
 *	  - id: build-*
 *	    policy: refuse           # no ring: every set-up is answered ENOSYS
 *
 * An annotation is often in the hands of whoever starts the container, so it is only ever compared: a container gets no
 * policy that a rule does not give it. Without a file, listenerMetadata may name a curated profile, and everything else
 * gets the default. Policies are read when the rules are, never when a container comes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "enforce/mechanism.h"
#include "enforce/policy.h"

struct agent_rules;
struct err;
struct oci_state;

/* By what policies will be enforced, and which of their fields may stay unenforced: others make a policy unusable. */
struct agent_force {
	enum mechanism mechanism;
	bool accepted[POLICY_N_FIELDS];
};

enum { AGENT_RULES_MAX = 256, AGENT_RULES_MAX_BYTES = 256 * 1024 };

/* `path` may be NULL: no rules. `fallback` (a policy's name or file, or "refuse") counts where the file has no default.
 */
int agent_rules_load(const char *path, const char *fallback, const struct agent_force *force,
		     struct agent_rules **ret_rules, struct err *err);
int agent_rules_parse(const char *text, size_t size, const char *file, const char *fallback,
		      const struct agent_force *force, struct agent_rules **ret_rules, struct err *err);
struct agent_rules *agent_rules_free(struct agent_rules *rules);

size_t agent_rules_count(const struct agent_rules *rules);

/*
 * 0, or AGENT_RULES_REFUSE: this container may have no ring. `ret_why` gets what decided, "rule 2 (line 7)" or
 * "default".
 */
enum { AGENT_RULES_REFUSE = 1 };
enum { AGENT_WHY_BYTES = 64 };
int agent_rules_match(const struct agent_rules *rules, const struct oci_state *state, struct policy *ret_policy,
		      char ret_why[static AGENT_WHY_BYTES]);
