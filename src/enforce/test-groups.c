/* SPDX-License-Identifier: MIT */
/* The vocabulary is whole: each word has one meaning, each group resolves, each operation belongs somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "abi/op.h"
#include "abi/uring.h"
#include "enforce/groups.h"

static unsigned int count(enum groups_set set, const struct groups_bits *bits)
{
	unsigned int n = 0;

	for (unsigned int member = 0; member < groups_size(set); member++)
		n += groups_has(bits, member);
	return n;
}

static void test_rows_resolve(void **state)
{
	for (const struct groups_row *row = groups_table; row->name; row++) {
		struct groups_bits bits;

		assert_true(groups_find_member(row->set, row->name) < 0); /* no member is called like a group */
		assert_int_equal(groups_find(row->set, row->name, &bits), 0);
		for (const char *at = row->words; *at;) {
			size_t n = strcspn(at, " ");
			char word[GROUPS_NAME_BYTES];
			struct groups_bits part;

			snprintf(word, sizeof word, "%.*s", (int)n, at);
			assert_int_equal(groups_find(row->set, word, &part), 0);
			assert_true(count(row->set, &part) > 0);
			for (size_t i = 0; i < GROUPS_WORDS; i++)
				assert_int_equal(part.words[i] & ~bits.words[i], 0);
			at += n + strspn(at + n, " ");
		}
	}
}

/* An operation that is in no group would be allowed only by its name, which nobody would think of. */
static void test_every_operation_has_a_group(void **state)
{
	for (unsigned int op = 0; op < URING_OP_LAST; op++) {
		bool found = false;

		for (const struct groups_row *row = groups_table; row->name; row++) {
			struct groups_bits bits;

			if (row->set == GROUPS_OPS && groups_find(GROUPS_OPS, row->name, &bits) == 0)
				found |= groups_has(&bits, op);
		}
		if (!found)
			fail_msg("%s is in no group", abi_op(op)->name);
	}
}

static void test_names_are_found_again(void **state)
{
	for (int set = 0; set < GROUPS_N; set++)
		for (unsigned int member = 0; member < groups_size(set); member++) {
			char buf[GROUPS_NAME_BYTES];

			assert_int_equal(groups_find_member(set, groups_name(set, member, buf)), member);
		}
}

static void test_words(void **state)
{
	struct groups_bits bits;

	assert_int_equal(groups_find(GROUPS_OPS, "all", &bits), 0);
	assert_int_equal(count(GROUPS_OPS, &bits), 256);
	assert_int_equal(groups_find(GROUPS_OPS, "none", &bits), 0);
	assert_int_equal(count(GROUPS_OPS, &bits), 0);
	assert_int_equal(groups_find(GROUPS_OPS, "IORING_OP_READ", &bits), 0);
	assert_true(groups_has(&bits, URING_OP_READ));
	assert_int_equal(groups_find_member(GROUPS_OPS, "255"), 255);
	assert_true(groups_find_member(GROUPS_OPS, "256") < 0);
	assert_true(groups_find_member(GROUPS_OPS, "1x") < 0);
	assert_true(groups_find_member(GROUPS_OPS, "") < 0);
	assert_true(groups_find_member(GROUPS_SQE_FLAGS, "7") < 0); /* a bit or a mask? */
	assert_int_equal(groups_find_member(GROUPS_SQE_FLAGS, "bit-7"), 7);
	assert_int_equal(groups_find_member(GROUPS_FAMILIES, "inet6"), AF_INET6);
	assert_int_equal(groups_find_member(GROUPS_FAMILIES, "AF_LOCAL"), AF_UNIX);
	assert_int_equal(groups_find_member(GROUPS_REGISTER_OPS, "IORING_REGISTER_PBUF_RING"),
			 URING_REG_REGISTER_PBUF_RING);
	assert_true(groups_find(GROUPS_OPS, "nonsense", &bits) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_resolve),
		cmocka_unit_test(test_every_operation_has_a_group),
		cmocka_unit_test(test_names_are_found_again),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
