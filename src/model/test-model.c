/* SPDX-License-Identifier: MIT */
/* The model driven by events written by hand: what it makes of them, and that nonsense does it no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"

enum { PID = 100, TID = 100, RING = 1, NOP = URING_OP_NOP, RECV = URING_OP_RECV };

static struct model *model;
static unsigned n_moments[MOMENT_COUNT];
static struct moment newest;
static struct model_request seen; /* a copy of the newest moment's request */
static uint64_t next_seq, next_call;

static void observe(void *context, struct model *of, const struct moment *moment)
{
	n_moments[moment->kind]++;
	newest = *moment;
	if (moment->request)
		seen = *moment->request;
}

#define EVENT(type, KIND, ...)                                                                                         \
	(struct type)                                                                                                  \
	{                                                                                                              \
		.h = { .kind = EVENT_##KIND, .size = sizeof(struct type), .pid = PID, .tid = TID, .ring = RING },      \
		__VA_ARGS__                                                                                            \
	}

static void apply(void *event)
{
	struct event *h = event;

	h->seq = ++next_seq;
	h->time = h->seq * 1000;
	assert_int_equal(model_apply(model, event), 0);
}

static struct model_ring *the_ring(void)
{
	return map_get(&model->rings, RING);
}

static struct model_process *process_of(uint32_t pid)
{
	return map_get(&model->processes, pid);
}

static int start(void **state)
{
	struct event_process begin = EVENT(event_process, PROCESS_START, .uid = 5, .page_size = 4096);
	struct event_setup setup = EVENT(event_setup, RING_SETUP, .entries = 8, .result = 3,
					 .params = { .sq_entries = 8, .cq_entries = 16 });

	memset(n_moments, 0, sizeof(n_moments));
	model = model_new(observe, NULL);
	apply(&begin);
	apply(&setup);
	return 0;
}

static int stop(void **state)
{
	model = model_free(model);
	return 0;
}

static void enter_now(uint32_t head, uint32_t n)
{
	struct event_enter event = EVENT(event_enter, ENTER, .to_submit = n, .n_submit = n, .sq_head = head,
					 .sq_tail = head + n, .timeout = UINT64_MAX, .call = ++next_call);

	apply(&event);
}

static void submit_now(uint32_t head, uint32_t position, struct uring_sqe sqe)
{
	struct event_submit event = EVENT(event_submit, SUBMIT, .slot = (head + position) % 8, .position = position,
					  .sqe_size = 64, .sq_index = head + position, .sqe = sqe);

	apply(&event);
}

static void return_now(uint32_t head, int32_t result, uint32_t consumed)
{
	struct event_enter_return event = EVENT(event_enter_return, ENTER_RETURN, .result = result,
						.consumed = consumed, .sq_head = head + consumed, .call = next_call);

	apply(&event);
}

static void complete_now(uint64_t user_data, int32_t res, uint32_t flags)
{
	struct event_complete event =
		EVENT(event_complete, COMPLETE, .cqe = { .user_data = user_data, .res = res, .flags = flags });

	apply(&event);
}

static struct uring_sqe sqe_of(uint8_t opcode, uint64_t user_data)
{
	return (struct uring_sqe){ .opcode = opcode, .fd = -1, .user_data = user_data };
}

static struct uring_sqe recv_into(uint64_t address, uint32_t length, uint64_t user_data)
{
	return (struct uring_sqe){ .opcode = RECV, .fd = 9, .addr = address, .len = length, .user_data = user_data };
}

static void submit_one(uint32_t head, struct uring_sqe sqe)
{
	enter_now(head, 1);
	submit_now(head, 0, sqe);
	return_now(head, 1, 1);
}

static void a_request_goes_its_way(void **state)
{
	submit_one(0, sqe_of(NOP, 7));
	assert_int_equal(the_ring()->n_inflight, 1);
	assert_int_equal(n_moments[MOMENT_SUBMIT], 1);
	assert_int_equal(n_moments[MOMENT_CALL], 1);
	assert_int_equal(n_moments[MOMENT_CONSUMED], 1);
	complete_now(7, 0, 0);
	assert_true(newest.final && newest.certain);
	assert_int_equal(seen.sqe.user_data, 7);
	assert_int_equal(the_ring()->n_open, 0);
	assert_int_equal(model->n_rejected, 0);
}

static void what_was_not_taken_stays_queued(void **state)
{
	enter_now(0, 3);
	for (uint32_t i = 0; i < 3; i++)
		submit_now(0, i, sqe_of(NOP, i));
	return_now(0, 1, 1);
	assert_int_equal(n_moments[MOMENT_LEFT], 2);
	assert_int_equal(the_ring()->n_inflight, 1);
	assert_int_equal(the_ring()->n_queued, 2);
	/* The next call tells of them again. */
	enter_now(1, 2);
	submit_now(1, 0, sqe_of(NOP, 1));
	submit_now(1, 1, sqe_of(NOP, 2));
	return_now(1, 2, 2);
	assert_int_equal(the_ring()->n_queued, 0);
	assert_int_equal(the_ring()->n_inflight, 3);
	assert_int_equal(the_ring()->n_open, 3);
}

static void a_call_that_is_jumped_out_of_is_settled_later(void **state)
{
	enter_now(0, 2);
	submit_now(0, 0, sqe_of(NOP, 1));
	submit_now(0, 1, sqe_of(NOP, 2));
	enter_now(1, 0); /* the kernel took one of the two */
	assert_int_equal(the_ring()->n_inflight, 1);
	assert_int_equal(the_ring()->n_staged, 0);
	assert_true(seen.uncertain);
}

static void a_completion_may_overtake_the_return(void **state)
{
	enter_now(0, 2);
	submit_now(0, 0, sqe_of(NOP, 1));
	submit_now(0, 1, sqe_of(NOP, 2));
	complete_now(1, 0, 0);
	assert_int_equal(the_ring()->n_inflight, 0);
	assert_int_equal(the_ring()->n_staged, 1);
	return_now(0, 1, 1);
	assert_int_equal(the_ring()->n_queued, 1);
}

static void alike_requests_are_ambiguous(void **state)
{
	submit_one(0, sqe_of(NOP, 5));
	submit_one(1, sqe_of(NOP, 5));
	submit_one(2, sqe_of(NOP, 5));
	complete_now(5, 0, 0);
	assert_false(newest.certain);
	assert_int_equal(the_ring()->n_open, 2);
	assert_true(the_ring()->first->ambiguous && the_ring()->last->ambiguous);
	complete_now(5, 0, 0);
	complete_now(5, 0, 0);
	assert_false(newest.certain);
	assert_int_equal(the_ring()->n_open, 0);
	/* None is left: what comes now is known again. */
	submit_one(3, sqe_of(NOP, 5));
	complete_now(5, 0, 0);
	assert_true(newest.certain);
}

static void flags_tell_alike_requests_apart(void **state)
{
	struct uring_sqe multishot = sqe_of(RECV, 5), notified = sqe_of(URING_OP_SEND_ZC, 5);

	multishot.ioprio = URING_RECV_MULTISHOT;
	submit_one(0, sqe_of(NOP, 5));
	submit_one(1, notified);
	complete_now(5, 10, URING_CQE_F_MORE);
	assert_true(newest.certain);
	assert_int_equal(seen.sqe.opcode, URING_OP_SEND_ZC);
	complete_now(5, 0, URING_CQE_F_NOTIF);
	assert_int_equal(seen.sqe.opcode, URING_OP_SEND_ZC);
	assert_true(newest.final && newest.certain);
	complete_now(5, 0, 0);
	assert_int_equal(seen.sqe.opcode, NOP);
	assert_true(newest.certain);
	(void)multishot;
}

static void silent_success_is_unknown(void **state)
{
	struct uring_sqe silent = sqe_of(NOP, 1), last = sqe_of(NOP, 2);

	silent.flags = URING_SQE_CQE_SKIP_SUCCESS | URING_SQE_IO_LINK;
	enter_now(0, 2);
	submit_now(0, 0, silent);
	submit_now(0, 1, last);
	return_now(0, 2, 2);
	assert_int_equal(the_ring()->n_unknown, 1);
	complete_now(2, 0, 0); /* the chain's end: the first must have ended before it */
	assert_int_equal(the_ring()->n_open, 0);
}

static void chains_are_known_and_break(void **state)
{
	struct uring_sqe linked = recv_into(0x1000, 16, 1);

	linked.flags = URING_SQE_IO_LINK;
	enter_now(0, 3);
	submit_now(0, 0, linked);
	submit_now(0, 1, sqe_of(NOP, 2));
	submit_now(0, 2, sqe_of(NOP, 3));
	return_now(0, 3, 3);
	assert_true(the_ring()->first->chained);
	assert_ptr_equal(the_ring()->first->chain_next, the_ring()->first->next);
	assert_false(the_ring()->last->chained);
	complete_now(1, -104, 0);
	assert_true(the_ring()->first->link_broken);
}

/* ---- memory ---- */

static unsigned n_found;

static bool count_range(void *context, struct model_range *range)
{
	n_found++;
	return true;
}

static unsigned found(uint64_t address, uint64_t length)
{
	n_found = 0;
	model_overlaps(process_of(PID), address, length, count_range, NULL);
	return n_found;
}

static void ranges_are_found_by_every_overlap(void **state)
{
	static const uint64_t lengths[] = { 1, 100, 4096, 4097, 60000, 70000, 3 << 20, 1500u << 20 };
	uint64_t base = UINT64_C(0x7f0000000000);

	for (uint32_t i = 0; i < 8; i++) {
		uint64_t length = lengths[i];

		submit_one(i, recv_into(base - 17, (uint32_t)length, i));
		assert_int_equal(found(base - 17, length), 1);
		assert_int_equal(found(base - 17 + length - 1, 1), 1);
		assert_int_equal(found(base - 18, 1), 0);
		assert_int_equal(found(base - 17 + length, 1), 0);
		assert_int_equal(found(0, UINT64_MAX), 1);
		complete_now(i, 1, 0);
		assert_int_equal(found(0, UINT64_MAX), 0);
	}
}

static void a_release_marks_what_it_hits(void **state)
{
	struct event_release release =
		EVENT(event_release, RELEASE, .address = 0x5000, .length = 64, .how = EVENT_FREE);

	submit_one(0, recv_into(0x5010, 16, 1));
	submit_one(1, recv_into(0x6000, 16, 2));
	apply(&release);
	assert_true(the_ring()->first->ranges->released);
	assert_false(the_ring()->last->ranges->released);
}

/* ---- descriptors ---- */

static void a_closed_number_is_another_file(void **state)
{
	struct event_fd file = EVENT(event_fd, FD, .fd = 9, .type = EVENT_FD_STREAM, .inode = 44);
	struct event_fd shut = EVENT(event_fd, FD_CLOSE, .fd = 9);

	apply(&file);
	submit_one(0, recv_into(0x5010, 16, 1));
	assert_int_equal(the_ring()->first->object.type, EVENT_FD_STREAM);
	apply(&shut);
	assert_int_equal(n_moments[MOMENT_FD_CLOSE], 1);
	assert_int_not_equal(the_ring()->first->fd_generation, the_ring()->first->fd->generation);
	assert_false(the_ring()->first->fd->open);
}

static void pairs_are_private_until_fork(void **state)
{
	struct event_fd_pair pair =
		EVENT(event_fd_pair, FD_PAIR, .fd = { 4, 5 }, .type = EVENT_FD_STREAM, .inode = { 61, 62 });
	struct event_process forked = EVENT(event_process, FORK, .child = 200);

	apply(&pair);
	assert_true(model_fd_get(process_of(PID), 4)->private_pair);
	assert_int_equal(model_fd_get(process_of(PID), 4)->object.peer_inode, 62);
	apply(&forked);
	assert_false(model_fd_get(process_of(PID), 4)->private_pair);
	assert_int_equal(model_fd_get(process_of(200), 5)->object.inode, 62);
	assert_int_equal(process_of(PID)->n_children, 1);
}

/* ---- provided buffers ---- */

static void buffers_change_hands(void **state)
{
	struct {
		struct event_register h;
		struct uring_buf_reg reg;
	} made = { EVENT(event_register, REGISTER, .opcode = URING_REG_REGISTER_PBUF_RING,
			 .length = sizeof(struct uring_buf_reg)),
		   { .ring_entries = 8, .bgid = 3 } };
	struct {
		struct event_buffers h;
		struct uring_buf list[2];
	} added = { EVENT(event_buffers, BUFFERS_ADDED, .group = 3, .n = 2), { { .bid = 0 }, { .bid = 1 } } };
	struct uring_sqe receive = recv_into(0, 0, 1);
	struct model_group *group;

	made.h.h.size = sizeof(made);
	added.h.h.size = sizeof(added);
	receive.flags = URING_SQE_BUFFER_SELECT;
	receive.buf_group = 3;
	apply(&made);
	apply(&added);
	group = model_group_get(the_ring(), 3);
	assert_int_equal(group->n_available, 2);
	submit_one(0, receive);
	complete_now(1, 10, URING_CQE_F_BUFFER | 1u << URING_CQE_BUFFER_SHIFT);
	assert_int_equal(group->n_available, 1);
	assert_int_equal(group->n_consumed, 1);
	assert_int_equal(group->owned[0], 1);
	/* Handed out before its addition was told. */
	submit_one(1, receive);
	complete_now(1, 10, URING_CQE_F_BUFFER | 5u << URING_CQE_BUFFER_SHIFT);
	added.list[0].bid = added.list[1].bid = 5;
	added.h.n = 1;
	apply(&added);
	assert_int_equal(group->owned[0], 1);
}

/* ---- ends ---- */

static void a_closed_ring_takes_its_requests_along(void **state)
{
	struct event_ring_state closed = EVENT(event_ring_state, RING_CLOSED, .known = 1);

	submit_one(0, recv_into(0x5010, 16, 1));
	apply(&closed);
	assert_int_equal(n_moments[MOMENT_RING_CLOSED], 1);
	assert_int_equal(n_moments[MOMENT_ENDED], 1);
	assert_null(the_ring());
	assert_int_equal(found(0, UINT64_MAX), 0);
}

static void a_ring_lives_on_in_a_child(void **state)
{
	struct event_process forked = EVENT(event_process, FORK, .child = 200);
	struct event_exit gone = EVENT(event_exit, PROCESS_EXIT, .clean = 1);
	struct event_ring_state closed = EVENT(event_ring_state, RING_CLOSED, .known = 1);

	apply(&forked);
	apply(&closed);
	assert_non_null(the_ring());
	apply(&gone);
	assert_non_null(the_ring());
	closed.h.pid = closed.h.tid = 200;
	apply(&closed);
	assert_null(the_ring());
}

static void exec_counts_when_it_succeeds(void **state)
{
	struct event_process about = EVENT(event_process, EXEC), begin = EVENT(event_process, PROCESS_START);

	apply(&about);
	enter_now(0, 0); /* it failed: the old program goes on */
	assert_non_null(the_ring());
	apply(&begin);
	assert_non_null(the_ring());
	apply(&about);
	apply(&begin);
	assert_null(the_ring());
	assert_int_equal(n_moments[MOMENT_EXEC], 1);
}

static void lost_events_end_certainty(void **state)
{
	struct event_lost lost = EVENT(event_lost, LOST, .count = 3);

	submit_one(0, sqe_of(NOP, 7));
	apply(&lost);
	assert_true(newest.uncertain);
	complete_now(7, 0, 0);
	assert_false(newest.certain);
}

/* ---- nonsense ---- */

static void nonsense_is_refused(void **state)
{
	struct event_enter unknown_ring = EVENT(event_enter, ENTER, .n_submit = 1);
	struct event_enter_return stray = EVENT(event_enter_return, ENTER_RETURN, .call = 999, .consumed = 7);
	struct event_submit orphan = EVENT(event_submit, SUBMIT, .slot = 4000000, .sqe_size = 64);
	struct event_complete nobody = EVENT(event_complete, COMPLETE, .cqe = { .user_data = 12345 });
	struct event_setup odd =
		EVENT(event_setup, RING_SETUP, .result = 4, .params = { .sq_entries = 7, .cq_entries = 3 });
	struct event no_pid = { .kind = EVENT_THREAD_EXIT, .size = sizeof(no_pid) };
	uint64_t before = model->n_rejected;

	unknown_ring.h.ring = 77;
	odd.h.ring = 2;
	apply(&unknown_ring);
	apply(&stray);
	apply(&orphan);
	apply(&odd);
	apply(&no_pid);
	assert_int_equal(model->n_rejected, before + 5);
	apply(&nobody);
	assert_null(newest.request);
	submit_one(0, sqe_of(NOP, 7));
	assert_int_equal(the_ring()->n_inflight, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(a_request_goes_its_way),
		TEST(what_was_not_taken_stays_queued),
		TEST(a_call_that_is_jumped_out_of_is_settled_later),
		TEST(a_completion_may_overtake_the_return),
		TEST(alike_requests_are_ambiguous),
		TEST(flags_tell_alike_requests_apart),
		TEST(silent_success_is_unknown),
		TEST(chains_are_known_and_break),
		TEST(ranges_are_found_by_every_overlap),
		TEST(a_release_marks_what_it_hits),
		TEST(a_closed_number_is_another_file),
		TEST(pairs_are_private_until_fork),
		TEST(buffers_change_hands),
		TEST(a_closed_ring_takes_its_requests_along),
		TEST(a_ring_lives_on_in_a_child),
		TEST(exec_counts_when_it_succeeds),
		TEST(lost_events_end_certainty),
		TEST(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
