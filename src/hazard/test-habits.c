/* SPDX-License-Identifier: MIT */
/*
 * Rules that must tell a mistake from a habit, one moment at a time: the model is built by hand and the engine is
 * replaced by a counter, so that a failure here is the rule's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hazard/hazard.h"
#include "hazard/known.h"

extern const struct hazard hazard_sqe_abandoned_replay, hazard_stale_user_data, hazard_user_data_collision,
	hazard_cqe_not_seen, hazard_cq_over_advance, hazard_setup_flag_conflict, hazard_wait_without_inflight,
	hazard_forgotten_submit, hazard_cq_overflow_unflushed, hazard_fork_shared_ring;

/* ---- instead of the engine ---- */

struct hazard_context {
	struct model model;
	uint64_t cell;
	unsigned n_reports;
	unsigned n_notes;
	bool marked, holds;
	struct finding finding, held;
};

static struct hazard_context now;

struct finding *hazard_finding(struct hazard_context *context, const struct moment *moment,
			       const struct model_request *request)
{
	memset(&context->finding, 0, sizeof(context->finding));
	context->finding.ring = moment->ring ? moment->ring->id : 0;
	return &context->finding;
}

void hazard_message(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->message, sizeof(finding->message), format, args);
	va_end(args);
}

void hazard_stack(struct finding *finding, const char *label, uint32_t pid, uint32_t stack)
{
}

void hazard_report(struct hazard_context *context, struct finding *finding)
{
	context->n_reports++;
}

void hazard_report_after_call(struct hazard_context *context, struct finding *finding, bool only_if_consumed)
{
	context->n_reports++;
}

/* One at a time; it counts as reported until the rule lets it go. */
void hazard_hold(struct hazard_context *context, struct finding *finding, uint64_t at_most_ns)
{
	context->held = *finding;
	context->holds = true;
	context->n_reports++;
}

void hazard_decide_held(struct hazard_context *context, hazard_decide *decide, const void *opaque)
{
	enum hazard_decision decision = context->holds ? decide(&context->held, opaque) : HAZARD_KEEP;

	if (decision == HAZARD_KEEP)
		return;
	context->holds = false;
	context->n_notes += context->held.level == HAZARD_NOTE;
	if (decision == HAZARD_DROP || context->held.level == HAZARD_NOTE)
		context->n_reports--;
}

bool hazard_mark_request(struct hazard_context *context, struct model_request *request)
{
	bool first = !request->rule_bits[0];

	request->rule_bits[0] = 1;
	return first;
}

bool hazard_mark_ring(struct hazard_context *context, struct model_ring *ring)
{
	bool first = !context->marked;

	context->marked = true;
	return first;
}

struct model *hazard_model(struct hazard_context *context)
{
	return &context->model;
}

uint64_t *hazard_ring_cell(struct hazard_context *context, struct model_ring *ring)
{
	return &context->cell;
}

const struct hazard_options *hazard_options(struct hazard_context *context)
{
	static const struct hazard_options none;

	return &none;
}

/* ---- a ring of four entries ---- */

static struct model_slot_shadow shadow[4];
static struct model_tag tags[MODEL_TAGS];
static struct model_ring ring;
static struct model_process process;
static struct model_thread thread;
static struct model_request batch[4];

static int start(void **state)
{
	memset(&now, 0, sizeof(now));
	memset(shadow, 0, sizeof(shadow));
	memset(tags, 0, sizeof(tags));
	ring = (struct model_ring){ .id = 1,
				    .sq_entries = 4,
				    .cq_entries = 8,
				    .shadow = shadow,
				    .n_shadow = 4,
				    .tags = tags,
				    .process = &process };
	process = (struct model_process){ .pid = 1, .n_threads = 1 };
	thread = (struct model_thread){ .tid = 1, .process = &process };
	return 0;
}

static struct uring_sqe entry(uint8_t opcode, uint64_t address, uint64_t user_data)
{
	return (struct uring_sqe){ .opcode = opcode,
				   .fd = opcode == URING_OP_NOP ? -1 : 5,
				   .addr = address,
				   .len = 7,
				   .user_data = user_data };
}

