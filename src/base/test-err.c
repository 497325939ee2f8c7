/* SPDX-License-Identifier: MIT */
/* Error texts: never longer than their struct, context goes in front, the code comes back unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void test_code_comes_back(void **state)
{
	struct err err;

	assert_int_equal(err_set(&err, -5, "%s: %d", "file", 7), -5);
	assert_string_equal(err.text, "file: 7");
	assert_int_equal(err_set(NULL, -6, "nobody listens"), -6);
	assert_int_equal(err_wrap(NULL, -7, "nobody listens"), -7);
}

static void test_context_goes_in_front(void **state)
{
	struct err err;

	err_set(&err, -1, "no such file");
	assert_int_equal(err_wrap(&err, 3, "reading %s", "a"), 3);
	assert_string_equal(err.text, "reading a: no such file");
}

static void test_long_texts_are_cut(void **state)
{
	char longer[2 * sizeof(((struct err *)NULL)->text)];
	struct err err;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	err_set(&err, 0, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	err_wrap(&err, 0, "context");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "context: xxx", 12);
	err_wrap(&err, 0, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code_comes_back),
		cmocka_unit_test(test_context_goes_in_front),
		cmocka_unit_test(test_long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
