/* SPDX-License-Identifier: MIT */
/* The map against a plain array that does the same slowly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"

enum { KEYS = 512, STEPS = 200000 };

static void test_empty_map_holds_nothing(void **state)
{
	struct map map = { 0 };

	assert_null(map_get(&map, 0));
	assert_null(map_remove(&map, 7));
	MAP_FOR_EACH(&map, entry)
	fail();
	map_deinit(&map);
}

static void test_replacing_keeps_one(void **state)
{
	struct map map = { 0 };
	int a, b;

	assert_int_equal(map_put(&map, UINT64_MAX, &a), 0);
	assert_int_equal(map_put(&map, UINT64_MAX, &b), 0);
	assert_int_equal(map.n_used, 1);
	assert_ptr_equal(map_get(&map, UINT64_MAX), &b);
	assert_ptr_equal(map_remove(&map, UINT64_MAX), &b);
	assert_null(map_get(&map, UINT64_MAX));
	map_deinit(&map);
}

/* Keys a few bits apart, as pages and descriptors are, so that runs of neighbours form and break up. */
static uint64_t key_of(unsigned number)
{
	return (uint64_t)(number % 64) << 12 | number / 64;
}

static void check_same(const struct map *map, void *const *model)
{
	size_t n = 0;

	for (unsigned i = 0; i < KEYS; i++) {
		assert_ptr_equal(map_get(map, key_of(i)), model[i]);
		n += model[i] != NULL;
	}
	MAP_FOR_EACH(map, entry)
	n--;
	assert_int_equal(n, 0);
}

static void test_behaves_as_an_array(void **state)
{
	static void *model[KEYS];
	struct map map = { 0 };
	uint64_t random = 1;

	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		i = (unsigned)(random >> 33) % KEYS;
		if (random >> 63) {
			model[i] = &model[(random >> 20) % KEYS];
			assert_int_equal(map_put(&map, key_of(i), model[i]), 0);
		} else {
			assert_ptr_equal(map_remove(&map, key_of(i)), model[i]);
			model[i] = NULL;
		}
		if (step % 1000 == 0)
			check_same(&map, model);
	}
	check_same(&map, model);
	map_deinit(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_map_holds_nothing),
		cmocka_unit_test(test_replacing_keeps_one),
		cmocka_unit_test(test_behaves_as_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
