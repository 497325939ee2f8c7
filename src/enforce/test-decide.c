/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "enforce/decide.h"
#include "enforce/policy.h"

static struct decide_verdict ask_with(const struct policy *policy, enum mechanism mechanism, uint32_t entries,
				      const struct uring_params *params, const struct decide_counts *counts)
{
	struct decide_request request = {
		.mechanism = mechanism, .entries = entries, .params = params, .can_enable = true
	};
	struct decide_verdict verdict;

	if (counts)
		request.counts = *counts;
	memset(&verdict, 0xee, sizeof(verdict));
	decide(policy, &request, &verdict);
	return verdict;
}

static struct decide_verdict ask(const struct policy *policy, enum mechanism mechanism, uint32_t flags)
{
	struct uring_params params = { .flags = flags };

	return ask_with(policy, mechanism, 8, &params, NULL);
}

static void assert_denied(const struct decide_verdict *v, int field, int error)
{
	assert_int_equal(v->outcome, DECIDE_DENIED);
	assert_int_equal(v->field, field);
	assert_int_equal(v->error, error);
	assert_true(*v->what);
}

static void plain_ring_is_made_disabled(void **state)
{
	struct policy policy = policy_allow_all();

	for (int m = MECHANISM_CALLER; m < MECHANISM_N; m++) {
		struct decide_verdict v = ask(&policy, m, 0);

		assert_int_equal(v.outcome, DECIDE_AS_ASKED);
		assert_int_equal(v.params.flags, URING_SETUP_R_DISABLED);
		assert_int_equal(v.hidden_flags, URING_SETUP_R_DISABLED);
		assert_int_equal(v.entries, 8);
		assert_false(v.caller_enables || v.leave_disabled);
		assert_string_equal(v.what, "");
		assert_int_equal(v.field, -1);
	}
}

static void disabled_ring_stays_the_programs_to_enable(void **state)
{
	struct policy policy = policy_allow_all();
	struct decide_verdict v = ask(&policy, MECHANISM_ENABLE, URING_SETUP_R_DISABLED | URING_SETUP_SINGLE_ISSUER);

	assert_int_equal(v.outcome, DECIDE_AS_ASKED);
	assert_true(v.leave_disabled);
	assert_false(v.caller_enables);
	assert_int_equal(v.hidden_flags, 0);
}

static void denied_flag_names_itself_and_its_line(void **state)
{
	struct policy policy = policy_allow_all();
	struct decide_verdict v;

	policy.setup_flags &= ~(uint32_t)URING_SETUP_IOPOLL;
	policy.lines[POLICY_SETUP_FLAGS] = 17;
	v = ask(&policy, MECHANISM_STRIP, URING_SETUP_IOPOLL | URING_SETUP_CLAMP);
	assert_denied(&v, POLICY_SETUP_FLAGS, EPERM);
	assert_int_equal(v.line, 17);
	assert_non_null(strstr(v.what, "IOPOLL"));
	assert_null(strstr(v.what, "CLAMP"));
	assert_string_equal(v.remedy, "setupFlags: add IOPOLL");
}

static void unknown_flag_is_denied_unless_all_are_allowed(void **state)
{
	struct policy policy = policy_allow_all();
	struct decide_verdict v = ask(&policy, MECHANISM_STRIP, 1u << 30);

	assert_int_equal(v.outcome, DECIDE_AS_ASKED); /* the kernel says EINVAL */
	policy.setup_flags &= (1u << 21) - 1;
	v = ask(&policy, MECHANISM_STRIP, 1u << 30);
	assert_denied(&v, POLICY_SETUP_FLAGS, EPERM);
}

static void answer_is_the_policys(void **state)
{
	struct policy policy = policy_allow_all();
	struct decide_verdict v;

	policy.answer = POLICY_ANSWER_ENOSYS;
	policy.sqpoll.allowed = false;
	v = ask(&policy, MECHANISM_CALLER, URING_SETUP_SQPOLL);
	assert_denied(&v, POLICY_SQPOLL, ENOSYS);
	assert_string_equal(v.remedy, "sqpoll: { allowed: true }");
}

