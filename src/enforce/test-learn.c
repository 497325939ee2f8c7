/* SPDX-License-Identifier: MIT */
/* Events in, the smallest policy out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "abi/uring.h"
#include "enforce/learn.h"
#include "event/event.h"

enum { PARENT = 10, CHILD = 11, STACK = 77 };

#define HEAD(type, event_kind, of)                                                                                     \
	{                                                                                                              \
		.kind = event_kind, .size = sizeof(type), .pid = of, .ring = 1, .stack = STACK                         \
	}

static void apply(struct learn *learn, const void *event)
{
	assert_int_equal(learn_apply(learn, event), 0);
}

static void start(struct learn *learn, uint32_t pid, const char *path)
{
	struct {
		struct event_process process;
		char path[64];
	} event = { .process = { .h = HEAD(struct event_process, EVENT_PROCESS_START, pid) } };

	event.process.h.size = sizeof event;
	event.process.length = (uint32_t)strlen(path);
	memcpy(event.path, path, strlen(path));
	apply(learn, &event);
}

static void setup(struct learn *learn, uint32_t pid, uint32_t flags, uint32_t entries, int32_t result)
{
	apply(learn, &(struct event_setup){ .h = HEAD(struct event_setup, EVENT_RING_SETUP, pid),
					    .asked_flags = flags,
					    .result = result,
					    .params = { .sq_entries = entries, .cq_entries = 2 * entries } });
}

static void submit(struct learn *learn, uint32_t index, struct uring_sqe sqe)
{
	apply(learn, &(struct event_submit){
			     .h = HEAD(struct event_submit, EVENT_SUBMIT, PARENT), .sq_index = index, .sqe = sqe });
}

static void closing(struct learn *learn, uint32_t pid)
{
	apply(learn, &(struct event_ring_state){ .h = HEAD(struct event_ring_state, EVENT_RING_CLOSED, pid) });
}

static struct policy learned(const struct learn *learn)
{
	struct policy policy = learn_nothing();

	learn_add(learn, &policy);
	return policy;
}

/* What is not seen is not allowed, and what is seen is allowed with its first place. */
static void test_as_little_as_can_be(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	struct policy policy;
	struct learn_mark mark;

	start(learn, PARENT, "/usr/bin/server");
	setup(learn, PARENT, URING_SETUP_CQSIZE, 64, 5);
	submit(learn, 0, (struct uring_sqe){ .opcode = URING_OP_READ, .flags = URING_SQE_ASYNC });
	submit(learn, 1, (struct uring_sqe){ .opcode = URING_OP_READ });
	submit(learn, 2, (struct uring_sqe){ .opcode = URING_OP_SOCKET, .fd = AF_INET6 });
	submit(learn, 3, (struct uring_sqe){ .opcode = 250 });
	policy = learned(learn);
	mark = learn_mark(learn, POLICY_OPS, URING_OP_READ);
	assert_int_equal(mark.count, 2);
	assert_int_equal(mark.pid, PARENT);
	assert_int_equal(mark.stack, STACK);
	assert_string_equal(mark.program, "server");
	assert_true(policy_allows_op(&policy, 250));
	assert_false(policy_allows_op(&policy, URING_OP_WRITE));
	assert_int_equal(policy.sqe_flags, URING_SQE_ASYNC);
	assert_int_equal(policy.setup_flags, URING_SETUP_CQSIZE);
	assert_int_equal(policy.register_ops, 0);
	assert_int_equal(policy.socket_families, 1ull << AF_INET6);
	assert_int_equal(policy.sq_entries, 64);
	assert_int_equal(policy.cq_entries, 128);
	assert_int_equal(policy.rings_per_process, 1);
	assert_false(policy.sqpoll.allowed || policy.personalities);
	assert_true(policy.buffer_bytes == UINT64_MAX);
}

/* What was not consumed is told again; the index runs over 2^32. */
static void test_entries_count_once(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	const struct uring_sqe nop = { .opcode = URING_OP_NOP };

	submit(learn, UINT32_MAX - 1, nop);
	submit(learn, UINT32_MAX, nop);
	submit(learn, UINT32_MAX, nop);
	submit(learn, 0, nop);
	submit(learn, 0, nop);
	submit(learn, 1, nop);
	assert_int_equal(learn_summary(learn).entries, 4);
}

