/* SPDX-License-Identifier: MIT */
/* The filter against a plain list of claims: it must never say no where the list says yes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "shim/inner.h"

enum { REQUESTS = 600, FEW = 7, RANGES = 4, RINGS = 3 };

struct ring rings_table[RINGS_MAX];
static struct shared_header header = { .seq = 1000 };
struct shared_header *shim_shared = &header;

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

struct range {
	uint64_t address, length;
};

static struct request {
	unsigned ring, n;
	uint64_t user_data, born;
	struct range ranges[RANGES];
} requests[REQUESTS];

/* Sizes and distances of all levels. */
static struct range some_range(void)
{
	static const uint64_t most[] = { 64, 4096, 40000, 300000, 8000000, 100000000 };
	uint64_t random = next_random();
	struct range range = { .length = 1 + next_random() % most[random % 6] };

	range.address = UINT64_C(0x7f0000000000) + next_random() % (UINT64_C(1) << (random & 64 ? 27 : 40));
	return range;
}

static bool overlap(const struct range *a, const struct range *b)
{
	return a->address < b->address + b->length && b->address < a->address + a->length;
}

static bool expected(const struct range *range, uint64_t since)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		for (unsigned k = 0; k < requests[i].n; k++)
			if (requests[i].born >= since && overlap(&requests[i].ranges[k], range))
				return true;
	return false;
}

static void submit(struct request *request, uint64_t user_data, unsigned most)
{
	struct filter_claims claims;

	*request = (struct request){ .ring = next_random() % RINGS, .n = 1 + next_random() % most };
	request->user_data = user_data;
	request->born = header.seq;
	filter_begin(&claims, &rings_table[request->ring], user_data);
	for (unsigned i = 0; i < request->n; i++) {
		request->ranges[i] = some_range();
		filter_add(&claims, request->ranges[i].address, request->ranges[i].length);
	}
	filter_end(&claims);
	header.seq++;
}

static void complete(struct request *request)
{
	if (request->n)
		filter_done(&rings_table[request->ring], request->user_data);
	request->n = 0;
}

/* Right in both directions while they are so few that no bucket runs over. */
static void check(const struct range *range, bool few)
{
	bool yes = expected(range, 0);
	uint64_t since = header.seq - next_random() % 10;

	if (yes)
		assert_true(filter_may_hit(range->address, range->length));
	if (yes || few)
		assert_int_equal(filter_hit(range->address, range->length), yes);
	if (few)
		assert_int_equal(filter_hit_since(range->address, range->length, (uint32_t)since),
				 expected(range, since));
}

static void many(void **state)
{
	uint64_t user_data = 0x5000;

	for (unsigned round = 0; round < 30000; round++) {
		bool few = round < 15000;
		struct request *request = &requests[next_random() % (few ? FEW : REQUESTS)];
		struct range range = some_range();

		complete(request);
		if (next_random() % 8)
			submit(request, user_data += 64, few ? 2 : RANGES);
		check(&range, few);
		range = request->ranges[0];
		if (request->n)
			check(&range, few);
	}
}

static void dropped(void **state)
{
	filter_drop(&rings_table[1]);
	for (unsigned i = 0; i < REQUESTS; i++)
		if (requests[i].ring == 1)
			requests[i].n = 0;
	for (unsigned i = 0; i < REQUESTS; i++)
		check(&requests[i].ranges[0], false);
	for (unsigned i = 0; i < REQUESTS; i++)
		complete(&requests[i]);
	for (unsigned i = 0; i < REQUESTS; i++)
		assert_false(filter_hit(requests[i].ranges[0].address, requests[i].ranges[0].length));
}

/* All with one user_data, and all on one page: still yes while any is in flight, and nothing afterwards. */
static void crowd(void **state)
{
	struct filter_claims claims;

	for (unsigned i = 0; i < 100; i++) {
		filter_begin(&claims, &rings_table[2], 7);
		filter_add(&claims, UINT64_C(0x123456000) + i * 32, 32);
		filter_end(&claims);
	}
	for (unsigned i = 0; i < 100; i++)
		assert_true(filter_hit(UINT64_C(0x123456000) + i * 32, 32));
	for (unsigned i = 0; i < 100; i++)
		filter_done(&rings_table[2], 7);
	assert_false(filter_hit(UINT64_C(0x123456000), 3200));
	assert_false(filter_may_hit(UINT64_C(0x123456000), 3200));
}

static void vectors(void **state)
{
	struct filter_claims claims;

	filter_begin(&claims, &rings_table[0], 9);
	for (unsigned i = 0; i < 200; i++)
		filter_add(&claims, UINT64_C(0x200000000) + i * 65536, 100);
	filter_end(&claims);
	for (unsigned i = 0; i < 200; i++)
		assert_true(filter_hit(UINT64_C(0x200000000) + i * 65536 + 99, 1));
	assert_false(filter_hit(UINT64_C(0x200000000) + 100, 65536 - 100));
	filter_done(&rings_table[0], 9);
	assert_false(filter_hit(UINT64_C(0x200000000), 200 * 65536));
}

static void registered(void **state)
{
	for (unsigned i = 0; i < 100; i++)
		filter_register(&rings_table[0], UINT64_C(0x300000000) + i * UINT64_C(0x1000000), 4096);
	for (unsigned i = 0; i < 100; i++)
		assert_true(filter_hit(UINT64_C(0x300000000) + i * UINT64_C(0x1000000), 1));
	assert_false(filter_hit(UINT64_C(0x300001000), 4096));
	filter_unregister(&rings_table[0]);
	assert_false(filter_hit(UINT64_C(0x300000000), 4096));
}

static void forked(void **state)
{
	submit(&requests[0], 1, 1);
	filter_fork_child();
	assert_false(filter_hit(requests[0].ranges[0].address, requests[0].ranges[0].length));
	assert_int_equal(filter_used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many),    cmocka_unit_test(dropped),    cmocka_unit_test(crowd),
		cmocka_unit_test(vectors), cmocka_unit_test(registered), cmocka_unit_test(forked),
	};

	filter_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
