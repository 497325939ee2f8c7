/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "event/event.h"
#include "event/source.h"
#include "sense/frames.h"
#include "stack/capture.h"

enum { RING = 1, OTHER_RING = 2, MAX_EVENTS = 64 };

/* Events in order, each in memory of its own. */
static struct event *events[MAX_EVENTS];
static size_t n_events, next_event;
static uint32_t last_stack;
static volatile int keep;
static char *volatile buffer;

static int array_next(struct source *source, uint64_t deadline, const struct event **ret_event, struct err *err)
{
	if (next_event == n_events)
		return SOURCE_END;
	*ret_event = events[next_event++];
	return SOURCE_EVENT;
}

static struct source *array_destroy(struct source *source)
{
	return NULL;
}

static struct source array = { "array", SOURCE_SQES, array_next, array_destroy };

static void *put(uint16_t kind, size_t size, uint32_t ring, uint32_t stack)
{
	struct event *event = calloc(1, size);

	*event = (struct event){ .kind = kind,
				 .size = (uint16_t)size,
				 .pid = CAPTURE_PID,
				 .tid = CAPTURE_PID,
				 .ring = ring,
				 .stack = stack };
	event->seq = n_events + 1;
	events[n_events++] = event;
	return event;
}

static void put_here(void)
{
	struct event *copy;

	captured.head.h.stack = ++last_stack;
	copy = put(EVENT_STACK, sizeof captured, 0, 0);
	captured.head.h.seq = copy->seq;
	captured.head.h.tid = CAPTURE_PID;
	memcpy(copy, &captured, sizeof captured);
}

static __attribute__((noinline)) void enter(uint32_t ring)
{
	capture();
	put_here();
	put(EVENT_ENTER, sizeof(struct event_enter), ring, last_stack);
	keep++;
}

static __attribute__((noinline)) void glance(void)
{
	capture();
	put_here();
	put(EVENT_GLANCE, sizeof(struct event), 0, last_stack);
	keep++;
}

static void enter_return(uint32_t consumed)
{
	((struct event_enter_return *)put(EVENT_ENTER_RETURN, sizeof(struct event_enter_return), RING, last_stack))
		->consumed = consumed;
}

static void complete(uint64_t user_data, uint32_t flags)
{
	struct event_complete *event = put(EVENT_COMPLETE, sizeof *event, RING, last_stack);

	event->cqe.user_data = user_data;
	event->cqe.flags = flags;
}

static __attribute__((noinline)) void submit_read(void *to, uint32_t consumed)
{
	struct event_submit *submit;

	enter(RING);
	submit = put(EVENT_SUBMIT, sizeof *submit, RING, last_stack);
	submit->sqe_size = 64;
	submit->sqe = (struct uring_sqe){ .opcode = URING_OP_READ, .addr = (uintptr_t)to, .len = 64, .user_data = 42 };
	enter_return(consumed);
}

static __attribute__((noinline)) void read_into_own_frame(uint32_t consumed)
{
	char mine[64];

	buffer = mine;
	submit_read(mine, consumed);
	keep++;
}

static __attribute__((noinline)) void read_and_enter_again(void)
{
	char mine[64];

	buffer = mine;
	submit_read(mine, 1);
	enter(RING);
	keep++;
}

static __attribute__((noinline)) void read_into_iovec(void)
{
	char mine[64];
	struct {
		struct event_submit e;
		struct event_arg arg;
		uint64_t iovec[4];
	} * submit;

	buffer = mine;
	enter(RING);
	submit = put(EVENT_SUBMIT, sizeof *submit, RING, last_stack);
	submit->e.sqe_size = 64;
	submit->e.sqe = (struct uring_sqe){ .opcode = URING_OP_READV, .addr = 4096, .len = 2, .user_data = 42 };
	submit->e.n_args = 1;
	submit->arg = (struct event_arg){
		.kind = EVENT_ARG_IOVEC, .size = sizeof submit->arg + 32, .length = 32, .address = 4096
	};
	submit->iovec[0] = 4096;
	submit->iovec[1] = 16;
	submit->iovec[2] = (uintptr_t)mine + 8;
	submit->iovec[3] = 16;
	enter_return(1);
	keep++;
}

/* Both calls come from frames of the same size, so the second activation lies where the first one lay. */
static __attribute__((noinline)) void call_twice(void)
{
	read_into_own_frame(1);
	keep++;
	read_into_own_frame(1);
	keep++;
}

static int set_up(void **state)
{
	struct event_thread *thread;

	*state = stacks_new();
	dl_iterate_phdr(tell_module, *state);
	n_events = next_event = last_stack = 0;
	thread = put(EVENT_THREAD_START, sizeof *thread, 0, 0);
	thread->stack_high = (uintptr_t)__libc_stack_end;
	thread->stack_low = thread->stack_high - (8 << 20);
	return 0;
}

static int tear_down(void **state)
{
	*state = stacks_free(*state);
	while (n_events)
		free(events[--n_events]);
	return 0;
}