/* What was refused was attempted, and would be answered otherwise. */
static void test_attempts_count(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	struct policy policy;

	setup(learn, PARENT, URING_SETUP_SQPOLL | URING_SETUP_NO_SQARRAY, 64, -22);
	apply(learn, &(struct event_register){ .h = HEAD(struct event_register, EVENT_REGISTER, PARENT),
					       .opcode = URING_REG_QUERY | URING_REG_USE_REGISTERED_RING,
					       .result = -22 });
	policy = learned(learn);
	assert_int_equal(policy.setup_flags, URING_SETUP_NO_SQARRAY);
	assert_true(policy.sqpoll.allowed);
	assert_int_equal(policy.sqpoll.max_idle_ms, 1000);
	assert_int_equal(policy.register_ops, 1ull << URING_REG_QUERY);
	assert_int_equal(policy.rings_per_container, 0);
}

/* How many are there at a time depends on timing; how many are made does not. A child is born with its parent's. */
static void test_rings(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	struct policy policy;

	setup(learn, PARENT, 0, 8, 3);
	closing(learn, PARENT);
	setup(learn, PARENT, 0, 8, 3);
	apply(learn, &(struct event_process){ .h = HEAD(struct event_process, EVENT_FORK, PARENT), .child = CHILD });
	setup(learn, CHILD, 0, 8, 4);
	setup(learn, CHILD, 0, 8, 5);
	policy = learned(learn);
	assert_int_equal(policy.rings_per_process, 3);
	assert_int_equal(policy.rings_per_container, 4);
	assert_int_equal(learn_summary(learn).live_rings, 3);
	assert_int_equal(learn_summary(learn).processes, 2);
	for (int i = 0; i < 3000; i++) {
		closing(learn, PARENT);
		setup(learn, PARENT, 0, 8, 3);
	}
	policy = learned(learn);
	assert_int_equal(policy.rings_per_container, 6); /* it comes back for ever */
}

static void test_buffers(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	struct {
		struct event_register call;
		struct iovec v[2];
	} event = { .call = { .h = HEAD(struct event_register, EVENT_REGISTER, PARENT),
			      .opcode = URING_REG_REGISTER_BUFFERS,
			      .nr_args = 2,
			      .length = sizeof event.v },
		    .v = { { NULL, 1 << 20 }, { NULL, 3 << 20 } } };
	struct policy policy;

	event.call.h.size = sizeof event;
	apply(learn, &event);
	policy = learned(learn);
	assert_int_equal(policy.buffer_bytes, 16u << 20);
	policy.buffer_bytes = 1ull << 30;
	learn_add(learn, &policy);
	assert_int_equal(policy.buffer_bytes, 1ull << 30);
}

static void call(struct learn *learn, uint32_t opcode, uint32_t phase, uint32_t first, uint32_t second)
{
	struct {
		struct event_register call;
		uint32_t numbers[8];
	} event = { .call = { .h = HEAD(struct event_register, EVENT_REGISTER, PARENT),
			      .opcode = opcode,
			      .nr_args = first,
			      .phase = phase,
			      .length = sizeof event.numbers },
		    .numbers = { first, second } };

	event.call.h.size = sizeof event;
	apply(learn, &event);
}

