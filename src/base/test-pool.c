/* SPDX-License-Identifier: MIT */
/* Pools: objects come zeroed and aligned, do not overlap, are used again, and stop at the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pool.h"

struct thing {
	uint64_t bytes[5];
};

enum { THINGS = 5000 };

static void test_objects_are_zeroed_and_apart(void **state)
{
	static struct thing *things[THINGS];
	struct pool pool = POOL_INIT(struct thing);

	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < THINGS; i++) {
			static const struct thing zero;

			things[i] = pool_take(&pool);
			assert_non_null(things[i]);
			assert_int_equal((uintptr_t)things[i] % _Alignof(struct thing), 0);
			assert_memory_equal(things[i], &zero, sizeof(zero));
			memset(things[i], (int)(i % 255) + 1, sizeof(*things[i]));
		}
		for (uint64_t i = 0; i < THINGS; i++) {
			assert_int_equal(((unsigned char *)things[i])[0], i % 255 + 1);
			assert_int_equal(((unsigned char *)things[i])[sizeof(struct thing) - 1], i % 255 + 1);
			pool_give(&pool, things[i]);
		}
		assert_int_equal(pool.n_live, 0);
	}
	pool_deinit(&pool);
}

static void test_given_objects_come_again(void **state)
{
	struct pool pool = POOL_INIT(char);
	void *first = pool_take(&pool);

	pool_give(&pool, NULL);
	pool_give(&pool, first);
	assert_ptr_equal(pool_take(&pool), first);
	pool_deinit(&pool);
}

static void test_limit_holds(void **state)
{
	struct pool pool = POOL_INIT(struct thing);
	void *a, *b;

	pool.n_max = 2;
	a = pool_take(&pool);
	b = pool_take(&pool);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(pool_take(&pool));
	pool_give(&pool, a);
	assert_non_null(pool_take(&pool));
	pool_deinit(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects_are_zeroed_and_apart),
		cmocka_unit_test(test_given_objects_come_again),
		cmocka_unit_test(test_limit_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