/* Runs all through the source; returns how many releases it told, the last one in `ret`. Every other event must come
 * unchanged. */
static int run(struct stacks *stacks, struct event_release *ret)
{
	struct source *source = sense_frames_new(&array, stacks);
	const struct event *event;
	size_t seen = 0;
	int n = 0;
	struct err err;

	assert_true(source->abilities & SOURCE_FRAMES);
	while (source->next(source, 0, &event, &err) == SOURCE_EVENT) {
		if (event->kind != EVENT_RELEASE) {
			assert_ptr_equal(event, events[seen++]);
			continue;
		}
		assert_int_equal(event->flags, EVENT_SYNTHETIC);
		assert_int_equal(event->seq, events[seen]->seq);
		memcpy(ret, event, sizeof *ret);
		n++;
	}
	assert_int_equal(seen, n_events);
	source->destroy(source);
	return n;
}

static void test_frame_that_returned(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	enter(RING);
	assert_int_equal(run(*state, &release), 1);
	assert_int_equal(release.how, EVENT_FRAME);
	assert_int_equal(release.address, (uintptr_t)buffer);
	assert_int_equal(release.length, 64);
	assert_int_equal(release.h.stack, last_stack);
}

/* It says of all rings that their completions were read. */
static void test_glance_at_a_frame_that_returned(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	glance();
	assert_int_equal(run(*state, &release), 1);
	assert_int_equal(release.h.stack, last_stack);
}

static void test_glance_after_the_completion(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	complete(42, 0);
	glance();
	assert_int_equal(run(*state, &release), 0);
}

/* A ring may go while the frame is alive, or when it is not. */
static void test_ring_goes_after_the_frame(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	enter(RING);
	((struct event *)events[n_events - 1])->kind = EVENT_RING_UNMAPPED;
	assert_int_equal(run(*state, &release), 1);
}

static void test_iovec_in_a_frame_that_returned(void **state)
{
	struct event_release release;

	read_into_iovec();
	enter(RING);
	assert_int_equal(run(*state, &release), 1);
	assert_int_equal(release.address, (uintptr_t)buffer + 8);
	assert_int_equal(release.length, 16);
}

static void test_another_activation_at_the_same_place(void **state)
{
	struct event_release release;

	call_twice();
	assert_int_equal(run(*state, &release), 1);
}

static void test_frame_that_is_there(void **state)
{
	struct event_release release;

	read_and_enter_again();
	assert_int_equal(run(*state, &release), 0);
}

static void test_completed_before(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	complete(42, 0);
	enter(RING);
	assert_int_equal(run(*state, &release), 0);
}

static void test_completed_in_part(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	complete(42, URING_CQE_F_MORE);
	enter(RING);
	assert_int_equal(run(*state, &release), 1);
}

static void test_left_in_the_queue(void **state)
{
	struct event_release release;

	read_into_own_frame(0);
	enter(RING);
	assert_int_equal(run(*state, &release), 0);
}

static void test_completions_lost(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	put(EVENT_CQ_LOST, sizeof(struct event_lost), RING, 0);
	enter(RING);
	assert_int_equal(run(*state, &release), 0);
}

static void test_other_ring_proves_nothing(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	enter(OTHER_RING);
	assert_int_equal(run(*state, &release), 0);
}

static void test_other_stack_proves_nothing(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	enter(RING);
	/* As on a coroutine's stack: elsewhere, and it cannot be followed to its end. */
	for (size_t i = n_events - 2; i < n_events; i++)
		if (events[i]->kind == EVENT_STACK) {
			((struct event_stack *)events[i])->registers[7] += 64 << 20;
			((struct event_stack *)events[i])->sp += 64 << 20;
			((struct event_stack *)events[i])->bytes = 0;
		}
	assert_int_equal(run(*state, &release), 0);
}

static void test_thread_that_ended(void **state)
{
	struct event_release release;

	read_into_own_frame(1);
	put(EVENT_THREAD_EXIT, sizeof(struct event_thread), 0, 0);
	assert_int_equal(run(*state, &release), 1);
	assert_int_equal(release.how, EVENT_THREAD_STACK);
}

#define FRAMES_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRAMES_TEST(test_frame_that_returned),
		FRAMES_TEST(test_glance_at_a_frame_that_returned),
		FRAMES_TEST(test_glance_after_the_completion),
		FRAMES_TEST(test_ring_goes_after_the_frame),
		FRAMES_TEST(test_iovec_in_a_frame_that_returned),
		FRAMES_TEST(test_another_activation_at_the_same_place),
		FRAMES_TEST(test_frame_that_is_there),
		FRAMES_TEST(test_completed_before),
		FRAMES_TEST(test_completed_in_part),
		FRAMES_TEST(test_left_in_the_queue),
		FRAMES_TEST(test_completions_lost),
		FRAMES_TEST(test_other_ring_proves_nothing),
		FRAMES_TEST(test_other_stack_proves_nothing),
		FRAMES_TEST(test_thread_that_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
