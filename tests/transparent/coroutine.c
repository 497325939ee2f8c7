/* SPDX-License-Identifier: MIT */
/* Rings entered from coroutines on stacks of 16 KiB with a guard page below, in turns. */
#include <sys/mman.h>
#include <ucontext.h>

#include "ring.h"

enum { COROUTINES = 16, STACK = 16 * 1024, TURNS = 100 };

static ucontext_t main_context, contexts[COROUTINES];
static struct io_uring ring;
static unsigned n_done;

static void body(int number)
{
	for (unsigned i = 0; i < TURNS; i++) {
		nop(&ring, (uint64_t)number << 32 | i);
		n_done++;
		swapcontext(&contexts[number], &main_context);
	}
}

int main(void)
{
	need(io_uring_queue_init(8, &ring, 0) == 0, "a ring");
	for (int i = 0; i < COROUTINES; i++) {
		char *stack = mmap(NULL, STACK + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		need(stack != MAP_FAILED && mprotect(stack, 4096, PROT_NONE) == 0, "a stack");
		getcontext(&contexts[i]);
		contexts[i].uc_stack.ss_sp = stack + 4096;
		contexts[i].uc_stack.ss_size = STACK;
		contexts[i].uc_link = &main_context;
		makecontext(&contexts[i], (void (*)(void))body, 1, i);
	}
	for (unsigned turn = 0; turn < TURNS; turn++)
		for (int i = 0; i < COROUTINES; i++)
			swapcontext(&main_context, &contexts[i]);
	printf("%u requests\n", n_done);
	io_uring_queue_exit(&ring);
	return 0;
}
