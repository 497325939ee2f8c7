/* SPDX-License-Identifier: MIT */
/* Reasons have names, and cgroups are found by what they are called. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/uring.h"
#include "base/err.h"
#include "enforce/guard.h"

static void test_reasons(void **state)
{
	for (unsigned int i = 0; i < GUARD_REASONS; i++) {
		assert_non_null(guard_reason_name(i));
		assert_true(strlen(guard_reason_text(i)) > 3);
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(guard_reason_name(i), guard_reason_name(j));
	}
	assert_null(guard_reason_name(GUARD_REASONS));
	assert_null(guard_reason_text(GUARD_REASONS));
}

static void test_no_cgroup(void **state)
{
	struct err err = { "" };
	uint64_t id = 7;

	assert_int_equal(guard_cgroup("/nonexistent", &id, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent"));
	assert_int_equal(guard_cgroup("/proc", &id, &err), -EINVAL);
	assert_non_null(strstr(err.text, "/proc is no cgroup"));
	assert_int_equal(id, 7);
}

/* Ids are positive, and the same by both ways where both lead somewhere. */
static void test_own_cgroup(void **state)
{
	struct err err = { "" };
	uint64_t by_pid = 0;

	if (guard_cgroup_of(getpid(), &by_pid, &err) < 0)
		skip(); /* no cgroup v2 here */
	assert_true(by_pid > 0);
	assert_true(guard_cgroup_of(1 << 30, &by_pid, &err) < 0);
}

static void test_rule_text(void **state)
{
	struct guard_rule rule = GUARD_RULE_OPEN;
	char text[GUARD_TEXT_MAX], small[12];

	guard_rule_text(&rule, text, sizeof text);
	assert_string_equal(text, "anything is allowed");
	rule.demands = GUARD_DISABLED;
	rule.setup_flags = ~(uint32_t)(URING_SETUP_SQPOLL | URING_SETUP_SQ_AFF);
	rule.sqpoll_max = 1;
	rule.cq_max = 4096;
	guard_rule_text(&rule, text, sizeof text);
	assert_string_equal(text, "rings must be made disabled (R_DISABLED); not with SQPOLL|SQ_AFF; SQPOLL: at most 1 "
				  "thread; CQ: at most 4096 entries");
	guard_rule_text(&rule, small, sizeof small);
	assert_string_equal(small, "rings must ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_no_cgroup),
		cmocka_unit_test(test_own_cgroup),
		cmocka_unit_test(test_rule_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
