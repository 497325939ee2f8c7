/* SPDX-License-Identifier: MIT */
/* The engine with rules made for the purpose: which finding is told, once, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hazard/engine.h"

enum { PID = 100, RING = 1 };

static struct hazard_engine *engine;
static char told[8][32];
static unsigned n_told;
static uint64_t next_seq, call_number;

static void sink(void *context, const struct finding *finding)
{
	(void)snprintf(told[n_told++ % 8], sizeof(told[0]), "%s", finding->hazard->name);
}

/* ---- rules ---- */

extern const struct hazard hazard_request_overdue;

static void look_consumed(struct hazard_context *context, const struct moment *moment)
{
	struct finding *finding = hazard_finding(context, moment, moment->request);

	hazard_message(finding, "entry %u", (unsigned)moment->request->sqe.user_data);
	hazard_report(context, finding);
}

static void look_held(struct hazard_context *context, const struct moment *moment)
{
	hazard_report_after_call(context, hazard_finding(context, moment, moment->request), true);
}

static void look_kept(struct hazard_context *context, const struct moment *moment)
{
	hazard_hold(context, hazard_finding(context, moment, moment->request), HAZARD_SECOND);
}

static void look_wait(struct hazard_context *context, const struct moment *moment)
{
	if (moment->kind == MOMENT_TICK &&
	    hazard_mark_process(context, map_get(&hazard_model(context)->processes, PID))) {
		struct finding *finding = hazard_finding(context, moment, NULL);

		finding->ring = RING;
		hazard_report(context, finding);
	}
}

/* Remembers entry 1, and is to be shown what is consumed only while it does. */
static void look_remembered(struct hazard_context *context, const struct moment *moment)
{
	if (moment->kind == MOMENT_CONSUMED)
		look_consumed(context, moment);
	else if (moment->request->sqe.user_data == 1)
		*hazard_ring_cell(context, moment->ring) = 1;
}

static const char *const weak_names[] = { "weak", "waiting", NULL };

static const struct hazard weak = {
	.name = "weak", .level = HAZARD_WARNING, .wants = HAZARD_WANTS(CONSUMED), .look = look_consumed
};
static const struct hazard strong = { .name = "strong",
				      .level = HAZARD_ERROR,
				      .wants = HAZARD_WANTS(CONSUMED),
				      .look = look_consumed,
				      .supersedes = weak_names };
static const struct hazard held = {
	.name = "held", .level = HAZARD_ERROR, .wants = HAZARD_WANTS(SUBMIT), .look = look_held
};
static const struct hazard better_held = { .name = "better-held",
					   .level = HAZARD_ERROR,
					   .wants = HAZARD_WANTS(SUBMIT),
					   .look = look_held,
					   .supersedes = weak_names };
static const struct hazard kept = {
	.name = "kept", .level = HAZARD_ERROR, .wants = HAZARD_WANTS(CONSUMED), .look = look_kept
};
static const struct hazard waiting = {
	.name = "waiting", .level = HAZARD_ERROR, .wants = HAZARD_WANTS(TICK), .look = look_wait
};
static const struct hazard remembering = { .name = "remembering",
					   .level = HAZARD_ERROR,
					   .wants = HAZARD_WANTS(SUBMIT) | HAZARD_WANTS(CONSUMED),
					   .when = { .consumed = HAZARD_WHEN_CELL },
					   .look = look_remembered };
static const struct hazard chained = { .name = "chained",
				       .level = HAZARD_ERROR,
				       .wants = HAZARD_WANTS(CONSUMED),
				       .when = { .consumed = HAZARD_WHEN_CHAINED },
				       .look = look_consumed };
static const struct hazard blind = { .name = "blind",
				     .level = HAZARD_ERROR,
				     .wants = HAZARD_WANTS(CONSUMED),
				     .needs = SOURCE_CREDENTIALS,
				     .look = look_consumed };

/* ---- events ---- */

#define EVENT(type, KIND, ...)                                                                                         \
	(struct type)                                                                                                  \
	{                                                                                                              \
		.h = { .kind = EVENT_##KIND,                                                                           \
		       .size = sizeof(struct type),                                                                    \
		       .pid = PID,                                                                                     \
		       .tid = PID,                                                                                     \
		       .ring = RING,                                                                                   \
		       .stack = 9 },                                                                                   \
		__VA_ARGS__                                                                                            \
	}

