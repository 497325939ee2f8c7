/* SPDX-License-Identifier: MIT */
/* A build without the guard has all its functions, and says why they do nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "enforce/guard.h"

static void expect_absent(int r, struct err *err)
{
	assert_int_equal(r, -EOPNOTSUPP);
	assert_non_null(strstr(err->text, "built without"));
	*err = (struct err){ "" };
}

static void test_absent(void **state)
{
	const struct guard_rule rule = GUARD_RULE_OPEN;
	struct guard *guard = (struct guard *)state;
	struct guard_about about;
	struct err err = { "" };
	uint64_t cgroup;

	expect_absent(guard_probe(&err), &err);
	expect_absent(guard_load(&guard, &err), &err);
	expect_absent(guard_find(&guard, &err), &err);
	expect_absent(guard_get(&guard, &err), &err);
	expect_absent(guard_try(NULL, &err), &err);
	expect_absent(guard_pin(NULL, &err), &err);
	expect_absent(guard_remove(&err), &err);
	expect_absent(guard_set_rule(NULL, GUARD_HOST, &rule, &err), &err);
	expect_absent(guard_remove_rule(NULL, GUARD_HOST, &err), &err);
	expect_absent(guard_read(NULL, GUARD_HOST, NULL, NULL, &err), &err);
	expect_absent(guard_read_about(NULL, &about, &err), &err);
	assert_int_equal(guard_next(NULL, NULL, &cgroup), -EOPNOTSUPP);
	assert_false(guard_is_pinned(NULL));
	assert_ptr_equal(guard, state);
	assert_null(guard_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_absent) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