static void poller_is_refused_where_it_cannot_be_given(void **state)
{
	struct policy policy = policy_allow_all();
	struct decide_verdict v = ask(&policy, MECHANISM_ENABLE, URING_SETUP_SQPOLL | URING_SETUP_SQ_AFF);

	assert_denied(&v, -1, EPERM);
	assert_string_equal(v.remedy, "");
	v = ask(&policy, MECHANISM_STRIP, URING_SETUP_SQPOLL);
	assert_denied(&v, -1, EPERM);
}

static void poller_is_kept_and_its_idle_time_bounded(void **state)
{
	static const struct {
		uint32_t most, asked, made;
	} rows[] = { { 100, 50, 50 }, { 100, 500, 100 }, { 100, 0, 100 }, { 5000, 0, 0 }, { 0, 10, 1 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct policy policy = policy_allow_all();
		struct uring_params params = { .flags = URING_SETUP_SQPOLL, .sq_thread_idle = rows[i].asked };
		struct decide_verdict v;

		policy.sqpoll.max_idle_ms = rows[i].most;
		v = ask_with(&policy, MECHANISM_CALLER, 8, &params, NULL);
		assert_int_equal(v.outcome, rows[i].asked == rows[i].made ? DECIDE_AS_ASKED : DECIDE_ALTERED);
		assert_int_equal(v.params.sq_thread_idle, rows[i].made);
		assert_true(v.params.flags & URING_SETUP_SQPOLL);
	}
}

static void pollers_are_budgeted(void **state)
{
	struct policy policy = policy_allow_all();
	struct uring_params params = { .flags = URING_SETUP_SQPOLL };
	struct decide_counts counts = { .pollers_of_container = 1, .pollers_of_host = 4, .cpus = 4 };
	struct decide_verdict v;

	policy.sqpoll.per_container = 2;
	v = ask_with(&policy, MECHANISM_CALLER, 8, &params, &counts);
	assert_int_equal(v.outcome, DECIDE_AS_ASKED);
	policy.sqpoll.per_cpu = true;
	v = ask_with(&policy, MECHANISM_CALLER, 8, &params, &counts);
	assert_denied(&v, POLICY_SQPOLL, EPERM);
	counts.pollers_of_host = 3;
	counts.pollers_of_container = 2;
	v = ask_with(&policy, MECHANISM_CALLER, 8, &params, &counts);
	assert_denied(&v, POLICY_SQPOLL, EPERM);
	assert_string_equal(v.remedy, "sqpoll: { perContainer: 3 }");
}

static void rings_are_counted(void **state)
{
	struct policy policy = policy_allow_all();
	struct uring_params params = { 0 };
	struct decide_counts counts = { .rings_of_process = 2, .rings_of_container = 5 };
	struct decide_verdict v;

	policy.rings_per_process = 3;
	policy.rings_per_container = 6;
	v = ask_with(&policy, MECHANISM_STRIP, 8, &params, &counts);
	assert_int_equal(v.outcome, DECIDE_AS_ASKED);
	counts.rings_of_process = 3;
	v = ask_with(&policy, MECHANISM_STRIP, 8, &params, &counts);
	assert_denied(&v, POLICY_RINGS_PER_PROCESS, EPERM);
	assert_string_equal(v.remedy, "ringsPerProcess: 4");
	counts = (struct decide_counts){ .rings_of_process = 1, .rings_of_container = 6 };
	v = ask_with(&policy, MECHANISM_STRIP, 8, &params, &counts);
	assert_denied(&v, POLICY_RINGS_PER_CONTAINER, EPERM);
	policy.rings_per_process = 0;
	v = ask_with(&policy, MECHANISM_STRIP, 8, &params, NULL);
	assert_denied(&v, POLICY_RINGS_PER_PROCESS, EPERM);
}

static void counts_are_asked_for_only_when_they_count(void **state)
{
	struct policy policy = policy_allow_all();

	assert_false(decide_needs_counts(&policy));
	policy.rings_per_container = 1;
	assert_true(decide_needs_counts(&policy));
	policy = policy_allow_all();
	policy.sqpoll.per_container = 1;
	assert_true(decide_needs_counts(&policy));
	assert_false(decide_needs_host_counts(&policy, URING_SETUP_SQPOLL));
	policy.sqpoll.per_cpu = true;
	assert_true(decide_needs_host_counts(&policy, URING_SETUP_SQPOLL));
	assert_false(decide_needs_host_counts(&policy, 0));
}

/* asked: entries, CQ entries, flags; then what is made, 0 = denied */
struct size_row {
	uint32_t sq_most, cq_most;
	uint32_t entries, cq_entries, flags;
	uint32_t made_entries, made_cq; /* made_cq 0 = not said: the kernel's own */
};

static const struct size_row size_rows[] = {
	{ 64, 128, 64, 0, 0, 64, 0 },
	{ 64, 128, 33, 0, 0, 33, 0 }, /* rounded up it is 64 */
	{ 64, 128, 65, 0, 0, 0, 0 },
	{ 64, 128, 65, 0, URING_SETUP_CLAMP, 64, 0 },
	{ 100, 1000, 128, 0, URING_SETUP_CLAMP, 64, 0 }, /* rounded down to what the kernel can make */
	{ 64, 64, 64, 0, 0, 64, 64 },                    /* 128 by itself */
	{ 64, 64, 8, 4096, URING_SETUP_CQSIZE, 8, 64 },
	{ 64, 64, 8, 4096, 0, 8, 0 }, /* not heeded without CQSIZE */
	{ 64, 100, 8, 4096, URING_SETUP_CQSIZE, 8, 64 },
	{ 64, 64, 8, 65, URING_SETUP_CQSIZE, 8, 64 },
	{ 64, 16, 32, 0, 0, 0, 0 }, /* the CQ must not be smaller than the SQ */
	{ 64, 16, 32, 0, URING_SETUP_CLAMP, 16, 16 },
	{ 64, 64, 40000, 0, 0, 40000, 0 }, /* the kernel refuses it: EINVAL is its own */
	{ 64, 64, 0, 0, 0, 0xdead, 0 },    /* so is that */
	{ 64, 64, UINT32_MAX, 0, URING_SETUP_CLAMP, 64, 64 },
	{ 64, 64, 8, 70000, URING_SETUP_CQSIZE, 8, 70000 },
	{ 64, 64, 8, 70000, URING_SETUP_CQSIZE | URING_SETUP_CLAMP, 8, 64 },
	{ 64, 64, 8, 0, URING_SETUP_CQSIZE, 8, 0 },
	{ 1, 1, 1, 0, 0, 1, 1 },
};

static void sizes_are_bounded(void **state)
{
	for (size_t i = 0; i < sizeof(size_rows) / sizeof(*size_rows); i++) {
		const struct size_row *row = &size_rows[i];
		struct policy policy = policy_allow_all();
		struct uring_params params = { .flags = row->flags, .cq_entries = row->cq_entries };
		struct decide_verdict v;

		policy.sq_entries = row->sq_most;
		policy.cq_entries = row->cq_most;
		v = ask_with(&policy, MECHANISM_STRIP, row->entries, &params, NULL);
		if (row->made_entries == 0) {
			assert_int_equal(v.outcome, DECIDE_DENIED);
			continue;
		}
		assert_int_not_equal(v.outcome, DECIDE_DENIED);
		assert_int_equal(v.entries, row->entries ? row->made_entries : 0);
		if (row->made_cq && !(row->flags & URING_SETUP_CQSIZE && row->cq_entries == row->made_cq)) {
			assert_true(v.params.flags & URING_SETUP_CQSIZE);
			assert_int_equal(v.params.cq_entries, row->made_cq);
			assert_int_equal(v.outcome, DECIDE_ALTERED);
			/* A flag that the program did not set is not written back. */
			assert_int_equal(!!(v.hidden_flags & URING_SETUP_CQSIZE), !(row->flags & URING_SETUP_CQSIZE));
		}
	}
}

static void own_memory_is_refused_as_unknown(void **state)
{
	struct policy policy = policy_allow_all();
	struct decide_verdict v = ask(&policy, MECHANISM_STRIP, URING_SETUP_NO_MMAP);

	assert_denied(&v, -1, EINVAL);
	v = ask(&policy, MECHANISM_ENABLE, URING_SETUP_REGISTERED_FD_ONLY | URING_SETUP_NO_MMAP);
	assert_denied(&v, -1, EINVAL);
	v = ask(&policy, MECHANISM_CALLER, URING_SETUP_NO_MMAP);
	assert_int_equal(v.outcome, DECIDE_AS_ASKED);
	/* A policy's denial comes first. */
	policy.setup_flags = 0;
	v = ask(&policy, MECHANISM_STRIP, URING_SETUP_NO_MMAP);
	assert_string_equal(v.remedy, ""); /* strip could not give it */
	assert_non_null(strstr(v.what, "strip"));
	v = ask(&policy, MECHANISM_CALLER, URING_SETUP_NO_MMAP);
	assert_string_equal(v.remedy, "setupFlags: add NO_MMAP");
	v = ask(&policy, MECHANISM_STRIP, URING_SETUP_NO_MMAP);
	assert_denied(&v, POLICY_SETUP_FLAGS, EPERM);
}

static void attaching_is_dropped(void **state)
{
	struct policy policy = policy_allow_all();
	struct uring_params params = { .flags = URING_SETUP_ATTACH_WQ, .wq_fd = 5 };
	struct decide_verdict v = ask_with(&policy, MECHANISM_STRIP, 8, &params, NULL);

	assert_int_equal(v.params.flags, URING_SETUP_R_DISABLED);
	assert_int_equal(v.params.wq_fd, 0);
	v = ask_with(&policy, MECHANISM_CALLER, 8, &params, NULL);
	assert_int_equal(v.params.wq_fd, 5);
}

static void issuer_is_kept_or_taken_out(void **state)
{
	const uint32_t both = URING_SETUP_SINGLE_ISSUER | URING_SETUP_DEFER_TASKRUN;
	struct uring_params params = { .flags = both };
	struct decide_request request = { .mechanism = MECHANISM_ENABLE, .entries = 8, .params = &params };
	struct policy policy = policy_allow_all();
	struct decide_verdict v = ask(&policy, MECHANISM_ENABLE, both);

	assert_int_equal(v.outcome, DECIDE_AS_ASKED);
	assert_int_equal(v.params.flags, both | URING_SETUP_R_DISABLED);
	assert_true(v.caller_enables);
	v = ask(&policy, MECHANISM_STRIP, both);
	assert_int_equal(v.outcome, DECIDE_ALTERED);
	assert_int_equal(v.params.flags, URING_SETUP_COOP_TASKRUN | URING_SETUP_TASKRUN_FLAG | URING_SETUP_R_DISABLED);
	assert_int_equal(v.hidden_flags, URING_SETUP_R_DISABLED);
	assert_false(v.caller_enables);
	v = ask(&policy, MECHANISM_STRIP, URING_SETUP_SINGLE_ISSUER);
	assert_int_equal(v.params.flags, URING_SETUP_R_DISABLED);
	decide(&policy, &request, &v); /* the caller cannot be made to: as under strip */
	assert_int_equal(v.outcome, DECIDE_ALTERED);
	assert_int_equal(v.stripped_flags, both);
	request.mechanism = MECHANISM_CALLER;
	decide(&policy, &request, &v);
	assert_int_equal(v.stripped_flags, both);
	assert_false(v.caller_enables);
	request.can_enable = true;
	decide(&policy, &request, &v);
	assert_int_equal(v.outcome, DECIDE_AS_ASKED);
	assert_true(v.caller_enables);
}

/* Nobody could restrict a ring that only its maker has a name for. */
static void a_ring_of_the_caller_has_a_descriptor(void **state)
{
	const uint32_t asked = URING_SETUP_NO_MMAP | URING_SETUP_REGISTERED_FD_ONLY;
	struct policy policy = policy_allow_all();
	struct decide_verdict v = ask(&policy, MECHANISM_CALLER, asked);

	assert_int_equal(v.outcome, DECIDE_ALTERED);
	assert_int_equal(v.params.flags, URING_SETUP_NO_MMAP | URING_SETUP_R_DISABLED);
	assert_int_equal(v.stripped_flags, URING_SETUP_REGISTERED_FD_ONLY);
	v = ask(&policy, MECHANISM_CALLER, URING_SETUP_NO_MMAP);
	assert_int_equal(v.outcome, DECIDE_AS_ASKED);
}

static void several_alterations_are_all_told(void **state)
{
	struct policy policy = policy_allow_all();
	struct uring_params params = { .flags = URING_SETUP_SINGLE_ISSUER | URING_SETUP_CQSIZE, .cq_entries = 1024 };
	struct decide_verdict v;

	policy.cq_entries = 64;
	policy.lines[POLICY_CQ_ENTRIES] = 3;
	v = ask_with(&policy, MECHANISM_STRIP, 8, &params, NULL);
	assert_int_equal(v.outcome, DECIDE_ALTERED);
	assert_non_null(strstr(v.what, "CQ entries: 64 instead of 1024"));
	assert_non_null(strstr(v.what, "SINGLE_ISSUER"));
	assert_int_equal(v.field, POLICY_CQ_ENTRIES);
	assert_int_equal(v.line, 3);
}

/* Whatever is asked, what is made is within the policy. */
static void nothing_gets_past(void **state)
{
	uint64_t seed = 1;

	for (int i = 0; i < 200000; i++) {
		struct policy policy = policy_allow_all();
		struct uring_params params = { 0 };
		struct decide_verdict v;
		uint32_t r[4];

		for (size_t k = 0; k < 4; k++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			r[k] = (uint32_t)(seed >> 33);
		}
		policy.setup_flags = r[0] & ~(uint32_t)(URING_SETUP_SQPOLL | URING_SETUP_SQ_AFF);
		policy.sqpoll.allowed = r[1] & 1;
		policy.sq_entries = 1u << r[1] % 12;
		policy.cq_entries = r[2] % 3000 + 1;
		params.flags = r[3] & (r[0] | URING_SETUP_SQPOLL);
		params.cq_entries = r[2] >> r[1] % 32;
		v = ask_with(&policy, (enum mechanism)(MECHANISM_CALLER + r[1] % 3), r[0] >> r[2] % 32, &params, NULL);
		if (v.outcome == DECIDE_DENIED)
			continue;
		assert_true(v.params.flags & URING_SETUP_R_DISABLED);
		assert_true(policy.sqpoll.allowed || !(v.params.flags & URING_SETUP_SQPOLL));
		if (v.entries >= 1 && v.entries <= URING_SETUP_MAX_SQ)
			assert_true(v.entries <= policy.sq_entries);
		if (v.params.flags & URING_SETUP_CQSIZE && v.params.cq_entries <= URING_SETUP_MAX_CQ)
			assert_true(v.params.cq_entries <= policy.cq_entries);
		if (!(v.params.flags & URING_SETUP_CQSIZE) && v.entries <= URING_SETUP_MAX_SQ)
			assert_true(2 * v.entries <= policy.cq_entries);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_ring_is_made_disabled),
		cmocka_unit_test(disabled_ring_stays_the_programs_to_enable),
		cmocka_unit_test(denied_flag_names_itself_and_its_line),
		cmocka_unit_test(unknown_flag_is_denied_unless_all_are_allowed),
		cmocka_unit_test(answer_is_the_policys),
		cmocka_unit_test(poller_is_refused_where_it_cannot_be_given),
		cmocka_unit_test(poller_is_kept_and_its_idle_time_bounded),
		cmocka_unit_test(pollers_are_budgeted),
		cmocka_unit_test(rings_are_counted),
		cmocka_unit_test(counts_are_asked_for_only_when_they_count),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(own_memory_is_refused_as_unknown),
		cmocka_unit_test(attaching_is_dropped),
		cmocka_unit_test(issuer_is_kept_or_taken_out),
		cmocka_unit_test(a_ring_of_the_caller_has_a_descriptor),
		cmocka_unit_test(several_alterations_are_all_told),
		cmocka_unit_test(nothing_gets_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