static void apply_at(void *event, uint64_t time)
{
	struct event *h = event;

	h->seq = ++next_seq;
	h->time = time;
	assert_int_equal(hazard_engine_apply(engine, event), 0);
}

static void apply(void *event)
{
	apply_at(event, (next_seq + 1) * 1000);
}

static void begin_with(const struct hazard *const *rules, const struct hazard_options *options)
{
	struct event_setup setup =
		EVENT(event_setup, RING_SETUP, .result = 3, .params = { .sq_entries = 8, .cq_entries = 16 });

	n_told = 0;
	memset(told, 0, sizeof(told));
	engine = hazard_engine_new(rules, SOURCE_SQES | SOURCE_COMPLETIONS, options, sink, NULL);
	apply(&setup);
}

static void begin(const struct hazard *const *rules)
{
	begin_with(rules, NULL);
}

static void submit_flagged(uint32_t head, uint32_t consumed, uint8_t flags)
{
	struct event_enter enter = EVENT(event_enter, ENTER, .n_submit = 1, .to_submit = 1, .sq_head = head,
					 .sq_tail = head + 1, .call = ++call_number);
	struct event_submit submit = EVENT(event_submit, SUBMIT, .sqe_size = 64, .sq_index = head,
					   .sqe = { .user_data = head, .flags = flags });
	struct event_enter_return end = EVENT(event_enter_return, ENTER_RETURN, .consumed = consumed,
					      .result = (int32_t)consumed, .call = call_number);

	apply(&enter);
	apply(&submit);
	assert_string_not_equal(told[n_told ? (n_told - 1) % 8 : 0], "held");
	apply(&end);
}

static void submit_one(uint32_t head, uint32_t consumed)
{
	submit_flagged(head, consumed, 0);
}

static int stop(void **state)
{
	engine = hazard_engine_free(engine);
	return 0;
}

static void the_better_finding_is_told_alone(void **state)
{
	static const struct hazard *const rules[] = { &weak, &strong, NULL };

	begin(rules);
	submit_one(0, 1);
	assert_int_equal(n_told, 1);
	assert_string_equal(told[0], "strong");
}

static void what_was_told_silences_a_later_weaker_one_on_the_ring(void **state)
{
	static const struct hazard *const rules[] = { &strong, &waiting, NULL }, *const alone[] = { &waiting, NULL };
	struct event tick = { .kind = EVENT_TICK, .size = sizeof(tick) };

	begin(rules);
	submit_one(0, 1);
	apply(&tick);
	assert_int_equal(n_told, 1);
	stop(NULL);
	begin(alone);
	apply(&tick);
	assert_string_equal(told[0], "waiting");
}

static void a_place_is_told_once_and_counted(void **state)
{
	static const struct hazard *const rules[] = { &weak, NULL };

	begin(rules);
	for (uint32_t i = 0; i < 5; i++)
		submit_one(i, 1);
	assert_int_equal(n_told, 1);
}

static void count_sum(void *context, const struct finding *finding)
{
	*(uint64_t *)context += finding->count;
}

static void places_carry_counts(void **state)
{
	static const struct hazard *const rules[] = { &weak, NULL };
	uint64_t sum = 0;

	begin(rules);
	for (uint32_t i = 0; i < 5; i++)
		submit_one(i, 1);
	hazard_engine_places(engine, count_sum, &sum);
	assert_int_equal(sum, 5);
}

static void a_held_finding_waits_for_the_call(void **state)
{
	static const struct hazard *const rules[] = { &held, NULL };

	begin(rules);
	submit_one(0, 1);
	assert_int_equal(n_told, 1);
	assert_string_equal(told[0], "held");
}

static void a_held_finding_is_dropped_when_not_consumed(void **state)
{
	static const struct hazard *const rules[] = { &held, NULL };

	begin(rules);
	submit_one(0, 0);
	assert_int_equal(n_told, 0);
	hazard_engine_finish(engine);
	assert_int_equal(n_told, 0);
}

static void a_held_finding_supersedes_what_comes_meanwhile(void **state)
{
	static const struct hazard *const rules[] = { &weak, &better_held, NULL };

	begin(rules);
	submit_one(0, 1);
	assert_int_equal(n_told, 1);
	assert_string_equal(told[0], "better-held");
}

