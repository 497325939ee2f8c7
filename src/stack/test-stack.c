/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/event.h"
#include "stack/capture.h"
#include "stack/demangle.h"
#include "stack/stack.h"

enum { PID = CAPTURE_PID };

static volatile int depth;
static int line_of_inner, line_of_inlined;

static inline __attribute__((always_inline)) void inlined_middle(void)
{
	line_of_inlined = __LINE__ + 1;
	capture();
	depth++;
}

static __attribute__((noinline)) void inner_function(void)
{
	line_of_inner = __LINE__ + 1;
	inlined_middle();
	depth++;
}

static __attribute__((noinline)) void outer_function(void)
{
	inner_function();
	depth++;
}

static int set_up(void **state)
{
	*state = stacks_new();
	dl_iterate_phdr(tell_module, *state);
	outer_function();
	return stacks_apply(*state, &captured.head.h);
}

static int tear_down(void **state)
{
	*state = stacks_free(*state);
	return 0;
}

static const struct stack_frame *frame_named(const struct stack *stack, const char *name)
{
	for (size_t i = 0; i < stack->n_frames; i++)
		if (stack->frames[i].name && strcmp(stack->frames[i].name, name) == 0)
			return &stack->frames[i];
	fail_msg("no frame %s", name);
	return NULL;
}

static void test_unwinds_to_the_outermost_frame(void **state)
{
	const struct stack *stack = stacks_unwind(*state, PID, 1);
	uint64_t cfa = 0;

	assert_non_null(stack);
	assert_in_range(stack->n_frames, 5, 64);
	assert_int_equal(stack->sp, captured.head.registers[7]);
	for (size_t i = 0; i < stack->n_frames; i++) {
		assert_true(stack->frames[i].cfa > cfa);
		assert_non_null(stack->frames[i].module);
		cfa = stack->frames[i].cfa;
	}
	assert_int_equal(stack->frames[1].function, (uintptr_t)inner_function);
	assert_int_equal(stack->frames[2].function, (uintptr_t)outer_function);
	assert_int_equal(stack->truncated, 0);
	assert_ptr_equal(stack, stacks_unwind(*state, PID, 1));
}

static void test_names_lines_and_inlined_frames(void **state)
{
	const struct stack *stack = stacks_symbolize(*state, PID, 1);
	const struct stack_frame *f;

	assert_non_null(stack);
	assert_string_equal(stack->frames[0].name, "capture");
	f = frame_named(stack, "inlined_middle");
	assert_int_equal(f->inlined, 1);
	assert_int_equal(f->cfa, 0);
	assert_int_equal(f->line, line_of_inlined);
	f++;
	assert_string_equal(f->name, "inner_function");
	assert_int_equal(f->inlined, 0);
	assert_int_equal(f->line, line_of_inner);
	assert_non_null(strstr(f->file, "test-stack.c"));
	assert_string_equal(f[1].name, "outer_function");
	frame_named(stack, "main");
}

static void test_child_knows_its_parents_stacks_and_modules(void **state)
{
	struct event_process fork = { .h = { .kind = EVENT_FORK, .size = sizeof fork, .pid = PID }, .child = 8 };

	stacks_apply(*state, &fork.h);
	assert_non_null(stacks_unwind(*state, 8, 1));
	assert_null(stacks_unwind(*state, 8, 2));
	captured.head.h.pid = 8;
	captured.head.h.stack = 2;
	stacks_apply(*state, &captured.head.h);
	assert_string_equal(stacks_symbolize(*state, 8, 2)->frames[0].name, "capture");
	assert_null(stacks_unwind(*state, PID, 2));
}

static void test_short_slice_is_truncated(void **state)
{
	captured.head.h.stack = 3;
	captured.head.bytes = 16;
	stacks_apply(*state, &captured.head.h);
	assert_int_equal(stacks_unwind(*state, PID, 3)->truncated, 1);
	assert_in_range(stacks_unwind(*state, PID, 3)->n_frames, 1, 3);
}

static void test_garbage_gives_no_crash(void **state)
{
	unsigned seed = 1;

	for (uint32_t i = 0; i < 2000; i++) {
		captured.head.h.stack = 10 + i;
		for (size_t j = 0; j < SLICE; j += 8)
			if (rand_r(&seed) % 4 == 0)
				memset(captured.bytes + j, rand_r(&seed), 8);
		captured.head.registers[rand_r(&seed) % 17] ^= (uint64_t)rand_r(&seed) << (rand_r(&seed) % 40);
		captured.head.bytes = i % 3 ? SLICE : (uint32_t)rand_r(&seed);
		if (i % 50 == 0)
			outer_function(), captured.head.h.stack = 10 + i;
		stacks_apply(*state, &captured.head.h);
		assert_true(!stacks_unwind(*state, PID, 10 + i) || stacks_unwind(*state, PID, 10 + i)->n_frames <= 64);
	}
}

static void test_old_stacks_stay_known(void **state)
{
	for (uint32_t i = 0; i < 5000; i++) {
		captured.head.h.stack = 100 + i;
		stacks_apply(*state, &captured.head.h);
	}
	assert_non_null(stacks_unwind(*state, PID, 1));
	/* Identical stacks are one. */
	assert_ptr_equal(stacks_unwind(*state, PID, 100), stacks_unwind(*state, PID, 5000));
}

static void test_demangles(void **state)
{
	static const char *const table[][2] = {
		{ "_ZN3foo3barEi", "foo::bar(int)" },
		{ "_ZNSt6vectorIiSaIiEE9push_backERKi",
		  "std::vector<int, std::allocator<int> >::push_back(int const&)" },
		{ "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt" },
		{ "_RNvCs1234_7mycrate3foo", "mycrate::foo" },
		{ "main", NULL },
		{ "_Znonsense", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		char *plain = demangle(table[i][0]);

		if (table[i][1])
			assert_string_equal(plain, table[i][1]);
		else
			assert_null(plain);
		free(plain);
	}
}

#define STACK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STACK_TEST(test_unwinds_to_the_outermost_frame),
		STACK_TEST(test_names_lines_and_inlined_frames),
		STACK_TEST(test_child_knows_its_parents_stacks_and_modules),
		STACK_TEST(test_short_slice_is_truncated),
		STACK_TEST(test_garbage_gives_no_crash),
		STACK_TEST(test_old_stacks_stay_known),
		cmocka_unit_test(test_demangles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