/* One call that submits these entries from `slot` on; all are consumed. */
static void submit(const struct hazard *rule, uint32_t slot, unsigned n, const struct uring_sqe *sqes)
{
	ring.first = NULL;
	thread.enter.n_submit = n;
	thread.enter.call++;
	for (unsigned i = 0; i < n; i++) {
		struct event_submit event = { .position = i, .sqe = sqes[i] };
		struct moment moment = {
			.kind = MOMENT_SUBMIT, .event = &event.h, .thread = &thread, .ring = &ring, .request = &batch[i]
		};

		batch[i] = (struct model_request){ .sqe = sqes[i],
						   .op = abi_op(sqes[i].opcode),
						   .ring = &ring,
						   .process = &process,
						   .slot = (slot + i) % 4,
						   .call = thread.enter.call,
						   .seq = ++now.model.seq,
						   .event = &event };
		if (i) {
			batch[i - 1].next = &batch[i];
			batch[i].prev = &batch[i - 1];
		} else {
			ring.first = ring.staged_first = &batch[0];
		}
		rule->look(&now, &moment);
		batch[i].event = NULL;
	}
	for (unsigned i = 0; i < n; i++) {
		shadow[(slot + i) % 4] = (struct model_slot_shadow){ .sqe = sqes[i], .valid = true };
		model_tag_put(&ring, sqes[i].user_data, (slot + i) % 4);
	}
	ring.n_submitted += n;
}

static void submit_one(const struct hazard *rule, uint32_t slot, struct uring_sqe sqe)
{
	submit(rule, slot, 1, &sqe);
}

static void first_round(const struct hazard *rule)
{
	submit_one(rule, 0, entry(URING_OP_WRITE, 0x1000, 1));
	for (uint32_t i = 1; i < 4; i++)
		submit_one(rule, i, entry(URING_OP_NOP, 0, i + 1));
	assert_int_equal(now.n_reports, 0);
}

static void replay_beside_a_new_entry(void **state)
{
	struct uring_sqe both[] = { entry(URING_OP_WRITE, 0x1000, 1), entry(URING_OP_NOP, 0, 9) };

	first_round(&hazard_sqe_abandoned_replay);
	submit(&hazard_sqe_abandoned_replay, 0, 2, both);
	assert_int_equal(now.n_reports, 1);
}

static void replay_alone(void **state)
{
	first_round(&hazard_sqe_abandoned_replay);
	submit_one(&hazard_sqe_abandoned_replay, 0, entry(URING_OP_WRITE, 0x1000, 1));
	assert_int_equal(now.n_reports, 1);
}

static void replay_not_for_a_tag(void **state)
{
	for (uint32_t i = 0; i < 12; i++)
		submit_one(&hazard_sqe_abandoned_replay, i % 4, entry(URING_OP_WRITE, 0x1000, 1));
	assert_int_equal(now.n_reports, 0);
}

static void replay_not_for_whole_rounds(void **state)
{
	struct uring_sqe round[4];

	for (unsigned i = 0; i < 4; i++)
		round[i] = entry(URING_OP_WRITE, 0x1000 * (i + 1), i + 1);
	for (int i = 0; i < 3; i++)
		submit(&hazard_sqe_abandoned_replay, 0, 4, round);
	submit_one(&hazard_sqe_abandoned_replay, 0, round[0]);
	assert_int_equal(now.n_reports, 0);
}

static void replay_not_for_receives_armed_again(void **state)
{
	for (uint32_t i = 0; i < 8; i++)
		submit_one(&hazard_sqe_abandoned_replay, i % 4, entry(URING_OP_RECV, 0x1000 * (i % 4 + 1), i % 4 + 1));
	assert_int_equal(now.n_reports, 0);
}

static void stale_by_slot(void **state)
{
	first_round(&hazard_stale_user_data);
	submit_one(&hazard_stale_user_data, 0, entry(URING_OP_NOP, 0, 1));
	assert_int_equal(now.n_reports, 1);
}

