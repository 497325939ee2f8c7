/* SPDX-License-Identifier: MIT */
/* Sizes kept beside the heap, against a plain list of blocks. No memory is allocated: addresses are enough. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "shim/inner.h"
#include "shim/shadow.h"

enum { BLOCKS = 400, SPAN = 1 << 20 };

/* Around a chunk's end. */
static const uint64_t arena = UINT64_C(0x7f1234000000) - SPAN / 2;

SHIM_TLS struct thread shim_self;

long shim_sys(long number, long a, long b, long c, long d, long e, long f)
{
	long r = syscall(number, a, b, c, d, e, f);

	return r == -1 ? -errno : r;
}

static uint64_t next_random(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void check_size(uint64_t address, uint64_t asked)
{
	uint64_t found = asked + 1;

	shadow_put(address, asked);
	assert_non_null(shadow_at(address));
	assert_int_equal(shadow_size(shadow_at(address)), asked);
	assert_true(shadow_take(address, &found));
	assert_int_equal(found, asked);
	assert_false(shadow_take(address, &found));
	assert_null(shadow_at(address));
}

static void sizes(void **state)
{
	for (uint64_t asked = 0; asked < 5000; asked++)
		check_size(arena, asked);
	for (unsigned bits = 12; bits < 39; bits++)
		for (int64_t off = -20; off <= 20; off++)
			check_size(UINT64_C(0x10000000), (UINT64_C(1) << bits) + (uint64_t)off);
}

static void refused(void **state)
{
	uint64_t asked;

	shadow_put(arena + 8, 100);
	assert_false(shadow_take(arena + 8, &asked));
	shadow_put(UINT64_C(1) << 47, 100);
	assert_false(shadow_take(UINT64_C(1) << 47, &asked));
	shadow_put(arena, UINT64_C(1) << 40);
	assert_false(shadow_take(arena, &asked));
}

static void far_inside(void **state)
{
	uint64_t start = UINT64_C(0x600000000000), size = UINT64_C(5) << 30, base, asked;

	shadow_put(start, size);
	for (uint64_t at = 0; at < size; at += size / 997) {
		assert_true(shadow_find(start + at, &base, &asked));
		assert_int_equal(base, start);
		assert_int_equal(asked, size);
	}
	assert_false(shadow_find(start + size, &base, &asked));
	assert_false(shadow_find(start - 1, &base, &asked));
	assert_true(shadow_take(start, &asked));
	assert_false(shadow_find(start + size / 2, &base, &asked));
}

struct block {
	uint64_t address, asked;
};

static bool is_free(const struct block *blocks, uint64_t address, uint64_t asked)
{
	for (unsigned i = 0; i < BLOCKS; i++)
		if (blocks[i].address && blocks[i].address < address + asked + 16 &&
		    address < blocks[i].address + blocks[i].asked + 16)
			return false;
	return true;
}

static void check_address(const struct block *blocks, uint64_t address)
{
	const struct block *expected = NULL;
	uint64_t base = 0, asked = 0;

	for (unsigned i = 0; i < BLOCKS; i++)
		if (blocks[i].address && address - blocks[i].address < blocks[i].asked)
			expected = &blocks[i];
	assert_int_equal(shadow_find(address, &base, &asked), expected != NULL);
	if (!expected)
		return;
	assert_int_equal(base, expected->address);
	assert_int_equal(asked, expected->asked);
}

static uint64_t some_size(void)
{
	uint64_t random = next_random();

	return random >> 8 & 7 ? random % 600 : random % 40000;
}

static void many(void **state)
{
	static struct block blocks[BLOCKS];

	for (unsigned round = 0; round < 40000; round++) {
		struct block *block = &blocks[next_random() % BLOCKS];
		uint64_t asked = some_size(), address = (arena + next_random() % SPAN) & ~UINT64_C(15), old;

		if (block->address) {
			assert_true(shadow_take(block->address, &old));
			assert_int_equal(old, block->asked);
			block->address = 0;
		}
		if (is_free(blocks, address, asked)) {
			*block = (struct block){ address, asked };
			shadow_put(address, asked);
			if (address + 16 > arena + SPAN / 2 - 80 && address < arena + SPAN / 2 && !shadow_at(address))
				block->address = 0; /* a long number that would leave its chunk is not kept */
		}
		check_address(blocks, address + asked / 2);
		check_address(blocks, address + asked);
		check_address(blocks, arena + next_random() % SPAN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(refused),
		cmocka_unit_test(far_inside),
		cmocka_unit_test(many),
	};

	if (!shadow_init())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