/* What it asked for is in the argument before the call only; afterwards there is what held until then. */
static void test_workers(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	struct policy policy;

	call(learn, URING_REG_IOWQ_MAX_WORKERS, 1, 4, 0);
	call(learn, URING_REG_IOWQ_MAX_WORKERS, 0, 8, 9000);
	call(learn, URING_REG_IOWQ_MAX_WORKERS | URING_REG_USE_REGISTERED_RING, 1, 2, 7);
	call(learn, URING_REG_IOWQ_MAX_WORKERS | URING_REG_USE_REGISTERED_RING, 0, 8, 9000);
	assert_int_equal(learn_summary(learn).workers[0], 4);
	assert_int_equal(learn_summary(learn).workers[1], 7);
	assert_int_equal(learn_summary(learn).register_calls, 2);
	policy = learned(learn);
	assert_true(policy_allows_register(&policy, URING_REG_IOWQ_MAX_WORKERS));
	assert_int_equal(policy.workers_bounded, POLICY_NO_LIMIT);
	policy.workers_bounded = policy.workers_unbounded = 4;
	learn_add(learn, &policy);
	assert_int_equal(policy.workers_bounded, POLICY_NO_LIMIT);
	assert_int_equal(policy.workers_unbounded, POLICY_NO_LIMIT);
}

/* A table that was seen fits; a limit that was not there is not made. */
static void test_files(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	struct policy policy;

	call(learn, URING_REG_REGISTER_FILES, 0, 16, 0);
	call(learn, URING_REG_FILES2, 0, 64, 0);
	assert_int_equal(learn_summary(learn).files, 64);
	policy = learned(learn);
	assert_int_equal(policy.registered_files, POLICY_NO_LIMIT);
	policy.registered_files = 32;
	learn_add(learn, &policy);
	assert_int_equal(policy.registered_files, 64);
}

/* Limits deny what would undo them, and a message without a ring is one all the same. */
static void test_calls_that_limits_deny(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	struct policy policy;

	setup(learn, PARENT, 0, 8, 3);
	policy = learned(learn);
	assert_int_equal(policy.sq_entries, 8);
	assert_false(policy_allows_op(&policy, URING_OP_MSG_RING));
	call(learn, URING_REG_RESIZE_RINGS, 1, 0, 0);
	call(learn, URING_REG_RESIZE_RINGS, 0, 0, 0);
	call(learn, URING_REG_SEND_MSG_RING, 0, 1, 0);
	assert_true(learn_summary(learn).resized);
	policy = learned(learn);
	assert_int_equal(policy.sq_entries, POLICY_NO_LIMIT);
	assert_int_equal(policy.cq_entries, POLICY_NO_LIMIT);
	assert_true(policy_allows_op(&policy, URING_OP_MSG_RING));
}

/* Merging never takes away. */
static void test_merging(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	struct policy all = policy_allow_all(), merged = all;

	setup(learn, PARENT, URING_SETUP_SQPOLL, 64, 5);
	submit(learn, 0, (struct uring_sqe){ .opcode = URING_OP_READ, .personality = 3 });
	learn_add(learn, &merged);
	assert_true(policy_equal(&all, &merged));
	merged = learned(learn);
	assert_true(merged.personalities);
	assert_true(policy_allows_register(&merged, URING_REG_REGISTER_PERSONALITY));
}

/* Events are somebody else's bytes. */
static void test_short_events(void **state)
{
	CLEANUP(cleanup_learn) struct learn *learn = learn_new();
	struct event_register call = { .h = HEAD(struct event_register, EVENT_REGISTER, PARENT),
				       .opcode = URING_REG_BUFFERS2,
				       .length = UINT32_MAX };
	struct event_register workers = { .h = HEAD(struct event_register, EVENT_REGISTER, PARENT),
					  .opcode = URING_REG_IOWQ_MAX_WORKERS,
					  .length = UINT32_MAX,
					  .phase = 1 };
	struct event_process process = { .h = HEAD(struct event_process, EVENT_PROCESS_START, PARENT),
					 .length = UINT32_MAX };

	apply(learn, &call);
	apply(learn, &workers);
	apply(learn, &process);
	for (int kind = 0; kind < EVENT_KIND_COUNT; kind++) {
		struct event event = { .kind = (uint16_t)kind, .size = sizeof event, .pid = PARENT };

		apply(learn, &event);
	}
	assert_int_equal(learn_summary(learn).rings, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_little_as_can_be),
		cmocka_unit_test(test_entries_count_once),
		cmocka_unit_test(test_attempts_count),
		cmocka_unit_test(test_rings),
		cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_calls_that_limits_deny),
		cmocka_unit_test(test_merging),
		cmocka_unit_test(test_short_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