static void stale_not_for_the_same_buffer(void **state)
{
	first_round(&hazard_stale_user_data);
	submit_one(&hazard_stale_user_data, 0, entry(URING_OP_RECV, 0x1000, 1));
	assert_int_equal(now.n_reports, 0);
}

static void stale_not_for_a_tag(void **state)
{
	for (uint32_t i = 0; i < 12; i++)
		submit_one(&hazard_stale_user_data, i % 4, entry(i % 3 ? URING_OP_NOP : URING_OP_WRITE, 0, 7));
	assert_int_equal(now.n_reports, 0);
}

static void stale_not_when_objects_are_used_again(void **state)
{
	first_round(&hazard_stale_user_data);
	submit_one(&hazard_stale_user_data, 0, entry(URING_OP_NOP, 0, 1));
	assert_int_equal(now.n_reports, 1);
	submit_one(&hazard_stale_user_data, 1, entry(URING_OP_NOP, 0, 4));
	submit_one(&hazard_stale_user_data, 2, entry(URING_OP_NOP, 0, 9));
	assert_int_equal(now.n_reports, 0);
}

/* ---- the completion ring ---- */

static void enter(const struct hazard *rule, uint32_t head, uint32_t tail, uint32_t n_submit, uint32_t min_complete)
{
	struct event_enter event = { .cq_head = head,
				     .cq_tail = tail,
				     .n_submit = n_submit,
				     .min_complete = min_complete,
				     .flags = min_complete ? URING_ENTER_GETEVENTS : 0,
				     .timeout = UINT64_MAX };
	struct moment moment = {
		.kind = MOMENT_ENTER, .event = &event.h, .process = &process, .thread = &thread, .ring = &ring
	};

	thread.enter = event;
	rule->look(&now, &moment);
}

static void leave(const struct hazard *rule, uint32_t head, uint32_t tail)
{
	struct event_ring_state event = { .cq_head = head, .cq_tail = tail, .known = 1 };
	struct moment moment = { .kind = MOMENT_RING_CLOSED, .event = &event.h, .process = &process, .ring = &ring };

	rule->look(&now, &moment);
}

static void unseen_when_waiting_again(void **state)
{
	enter(&hazard_cqe_not_seen, 0, 0, 1, 1);
	for (uint32_t i = 1; i < 4; i++)
		enter(&hazard_cqe_not_seen, 0, i, 1, 1);
	assert_int_equal(now.n_reports, 1);
}

static void unseen_not_when_taken_at_the_end(void **state)
{
	for (uint32_t i = 0; i < 4; i++)
		enter(&hazard_cqe_not_seen, 0, i, 1, 0);
	leave(&hazard_cqe_not_seen, 4, 4);
	assert_int_equal(now.n_reports, 0);
}

static void unseen_not_when_given_up_at_the_first(void **state)
{
	enter(&hazard_cqe_not_seen, 0, 0, 4, 0);
	enter(&hazard_cqe_not_seen, 0, 4, 0, 1);
	leave(&hazard_cqe_not_seen, 0, 4);
	assert_int_equal(now.n_reports, 0);
}

static void unseen_not_of_requests_in_flight(void **state)
{
	for (uint32_t i = 0; i < 4; i++)
		enter(&hazard_cqe_not_seen, 0, i, 1, 0);
	ring.n_inflight = 3;
	leave(&hazard_cqe_not_seen, 0, 4);
	assert_int_equal(now.n_reports, 0);
}

static void unseen_when_the_ring_goes_untouched(void **state)
{
	for (uint32_t i = 0; i < 4; i++)
		enter(&hazard_cqe_not_seen, 0, i, 1, 0);
	leave(&hazard_cqe_not_seen, 0, 4);
	assert_int_equal(now.n_reports, 1);
}

static void over_advance_across_the_wrap(void **state)
{
	enter(&hazard_cq_over_advance, UINT32_MAX, 3, 0, 0);
	assert_int_equal(now.n_reports, 0);
	enter(&hazard_cq_over_advance, 1, UINT32_MAX, 0, 0);
	assert_int_equal(now.n_reports, 1);
}

