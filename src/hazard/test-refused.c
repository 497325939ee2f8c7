/* SPDX-License-Identifier: MIT */
/* What a program makes of a refusal: each rule of refused.c alone, by events, with the model and the engine as they
 * are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hazard/engine.h"

extern const struct hazard hazard_uring_unavailable_no_fallback, hazard_ring_memlock_enomem,
	hazard_restrictions_misused;

enum { PID = 100, OTHER = 101, RING = 1, OTHER_RING = 2, SETUP_STACK = 7, HERE = 9 };

static struct hazard_engine *engine;
static struct finding told;
static unsigned n_told;
static uint64_t next_seq, call_number;
static uint32_t next_index;

static void sink(void *context, const struct finding *finding)
{
	told = *finding;
	n_told++;
}

static void begin(const struct hazard *rule)
{
	static const struct hazard *rules[2];

	rules[0] = rule;
	n_told = 0;
	next_seq = call_number = next_index = 0;
	memset(&told, 0, sizeof(told));
	engine = hazard_engine_new(rules, SOURCE_SQES | SOURCE_COMPLETIONS, NULL, sink, NULL);
	assert_non_null(engine);
}

static int stop(void **state)
{
	engine = hazard_engine_free(engine);
	return 0;
}

static void says(const char *part)
{
	if (!strstr(told.message, part))
		fail_msg("\"%s\" does not say \"%s\"", told.message, part);
}

/* ---- events ---- */

static struct event head(uint16_t kind, size_t size, uint32_t pid, uint32_t ring)
{
	next_seq++;
	return (struct event){ .kind = kind,
			       .size = (uint16_t)size,
			       .pid = pid,
			       .tid = pid,
			       .ring = ring,
			       .stack = HERE,
			       .seq = next_seq,
			       .time = next_seq * 1000 };
}

static void apply(const void *event)
{
	assert_int_equal(hazard_engine_apply(engine, event), 0);
}

static void setup(uint32_t pid, uint32_t ring, uint32_t entries, int32_t result)
{
	struct event_setup event = { .h = head(EVENT_RING_SETUP, sizeof(event), pid, result < 0 ? 0 : ring),
				     .entries = entries,
				     .result = result,
				     .params = { .sq_entries = entries, .cq_entries = 2 * entries } };

	event.h.stack = SETUP_STACK;
	apply(&event);
}

/* Each from a place of its own. */
static void stray(uint32_t number, int32_t fd, int32_t result, uint16_t flags)
{
	struct event_stray event = {
		.h = head(EVENT_STRAY_CALL, sizeof(event), PID, 0), .number = number, .fd = fd, .result = result
	};

	event.h.flags = flags;
	event.h.stack = (uint32_t)next_seq + 100;
	apply(&event);
}

/* Entries of 16 bytes: two words each. */
static void call(uint32_t ring, uint32_t opcode, uint32_t n, const uint64_t *words, uint32_t length, int32_t result)
{
	struct {
		struct event_register call;
		uint64_t words[8];
	} event = { .call = { .opcode = opcode, .nr_args = n, .result = result, .length = length } };

	event.call.h = head(EVENT_REGISTER, sizeof(event), PID, ring);
	if (words)
		memcpy(event.words, words, length);
	apply(&event);
}

/* One entry, submitted and completed. */
static void run(uint8_t opcode, uint8_t flags, int32_t result)
{
	uint32_t index = next_index++;
	struct event_enter enter = { .h = head(EVENT_ENTER, sizeof(enter), PID, RING),
				     .n_submit = 1,
				     .to_submit = 1,
				     .sq_head = index,
				     .sq_tail = index + 1,
				     .call = ++call_number };
	struct event_submit submit = { .h = head(EVENT_SUBMIT, sizeof(submit), PID, RING),
				       .sqe_size = 64,
				       .slot = index % 8,
				       .sq_index = index,
				       .sqe = { .opcode = opcode, .flags = flags, .fd = 5, .user_data = index + 1 } };
	struct event_enter_return end = {
		.h = head(EVENT_ENTER_RETURN, sizeof(end), PID, RING), .consumed = 1, .result = 1, .call = call_number
	};
	struct event_complete complete = { .h = head(EVENT_COMPLETE, sizeof(complete), PID, RING),
					   .cqe = { .user_data = index + 1, .res = result },
					   .cq_index = index };

	apply(&enter);
	apply(&submit);
	apply(&end);
	apply(&complete);
}

/* ---- uring-unavailable-no-fallback ---- */

