/* SPDX-License-Identifier: MIT */
#include "enforce/agent-board.h"

#include <math.h>
#include <sys/mman.h>
#include <time.h>

#include "enforce/serve.h"

enum { STRIDE = 4096 };
_Static_assert(sizeof(struct agent_page) <= STRIDE, "one worker's numbers fit into a page of its own");

static const double bounds[AGENT_BUCKETS] = { 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3,
					      5e-3,  10e-3, 50e-3,  0.2,    1,      5,    INFINITY };

double agent_board_bound(size_t bucket)
{
	return bounds[bucket];
}

const char *agent_board_reason(size_t denied)
{
	static const char *const others[] = {
		[AGENT_DENIED_MECHANISM - POLICY_N_FIELDS] = "mechanism",
		[AGENT_DENIED_FAILED - POLICY_N_FIELDS] = "failed",
		[AGENT_DENIED_HUNG - POLICY_N_FIELDS] = "hung",
	};

	return denied < POLICY_N_FIELDS ? policy_field_name((enum policy_field)denied)
					: others[denied - POLICY_N_FIELDS];
}

struct agent_page *agent_board_new(size_t n)
{
	void *board = mmap(NULL, n * STRIDE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return board == MAP_FAILED ? NULL : board;
}

struct agent_page *agent_board_page(struct agent_page *board, size_t i)
{
	return (struct agent_page *)((char *)board + i * STRIDE);
}

struct agent_page *agent_board_free(struct agent_page *board, size_t n)
{
	if (board)
		munmap(board, n * STRIDE);
	return NULL;
}

void agent_board_keep_only(struct agent_page *board, size_t n, size_t i)
{
	if (i)
		munmap(board, i * STRIDE);
	if (i + 1 < n)
		munmap(agent_board_page(board, i + 1), (n - i - 1) * STRIDE);
}

uint64_t agent_board_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Written by one process, read by another. */
static uint64_t get(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

static void set(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

static void count(uint64_t *number, uint64_t more)
{
	set(number, get(number) + more);
}

void agent_board_alive(struct agent_page *page, uint64_t unreported)
{
	set(&page->numbers.unreported, unreported);
	set(&page->alive_at, agent_board_now());
}

static size_t denied_index(const struct serve_report *report)
{
	if (report->kind == SERVE_KILLED)
		return AGENT_DENIED_HUNG;
	if (report->kind == SERVE_FAILED)
		return AGENT_DENIED_FAILED;
	return report->field >= 0 && report->field < POLICY_N_FIELDS ? (size_t)report->field : AGENT_DENIED_MECHANISM;
}

void agent_board_count(struct agent_page *page, const struct serve_report *report)
{
	struct agent_numbers *numbers = &page->numbers;
	bool made = report->kind == SERVE_MADE || report->kind == SERVE_ALTERED;
	size_t bucket = 0;

	while ((double)report->latency_ns / 1e9 > bounds[bucket])
		bucket++;
	count(&numbers->latency[bucket], 1);
	count(&numbers->latency_ns, report->latency_ns);
	count(made ? &numbers->made : &numbers->denied[denied_index(report)], 1);
	count(&numbers->altered, report->kind == SERVE_ALTERED);
	count(&numbers->pollers, made && report->made_flags & URING_SETUP_SQPOLL);
}

void agent_board_untold(struct agent_page *page)
{
	count(&page->numbers.untold, 1);
}

void agent_board_clear(struct agent_page *page)
{
	*page = (struct agent_page){ .alive_at = agent_board_now() };
}

uint64_t agent_board_silent_ns(const struct agent_page *page)
{
	uint64_t at = get(&page->alive_at), now = agent_board_now();

	return at < now ? now - at : 0;
}

void agent_board_add(struct agent_numbers *sum, const struct agent_page *page)
{
	const uint64_t *from = (const uint64_t *)&page->numbers;
	uint64_t *to = (uint64_t *)sum;

	_Static_assert(sizeof *sum % sizeof *to == 0, "nothing but counters");
	for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
		to[i] += get(&from[i]);
}

uint64_t agent_numbers_denied(const struct agent_numbers *numbers)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < AGENT_DENIED_N; i++)
		sum += numbers->denied[i];
	return sum;
}
