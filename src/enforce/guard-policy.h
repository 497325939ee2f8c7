/* SPDX-License-Identifier: MIT */
/* What of a policy the guard keeps, and the rule that does it. */
#pragma once

#include <stdbool.h>

#include "enforce/policy.h"

struct guard_rule;

/*
 * The rule for programs under the policy.
 * `whole_host`: it is for everybody, so that "one for each CPU" can be kept.
 */
void guard_policy_rule(const struct policy *policy, bool whole_host, struct guard_rule *ret_rule);

/*
 * The same for programs whose rings a supervisor restricts between their making and their enabling, and who adds to
 * what they asked for: R_DISABLED, a size, what stands in for DEFER_TASKRUN.
 */
void guard_policy_supervised(const struct policy *policy, struct guard_rule *ret_rule);

/* Whether that rule keeps all that the policy restricts in this field. */
bool guard_policy_keeps(const struct policy *policy, bool whole_host, enum policy_field field);

/* What both rules allow. */
void guard_rule_join(struct guard_rule *rule, const struct guard_rule *other);