static void a_refused_ring_is_used(void **state)
{
	begin(&hazard_uring_unavailable_no_fallback);
	setup(PID, RING, 8, -EPERM);
	assert_int_equal(n_told, 0);
	stray(426, 0, -EOPNOTSUPP, 0);
	assert_int_equal(n_told, 1);
	assert_int_equal(told.level, HAZARD_ERROR);
	says("io_uring_enter was called on descriptor 0");
	says("something else is open there");
	says("failed with -1");
	assert_int_equal(told.ring_fd, 0);
	assert_string_equal(told.stacks[1].label, "no ring made by");
	assert_int_equal(told.stacks[1].stack, SETUP_STACK);
	stray(427, 0, -EOPNOTSUPP, 0);
	assert_int_equal(n_told, 1);
}

static void a_descriptor_where_nothing_is(void **state)
{
	begin(&hazard_uring_unavailable_no_fallback);
	setup(PID, RING, 8, -ENOSYS);
	stray(427, -1, -EBADF, 0);
	says("io_uring_register was called on descriptor -1");
	says("nothing is open there");
}

static void strays_that_prove_nothing(void **state)
{
	begin(&hazard_uring_unavailable_no_fallback);
	setup(OTHER, RING, 8, -EPERM);
	setup(PID, RING, 8, -EPERM);
	setup(PID, RING, 4, 3); /* with less it was granted */
	stray(426, 0, -EBADF, 0);
	setup(PID, RING, 8, -EPERM);
	stray(426, 0, -EBADF, EVENT_UNCERTAIN);
	assert_int_equal(n_told, 0);
	stray(426, 0, -EBADF, 0);
	assert_int_equal(n_told, 1);
}

/* ---- ring-memlock-enomem ---- */

static void a_ring_without_memory(void **state)
{
	begin(&hazard_ring_memlock_enomem);
	setup(PID, RING, 4096, -ENOMEM);
	assert_int_equal(n_told, 0);
	setup(OTHER, RING, 4096, 3); /* says nothing of what this program does */
	hazard_engine_finish(engine);
	assert_int_equal(n_told, 1);
	assert_int_equal(told.level, HAZARD_WARNING);
	says("io_uring_setup(4096 entries) failed with ENOMEM");
}

static void a_ring_with_less(void **state)
{
	begin(&hazard_ring_memlock_enomem);
	setup(PID, RING, 4096, -ENOMEM);
	setup(PID, RING, 64, 3);
	assert_int_equal(n_told, 1);
	assert_int_equal(told.level, HAZARD_NOTE);
	hazard_engine_finish(engine);
	assert_int_equal(n_told, 1);
}

static void refusals_for_other_reasons(void **state)
{
	begin(&hazard_ring_memlock_enomem);
	setup(PID, RING, 4096, -EPERM);
	setup(PID, RING, 8, 3);
	call(RING, URING_REG_REGISTER_BUFFERS, 1, NULL, 0, -EFAULT);
	hazard_engine_finish(engine);
	assert_int_equal(n_told, 0);
}

static void buffers_without_memory(void **state)
{
	static const uint64_t vectors[] = { 0x10000, 1000, 0x20000, 234, 0x30000, 5000 };

	begin(&hazard_ring_memlock_enomem);
	setup(PID, RING, 8, 3);
	setup(PID, OTHER_RING, 8, 4);
	call(RING, URING_REG_REGISTER_FILES, 1, vectors, 16, -ENOMEM);
	/* More than were kept: those that are there count. */
	call(RING, URING_REG_REGISTER_BUFFERS, 900, vectors, 32, -ENOMEM);
	setup(PID, 3, 8, 5);
	call(OTHER_RING, URING_REG_REGISTER_BUFFERS, 1, vectors, 16, 0);
	call(RING, URING_REG_BUFFERS2, 1, NULL, 0, 0);
	call(RING, URING_REG_REGISTER_FILES, 1, NULL, 0, 0);
	assert_int_equal(n_told, 0);
	hazard_engine_finish(engine);
	assert_int_equal(n_told, 1);
	assert_int_equal(told.level, HAZARD_WARNING);
	says("registering 1234 bytes of buffers failed with ENOMEM");
}

static void buffers_with_less(void **state)
{
	static const uint64_t vectors[] = { 0x10000, 1 << 20, 0x20000, 4096 };

	begin(&hazard_ring_memlock_enomem);
	setup(PID, RING, 8, 3);
	call(RING, URING_REG_REGISTER_BUFFERS, 2, vectors, 32, -ENOMEM);
	call(RING, URING_REG_REGISTER_BUFFERS, 1, vectors + 2, 16, 0);
	assert_int_equal(n_told, 1);
	assert_int_equal(told.level, HAZARD_NOTE);
}