static void what_a_rule_keeps_is_told_after_its_time(void **state)
{
	static const struct hazard *const rules[] = { &kept, NULL };
	struct event tick = { .kind = EVENT_TICK, .size = sizeof(tick) };

	begin(rules);
	submit_one(0, 1);
	apply(&tick);
	assert_int_equal(n_told, 0);
	apply_at(&tick, UINT64_C(2) * HAZARD_SECOND);
	assert_int_equal(n_told, 1);
	assert_string_equal(told[0], "kept");
}

static void a_request_is_overdue_when_somebody_said_so(void **state)
{
	static const struct hazard *const rules[] = { &hazard_request_overdue, NULL };
	static const struct hazard_options options = { .overdue_ns = HAZARD_SECOND };
	struct event tick = { .kind = EVENT_TICK, .size = sizeof(tick) };

	begin_with(rules, &options);
	submit_one(0, 1);
	apply_at(&tick, HAZARD_SECOND);
	assert_int_equal(n_told, 0);
	apply_at(&tick, UINT64_C(2) * HAZARD_SECOND);
	apply_at(&tick, UINT64_C(3) * HAZARD_SECOND);
	assert_int_equal(n_told, 1);
	stop(NULL);
	begin(rules);
	submit_one(0, 1);
	apply_at(&tick, UINT64_C(2) * HAZARD_SECOND);
	assert_int_equal(n_told, 0);
}

static void a_rule_sleeps_while_it_remembers_nothing(void **state)
{
	static const struct hazard *const rules[] = { &remembering, NULL };

	begin(rules);
	submit_one(0, 1);
	assert_int_equal(n_told, 0);
	submit_one(1, 1);
	assert_int_equal(n_told, 1);
}

static void a_rule_about_chains_is_shown_no_others(void **state)
{
	static const struct hazard *const rules[] = { &chained, NULL };

	begin(rules);
	submit_one(0, 1);
	assert_int_equal(n_told, 0);
	submit_flagged(1, 1, URING_SQE_IO_LINK);
	assert_int_equal(n_told, 1);
}

static void note_unchecked(void *context, const struct hazard *hazard, const char *reason)
{
	*(const struct hazard **)context = hazard;
	assert_non_null(strstr(reason, "user ids"));
}

static void what_cannot_be_seen_is_not_checked(void **state)
{
	static const struct hazard *const rules[] = { &blind, &weak, NULL };
	const struct hazard *unchecked = NULL;

	begin(rules);
	submit_one(0, 1);
	assert_int_equal(n_told, 1);
	assert_string_equal(told[0], "weak");
	hazard_engine_unchecked(engine, note_unchecked, &unchecked);
	assert_ptr_equal(unchecked, &blind);
}

static void the_catalogue_is_sorted_and_whole(void **state)
{
	for (const struct hazard *const *hazard = hazard_catalogue; *hazard; hazard++) {
		assert_non_null((*hazard)->name);
		assert_non_null((*hazard)->why);
		assert_non_null((*hazard)->fix);
		assert_non_null((*hazard)->look);
		assert_true((*hazard)->wants != 0);
		assert_ptr_equal(hazard_find((*hazard)->name), *hazard);
		if (hazard[1])
			assert_true(strcmp((*hazard)->name, hazard[1]->name) < 0);
		for (const char *const *name = (*hazard)->supersedes; name && *name; name++)
			if (!hazard_find(*name))
				fail_msg("%s supersedes %s, which does not exist", (*hazard)->name, *name);
	}
	assert_null(hazard_find("no-such-hazard"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, stop)
		TEST(the_better_finding_is_told_alone),
		TEST(what_was_told_silences_a_later_weaker_one_on_the_ring),
		TEST(a_place_is_told_once_and_counted),
		TEST(places_carry_counts),
		TEST(a_held_finding_waits_for_the_call),
		TEST(a_held_finding_is_dropped_when_not_consumed),
		TEST(a_held_finding_supersedes_what_comes_meanwhile),
		TEST(what_a_rule_keeps_is_told_after_its_time),
		TEST(a_request_is_overdue_when_somebody_said_so),
		TEST(a_rule_sleeps_while_it_remembers_nothing),
		TEST(a_rule_about_chains_is_shown_no_others),
		TEST(what_cannot_be_seen_is_not_checked),
		cmocka_unit_test(the_catalogue_is_sorted_and_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
