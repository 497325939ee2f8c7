/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/uring.h"
#include "enforce/policy.h"
#include "enforce/restrictions.h"
#include "kernel/call.h"

static const struct restrictions_kernel old = { .last_op = 50, .last_register = 26 };

static unsigned int count(const struct restrictions *restrictions, enum restrictions_kind kind, int value)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < restrictions->task.n; i++)
		n += restrictions->task.entries[i].kind == kind &&
		     (value < 0 || restrictions->task.entries[i].value == value);
	return n;
}

static void numbers_beyond_the_kernel_are_left_out(void **state)
{
	struct policy policy = policy_allow_all();
	struct restrictions restrictions;

	restrictions_of(&policy, &old, &restrictions);
	assert_int_equal(count(&restrictions, RESTRICTIONS_SQE_OP, -1), 51);
	assert_int_equal(count(&restrictions, RESTRICTIONS_REGISTER_OP, -1), 27);
	assert_int_equal(count(&restrictions, RESTRICTIONS_SQE_FLAGS_ALLOWED, -1), 1);
	assert_int_equal(count(&restrictions, RESTRICTIONS_SQE_FLAGS_REQUIRED, -1), 0);
}

/* An unnamed kind is free from Linux 7.0 on. */
static void both_kinds_are_always_named(void **state)
{
	struct policy policy = policy_allow_all();
	struct restrictions restrictions;

	memset(policy.ops, 0, sizeof(policy.ops));
	policy.register_ops = 0;
	policy.sqe_flags = 0;
	restrictions_of(&policy, &old, &restrictions);
	assert_int_equal(count(&restrictions, RESTRICTIONS_SQE_OP, -1), 0);
	assert_int_equal(count(&restrictions, RESTRICTIONS_SQE_FLAGS_ALLOWED, 0), 1);
	assert_int_equal(count(&restrictions, RESTRICTIONS_REGISTER_OP, URING_REG_ENABLE_RINGS), 1);
	assert_int_equal(restrictions.task.n, 2);
}

static void required_flags_are_named(void **state)
{
	struct policy policy = policy_allow_all();
	struct restrictions restrictions;

	policy.required_sqe_flags = URING_SQE_FIXED_FILE;
	restrictions_of(&policy, &old, &restrictions);
	assert_int_equal(count(&restrictions, RESTRICTIONS_SQE_FLAGS_REQUIRED, URING_SQE_FIXED_FILE), 1);
	assert_true(restrictions_needed(&policy));
}

static void nothing_to_restrict_is_no_list(void **state)
{
	struct policy policy = policy_allow_all();

	assert_false(restrictions_needed(&policy));
	policy.ops[0] &= ~(UINT64_C(1) << URING_OP_OPENAT);
	assert_true(restrictions_needed(&policy));
	policy = policy_allow_all();
	policy.personalities = false;
	assert_true(restrictions_needed(&policy));
	policy = policy_allow_all();
	policy.sqe_flags &= (uint8_t)~URING_SQE_ASYNC;
	assert_true(restrictions_needed(&policy));
}

static void kernel_takes_the_list(void **state)
{
	struct policy policy = policy_allow_all();
	struct uring_params params = { .flags = URING_SETUP_R_DISABLED };
	struct restrictions_kernel kernel;
	struct restrictions restrictions;
	int r = restrictions_probe(&kernel), ring;

	if (r == -ENOSYS || r == -EPERM)
		skip();
	assert_int_equal(r, 0);
	assert_true(kernel.last_op >= URING_OP_EPOLL_CTL && kernel.last_op < URING_OP_LAST);
	assert_true(kernel.last_register >= URING_REG_ENABLE_RINGS && kernel.last_register < URING_REG_LAST);
	ring = kernel_setup(4, &params);
	assert_true(ring >= 0);
	restrictions_of(&policy, &kernel, &restrictions);
	assert_int_equal(kernel_register(ring, URING_REG_RESTRICTIONS, restrictions.task.entries, restrictions.task.n),
			 0);
	close(ring);
}

/* The filter as the kernel runs it: loads of words, jumps on equality. */
static uint32_t run_filter(const struct restrictions_filter *filter, uint32_t family)
{
	uint32_t a = 0;

	for (uint32_t at = 0; at < filter->call.length; at++) {
		const struct sock_filter *i = &filter->program[at];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_int_equal(i->k, 16);
			a = family;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += a == i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			fail();
		}
	}
	fail();
	return 0;
}

static void filter_lets_its_families_through(void **state)
{
	static const uint64_t sets[] = { 0, 1, UINT64_C(1) << 2 | UINT64_C(1) << 10, UINT64_MAX, UINT64_C(1) << 63 };
	struct restrictions_filter filter;

	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		struct policy policy = policy_allow_all();

		policy.socket_families = sets[i];
		restrictions_filter_families(&policy, &filter);
		for (uint32_t family = 0; family < 64; family++)
			assert_int_equal(run_filter(&filter, family), sets[i] >> family & 1);
		assert_int_equal(run_filter(&filter, 64), 0);
		assert_int_equal(run_filter(&filter, UINT32_MAX), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_beyond_the_kernel_are_left_out),
		cmocka_unit_test(both_kinds_are_always_named),
		cmocka_unit_test(required_flags_are_named),
		cmocka_unit_test(nothing_to_restrict_is_no_list),
		cmocka_unit_test(kernel_takes_the_list),
		cmocka_unit_test(filter_lets_its_families_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