static void over_advance_twice_beside_threads(void **state)
{
	process.n_threads = 2;
	enter(&hazard_cq_over_advance, 3, 2, 0, 0);
	enter(&hazard_cq_over_advance, 3, 3, 0, 0);
	enter(&hazard_cq_over_advance, 5, 4, 0, 0);
	assert_int_equal(now.n_reports, 0);
	enter(&hazard_cq_over_advance, 5, 4, 0, 0);
	assert_int_equal(now.n_reports, 1);
}

/* ---- setup ---- */

static unsigned refused(uint32_t flags, uint32_t entries, uint32_t cq_entries)
{
	struct event_setup event = {
		.entries = entries, .result = -22, .asked_flags = flags, .asked_cq_entries = cq_entries
	};
	struct moment moment = { .kind = MOMENT_RING_SETUP, .event = &event.h, .process = &process };

	now.n_reports = 0;
	hazard_setup_flag_conflict.look(&now, &moment);
	return now.n_reports;
}

static void setup_conflicts(void **state)
{
	assert_int_equal(refused(URING_SETUP_DEFER_TASKRUN, 8, 0), 1);
	assert_int_equal(refused(URING_SETUP_DEFER_TASKRUN | URING_SETUP_SINGLE_ISSUER, 8, 0), 0);
	assert_int_equal(refused(1u << 30, 8, 0), 0);
	assert_int_equal(refused(0, 0, 0), 1);
	assert_int_equal(refused(URING_SETUP_CQSIZE, 64, 32), 1);
	assert_int_equal(refused(URING_SETUP_CQSIZE, 64, 33), 0);
}

static void granted(uint32_t flags)
{
	struct event_setup event = { .entries = 8, .result = 5, .asked_flags = flags };
	struct moment moment = { .kind = MOMENT_RING_SETUP, .event = &event.h, .process = &process };

	hazard_setup_flag_conflict.look(&now, &moment);
}

static void setup_with_less_is_a_note(void **state)
{
	uint32_t all = URING_SETUP_SQPOLL | URING_SETUP_SINGLE_ISSUER | URING_SETUP_DEFER_TASKRUN;

	assert_int_equal(refused(all, 8, 0), 1);
	granted(URING_SETUP_CQSIZE);
	assert_int_equal(now.n_reports, 1);
	granted(URING_SETUP_SQPOLL | URING_SETUP_SINGLE_ISSUER);
	assert_int_equal(now.n_reports, 0);
	assert_int_equal(now.n_notes, 1);
}

/* ---- waits ---- */

static void tick(const struct hazard *rule, uint64_t time)
{
	struct event event = { .time = time };
	struct moment moment = { .kind = MOMENT_TICK, .event = &event, .time = time };

	assert_int_equal(map_put(&now.model.processes, 1, &process), 0);
	assert_int_equal(map_put(&process.threads, 1, &thread), 0);
	thread.in_enter = &ring;
	rule->look(&now, &moment);
	map_deinit(&now.model.processes);
	map_deinit(&process.threads);
}

static void wait_for_nothing(void **state)
{
	ring.n_submitted = 1;
	enter(&hazard_wait_without_inflight, 0, 0, 0, 1);
	tick(&hazard_wait_without_inflight, 1000);
	assert_int_equal(now.n_reports, 0);
	tick(&hazard_wait_without_inflight, 1000000000);
	assert_int_equal(now.n_reports, 1);
}

static void wait_on_an_unused_ring_is_a_forgotten_submit(void **state)
{
	enter(&hazard_wait_without_inflight, 0, 0, 0, 1);
	tick(&hazard_wait_without_inflight, 1000000000);
	assert_int_equal(now.n_reports, 0);
	enter(&hazard_forgotten_submit, 0, 0, 0, 1);
	tick(&hazard_forgotten_submit, 1000000000);
	assert_int_equal(now.n_reports, 1);
}

