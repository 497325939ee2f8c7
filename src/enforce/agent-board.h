/* SPDX-License-Identifier: MIT */
/*
 * What workers tell about themselves in shared memory: one page each, which only that worker (and the agent) can see.
 * The agent believes none of it but as numbers: when the worker last showed that it lives, and counters for people.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "enforce/policy.h"

enum {
	AGENT_BUCKETS = 14, /* of the latency's histogram; the last is +Inf */
	/* Why a set-up got no ring: a field of the policy, or one of these. */
	AGENT_DENIED_MECHANISM = POLICY_N_FIELDS, /* it cannot make such a ring */
	AGENT_DENIED_FAILED,                      /* the kernel refused it, or the caller was gone */
	AGENT_DENIED_HUNG,                        /* it took too long, and who handled it was killed */
	AGENT_DENIED_N,
};

struct agent_numbers {
	uint64_t made, altered, denied[AGENT_DENIED_N]; /* `altered` is part of `made` */
	uint64_t pollers;                               /* rings made with SQPOLL */
	uint64_t latency[AGENT_BUCKETS], latency_ns;    /* those up to agent_board_bound(); their sum */
	uint64_t untold;                                /* denials that the log does not have, because too many came */
	uint64_t unreported; /* set-ups that none of these numbers has, because too many came */
};

struct agent_page {
	uint64_t alive_at; /* CLOCK_MONOTONIC, ns */
	struct agent_numbers numbers;
};

struct serve_report;

struct agent_page *agent_board_new(size_t n); /* NULL: errno */
struct agent_page *agent_board_page(struct agent_page *board, size_t i);
void agent_board_keep_only(struct agent_page *board, size_t n, size_t i); /* in the worker: the others go away */
struct agent_page *agent_board_free(struct agent_page *board, size_t n);

uint64_t agent_board_now(void);
void agent_board_alive(struct agent_page *page, uint64_t unreported);
void agent_board_count(struct agent_page *page, const struct serve_report *report);
void agent_board_untold(struct agent_page *page);

/* In the agent. A slot is cleared before it is given away. */
void agent_board_clear(struct agent_page *page);
uint64_t agent_board_silent_ns(const struct agent_page *page);
void agent_board_add(struct agent_numbers *sum, const struct agent_page *page);

double agent_board_bound(size_t bucket);       /* seconds */
const char *agent_board_reason(size_t denied); /* "setupFlags", "mechanism" ... */
uint64_t agent_numbers_denied(const struct agent_numbers *numbers);
