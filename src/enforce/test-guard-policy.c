/* SPDX-License-Identifier: MIT */
/* A policy as the guard's rule: nothing is allowed that the policy denies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "abi/uring.h"
#include "bpf/guard.h"
#include "enforce/guard-policy.h"

static struct guard_rule rule_of(const struct policy *policy, bool whole_host)
{
	struct guard_rule rule;

	guard_policy_rule(policy, whole_host, &rule);
	return rule;
}

static void test_open(void **state)
{
	static const struct guard_rule open = GUARD_RULE_OPEN;
	struct policy policy = policy_allow_all();
	struct guard_rule rule = rule_of(&policy, true);

	assert_memory_equal(&rule, &open, sizeof open);
	for (int field = 0; field < POLICY_N_FIELDS; field++)
		assert_true(guard_policy_keeps(&policy, false, (enum policy_field)field));
}

static void test_deny_all(void **state)
{
	struct policy policy = policy_deny_all();
	struct guard_rule rule = rule_of(&policy, true);

	assert_int_equal(rule.sqpoll_max, 0);
	assert_false(rule.setup_flags & (URING_SETUP_SQPOLL | URING_SETUP_SQ_AFF));
	assert_int_equal(rule.setup_flags, policy.setup_flags);
	assert_false(guard_policy_keeps(&policy, true, POLICY_OPS));
	assert_true(guard_policy_keeps(&policy, true, POLICY_SETUP_FLAGS));
	assert_true(guard_policy_keeps(&policy, true, POLICY_SQPOLL));
}

static void test_supervised(void **state)
{
	struct policy policy = policy_deny_all();
	struct guard_rule rule, alone = rule_of(&policy, false);

	guard_policy_supervised(&policy, &rule);
	assert_int_equal(rule.demands, GUARD_DISABLED);
	assert_int_equal(alone.demands, 0);
	assert_true(rule.setup_flags & URING_SETUP_R_DISABLED);
	assert_false(rule.setup_flags & (URING_SETUP_SQPOLL | URING_SETUP_NO_MMAP));
}

static void test_pollers(void **state)
{
	struct policy policy = policy_allow_all();
	struct guard_rule rule;

	policy.setup_flags &= ~(uint32_t)URING_SETUP_IOPOLL;
	policy.sqpoll.per_container = 100000;
	policy.sqpoll.per_cpu = true;
	policy.sqpoll.max_idle_ms = 50;
	policy.cq_entries = 4096;
	rule = rule_of(&policy, false);
	assert_int_equal(rule.sqpoll_max, 100000);
	assert_int_equal(rule.pinned_max, GUARD_UNLIMITED);
	assert_false(guard_policy_keeps(&policy, false, POLICY_SQPOLL));
	rule = rule_of(&policy, true);
	assert_true(rule.sqpoll_max >= 1 && rule.sqpoll_max < 100000);
	assert_int_equal(rule.pinned_max, 1);
	assert_int_equal(rule.idle_max, 50);
	assert_int_equal(rule.cq_max, 4096);
	assert_int_equal(rule.sq_max, GUARD_UNLIMITED);
	assert_int_equal(rule.setup_flags, ~(uint32_t)URING_SETUP_IOPOLL);
	assert_true(guard_policy_keeps(&policy, true, POLICY_SQPOLL));
}

static void test_join(void **state)
{
	struct guard_rule a = GUARD_RULE_OPEN, b = GUARD_RULE_OPEN;

	a.demands = GUARD_DISABLED;
	a.cq_max = 64;
	a.setup_flags = ~(uint32_t)URING_SETUP_IOPOLL;
	b.demands = GUARD_NO_RINGS;
	b.cq_max = 128;
	b.sq_max = 32;
	b.setup_flags = ~(uint32_t)URING_SETUP_SQPOLL;
	guard_rule_join(&a, &b);
	assert_int_equal(a.demands, GUARD_DISABLED | GUARD_NO_RINGS);
	assert_int_equal(a.cq_max, 64);
	assert_int_equal(a.sq_max, 32);
	assert_int_equal(a.setup_flags, ~(uint32_t)(URING_SETUP_IOPOLL | URING_SETUP_SQPOLL));
	assert_int_equal(a.sqpoll_max, GUARD_UNLIMITED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),    cmocka_unit_test(test_deny_all), cmocka_unit_test(test_supervised),
		cmocka_unit_test(test_pollers), cmocka_unit_test(test_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