static void wait_beside_a_thread_is_silent(void **state)
{
	process.n_threads = 2;
	ring.n_submitted = 1;
	enter(&hazard_wait_without_inflight, 0, 0, 0, 1);
	tick(&hazard_wait_without_inflight, 1000000000);
	assert_int_equal(now.n_reports, 0);
}

/* ---- overflow ---- */

static void stalled_beside_kept_completions(void **state)
{
	struct event_ring_state event = { .cq_head = 8, .cq_tail = 8, .known = 1 };
	struct moment moment = { .kind = MOMENT_STALLED, .event = &event.h, .process = &process, .ring = &ring };

	hazard_cq_overflow_unflushed.look(&now, &moment);
	assert_int_equal(now.n_reports, 0);
	event.sq_flags = URING_SQ_CQ_OVERFLOW;
	hazard_cq_overflow_unflushed.look(&now, &moment);
	assert_int_equal(now.n_reports, 1);
}

static void overflow_hides_what_has_ended(void **state)
{
	batch[0] = (struct model_request){ .state = REQUEST_INFLIGHT, .ring = &ring };
	assert_true(known_inflight(&batch[0]));
	ring.sq_flags = URING_SQ_CQ_OVERFLOW;
	assert_false(known_inflight(&batch[0]));
}

/* ---- forked children ---- */

static void used_by(uint32_t pid, uint16_t flags)
{
	struct event_enter event = { .h = { .pid = pid, .tid = pid, .flags = flags } };
	struct moment moment = { .kind = MOMENT_ENTER, .event = &event.h, .process = &process, .ring = &ring };

	hazard_fork_shared_ring.look(&now, &moment);
}

static void shared_by_mistake(void **state)
{
	ring.creator_pid = 7;
	used_by(7, 0);
	used_by(7, 0);
	assert_int_equal(now.n_reports, 0);
	used_by(8, 0);
	assert_int_equal(now.n_reports, 1);
}

static void shared_on_purpose(void **state)
{
	ring.creator_pid = 7;
	used_by(7, 0);
	used_by(8, EVENT_SHARED);
	used_by(7, 0);
	used_by(9, 0);
	assert_int_equal(now.n_reports, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(replay_beside_a_new_entry, start),
		cmocka_unit_test_setup(replay_alone, start),
		cmocka_unit_test_setup(replay_not_for_a_tag, start),
		cmocka_unit_test_setup(replay_not_for_whole_rounds, start),
		cmocka_unit_test_setup(replay_not_for_receives_armed_again, start),
		cmocka_unit_test_setup(stale_by_slot, start),
		cmocka_unit_test_setup(stale_not_for_the_same_buffer, start),
		cmocka_unit_test_setup(stale_not_for_a_tag, start),
		cmocka_unit_test_setup(stale_not_when_objects_are_used_again, start),
		cmocka_unit_test_setup(unseen_when_waiting_again, start),
		cmocka_unit_test_setup(unseen_not_when_taken_at_the_end, start),
		cmocka_unit_test_setup(unseen_not_when_given_up_at_the_first, start),
		cmocka_unit_test_setup(unseen_not_of_requests_in_flight, start),
		cmocka_unit_test_setup(unseen_when_the_ring_goes_untouched, start),
		cmocka_unit_test_setup(over_advance_across_the_wrap, start),
		cmocka_unit_test_setup(over_advance_twice_beside_threads, start),
		cmocka_unit_test_setup(setup_conflicts, start),
		cmocka_unit_test_setup(setup_with_less_is_a_note, start),
		cmocka_unit_test_setup(wait_for_nothing, start),
		cmocka_unit_test_setup(wait_on_an_unused_ring_is_a_forgotten_submit, start),
		cmocka_unit_test_setup(wait_beside_a_thread_is_silent, start),
		cmocka_unit_test_setup(stalled_beside_kept_completions, start),
		cmocka_unit_test_setup(overflow_hides_what_has_ended, start),
		cmocka_unit_test_setup(shared_by_mistake, start),
		cmocka_unit_test_setup(shared_on_purpose, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
