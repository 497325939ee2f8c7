/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/near.h"

static const char *names(size_t i)
{
	static const char *const list[] = { "buffer-freed-in-flight",
					    "buffers-overlap-in-flight",
					    "fd-recycled",
					    "bad-fd",
					    "link-self-wait",
					    "link-cross-wait",
					    "READ",
					    "READV",
					    "READ_FIXED",
					    NULL };

	return list[i];
}

static const char *first(const char *word)
{
	const char *name = NULL;

	near_names(word, names, &name, 1);
	return name;
}

static void test_slips(void **state)
{
	assert_string_equal(first("fd-recyled"), "fd-recycled");
	assert_string_equal(first("link-slef-wait"), "link-self-wait");
	assert_string_equal(first("raed"), "READ");
	assert_string_equal(first("buffer-freed"), "buffer-freed-in-flight");
	assert_string_equal(first("freed-buffer"), "buffer-freed-in-flight");
}

static void test_strangers(void **state)
{
	assert_null(first("xyzzy"));
	assert_null(first(""));
	assert_null(first("q"));
	assert_null(first("a-word-that-is-very-much-longer-than-any-name-could-ever-be-in-this-catalogue-of-ours"));
}

/* The likest come first, and no more than there is room for. */
static void test_several(void **state)
{
	const char *ret[9];

	assert_int_equal(near_names("link", names, ret, 9), 2);
	assert_int_equal(near_names("wait", names, ret, 1), 1);
	assert_int_equal(near_names("READ", names, ret, 9), 3);
	assert_string_equal(ret[0], "READ");
	assert_string_equal(ret[1], "READV");
	assert_int_equal(near_names("flight", names, ret, 1), 1);
}

static void test_hint(void **state)
{
	char buf[64];

	assert_string_equal(near_hint(buf, sizeof buf, "badfd", names), "; did you mean \"bad-fd\"?");
	assert_string_equal(near_hint(buf, sizeof buf, "xyzzy", names), "");
	assert_string_equal(near_hint(buf, sizeof buf, "x", NULL), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slips),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
