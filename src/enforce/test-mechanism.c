/* SPDX-License-Identifier: MIT */
/* The table has no hole, and says what was seen. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enforce/mechanism.h"

static void test_no_hole(void **state)
{
	for (int m = 0; m < MECHANISM_N; m++) {
		assert_int_equal(mechanism_find(mechanism_name((enum mechanism)m)), m);
		assert_non_null(mechanism_summary((enum mechanism)m));
		for (int field = 0; field < POLICY_N_FIELDS; field++)
			for (int guarded = 0; guarded < 2; guarded++) {
				const char *how = NULL;
				enum mechanism_force force =
					mechanism_force((enum mechanism)m, guarded, (enum policy_field)field, &how);

				assert_true(force < MECHANISM_N_FORCES);
				assert_non_null(how);
				assert_non_null(mechanism_force_name(force));
				assert_non_null(mechanism_force_meaning(force));
			}
	}
	assert_int_equal(mechanism_find("naive"), -ENOENT);
}

static enum mechanism_force of(enum mechanism mechanism, bool guarded, enum policy_field field)
{
	return mechanism_force(mechanism, guarded, field, NULL);
}

static void test_what_was_seen(void **state)
{
	for (int m = 0; m < MECHANISM_N; m++) {
		assert_int_equal(of((enum mechanism)m, false, POLICY_OPS), MECHANISM_KERNEL);
		assert_int_equal(of((enum mechanism)m, false, POLICY_REGISTER_OPS), MECHANISM_KERNEL);
		/* Only filters of the task look into an entry. */
		assert_int_equal(of((enum mechanism)m, true, POLICY_SOCKET_FAMILIES),
				 m == MECHANISM_TASK ? MECHANISM_KERNEL : MECHANISM_NOTHING);
	}
	/* With the task's restrictions nobody sees a ring being made, unless the guard does. */
	assert_int_equal(of(MECHANISM_TASK, false, POLICY_CQ_ENTRIES), MECHANISM_NOTHING);
	assert_int_equal(of(MECHANISM_TASK, true, POLICY_CQ_ENTRIES), MECHANISM_KERNEL);
	assert_int_equal(of(MECHANISM_TASK, true, POLICY_RINGS_PER_PROCESS), MECHANISM_NOTHING);
	assert_int_equal(of(MECHANISM_TASK, true, POLICY_WORKERS_BOUNDED), MECHANISM_NOTHING);
	assert_int_equal(of(MECHANISM_ENABLE, false, POLICY_WORKERS_BOUNDED), MECHANISM_SETUP);
	assert_int_equal(of(MECHANISM_STRIP, false, POLICY_RINGS_PER_CONTAINER), MECHANISM_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_hole),
		cmocka_unit_test(test_what_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
