/* SPDX-License-Identifier: MIT */
#include "enforce/guard-policy.h"

#include <unistd.h>

#include "abi/uring.h"
#include "bpf/guard.h"

_Static_assert(POLICY_NO_LIMIT == GUARD_UNLIMITED, "both say no limit alike");

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void guard_policy_rule(const struct policy *policy, bool whole_host, struct guard_rule *ret_rule)
{
	struct guard_rule rule = GUARD_RULE_OPEN;

	rule.setup_flags = policy->setup_flags;
	rule.sq_max = policy->sq_entries;
	rule.cq_max = policy->cq_entries;
	rule.sqpoll_max = 0;
	if (policy->sqpoll.allowed) {
		rule.setup_flags |= URING_SETUP_SQPOLL | URING_SETUP_SQ_AFF;
		rule.sqpoll_max = policy->sqpoll.per_container;
		rule.idle_max = policy->sqpoll.max_idle_ms;
	}
	if (policy->sqpoll.allowed && policy->sqpoll.per_cpu && whole_host) {
		rule.sqpoll_max = least(rule.sqpoll_max, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
		rule.pinned_max = 1;
	}
	*ret_rule = rule;
}

void guard_policy_supervised(const struct policy *policy, struct guard_rule *ret_rule)
{
	guard_policy_rule(policy, false, ret_rule);
	ret_rule->demands |= GUARD_DISABLED;
	ret_rule->setup_flags |=
		URING_SETUP_R_DISABLED | URING_SETUP_CQSIZE | URING_SETUP_COOP_TASKRUN | URING_SETUP_TASKRUN_FLAG;
}

bool guard_policy_keeps(const struct policy *policy, bool whole_host, enum policy_field field)
{
	if (field == POLICY_SQPOLL)
		return !policy->sqpoll.allowed || !policy->sqpoll.per_cpu || whole_host;
	return field == POLICY_SETUP_FLAGS || field == POLICY_SQ_ENTRIES || field == POLICY_CQ_ENTRIES ||
	       !policy_restricts(policy, field);
}

void guard_rule_join(struct guard_rule *rule, const struct guard_rule *other)
{
	rule->demands |= other->demands;
	rule->setup_flags &= other->setup_flags;
	rule->sq_max = least(rule->sq_max, other->sq_max);
	rule->cq_max = least(rule->cq_max, other->cq_max);
	rule->sqpoll_max = least(rule->sqpoll_max, other->sqpoll_max);
	rule->pinned_max = least(rule->pinned_max, other->pinned_max);
	rule->idle_max = least(rule->idle_max, other->idle_max);
}