static void buffers_of_newer_calls(void **state)
{
	static const uint32_t opcodes[] = { URING_REG_BUFFERS2, URING_REG_BUFFERS_UPDATE };

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(*opcodes); i++) {
		begin(&hazard_ring_memlock_enomem);
		setup(PID, RING, 8, 3);
		call(RING, opcodes[i], 1, NULL, 0, -ENOMEM);
		hazard_engine_finish(engine);
		assert_int_equal(n_told, 1);
		says(opcodes[i] == URING_REG_BUFFERS2 ? "io_uring_register(opcode 15)"
						      : "io_uring_register(opcode 16)");
		stop(NULL);
	}
}

/* ---- restrictions-misused ---- */

static void restrictions_that_came_too_late(void **state)
{
	begin(&hazard_restrictions_misused);
	setup(PID, RING, 8, 3);
	call(RING, URING_REG_RESTRICTIONS, 0, NULL, 0, -EINVAL);
	call(RING, URING_REG_REGISTER_BUFFERS, 0, NULL, 0, -EBUSY);
	assert_int_equal(n_told, 0);
	call(RING, URING_REG_RESTRICTIONS, 0, NULL, 0, -EBADFD);
	assert_int_equal(n_told, 1);
	assert_int_equal(told.level, HAZARD_ERROR);
	says("EBADFD: this ring is enabled already");
}

static void restrictions_twice(void **state)
{
	begin(&hazard_restrictions_misused);
	setup(PID, RING, 8, 3);
	call(RING, URING_REG_RESTRICTIONS, 0, NULL, 0, -EBUSY);
	assert_int_equal(n_told, 1);
	says("EBUSY: this ring is restricted already");
}

/* struct io_uring_restriction: a kind of 16 bits, then what is allowed. */
#define ALLOW(kind, what) (uint64_t)(kind) | (uint64_t)(what) << 16, 0

static void restrict_ring(void)
{
	static const uint64_t list[] = { ALLOW(1, URING_OP_READ), ALLOW(1, URING_OP_CONNECT), ALLOW(2, URING_SQE_ASYNC),
					 ALLOW(3, URING_SQE_FIXED_FILE) };

	begin(&hazard_restrictions_misused);
	setup(PID, RING, 8, 3);
	call(RING, URING_REG_RESTRICTIONS, 4, list, sizeof(list), 0);
}

/* EACCES of a file or a socket is none of the ring's. */
static void refusals_by_others(void **state)
{
	restrict_ring();
	run(URING_OP_READ, URING_SQE_FIXED_FILE, -EACCES);
	run(URING_OP_CONNECT, URING_SQE_FIXED_FILE | URING_SQE_ASYNC, -EACCES);
	run(URING_OP_WRITE, URING_SQE_FIXED_FILE, -EBADF);
	assert_int_equal(n_told, 0);
	stop(NULL);
	begin(&hazard_restrictions_misused);
	setup(PID, RING, 8, 3);
	run(URING_OP_WRITE, 0, -EACCES);
	assert_int_equal(n_told, 0);
}

static void refusals_by_its_own_list(void **state)
{
	static const struct {
		uint8_t opcode, flags;
		const char *says;
	} cases[] = {
		{ URING_OP_WRITE, URING_SQE_FIXED_FILE, "WRITE was refused with EACCES by the restrictions" },
		{ URING_OP_WRITE, 0, "its operation is not among those allowed" },
		{ URING_OP_READ, URING_SQE_FIXED_FILE | URING_SQE_IO_LINK, "its flags are not among those allowed" },
		{ URING_OP_READ, URING_SQE_ASYNC, "a required flag is missing" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		restrict_ring();
		run(cases[i].opcode, cases[i].flags, -EACCES);
		assert_int_equal(n_told, 1);
		assert_int_equal(told.level, HAZARD_WARNING);
		says(cases[i].says);
		assert_true(told.has_sqe);
		stop(NULL);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, stop)
		TEST(a_refused_ring_is_used),    TEST(a_descriptor_where_nothing_is),
		TEST(strays_that_prove_nothing), TEST(a_ring_without_memory),
		TEST(a_ring_with_less),          TEST(refusals_for_other_reasons),
		TEST(buffers_without_memory),    TEST(buffers_with_less),
		TEST(buffers_of_newer_calls),    TEST(restrictions_that_came_too_late),
		TEST(restrictions_twice),        TEST(refusals_by_others),
		TEST(refusals_by_its_own_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
