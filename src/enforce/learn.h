/* SPDX-License-Identifier: MIT */
/*
 * Events in, the smallest policy out that lets the same happen again, with where each of its parts came from.
 *
 * What was only attempted counts too: a program that was told EINVAL and went on would meet another answer under a
 * policy that denies the attempt. Limits are what the whole run came to, not what was there at one moment: how many
 * rings are open at once depends on timing, and a policy must not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "enforce/policy.h"

struct event;
struct learn;

enum { LEARN_PROGRAM_BYTES = 32 };

/* What was seen of one thing that a policy allows. */
struct learn_mark {
	uint64_t count;
	uint32_t pid, stack; /* of the first time; 0 = no stack was taken */
	char program[LEARN_PROGRAM_BYTES];
};

struct learn_summary {
	uint64_t entries, rings, refused_rings, register_calls;
	uint64_t processes;  /* that made rings */
	uint64_t lost;       /* events */
	uint32_t files;      /* the largest table of registered files */
	uint32_t workers[2]; /* bounded and unbounded: the most that it asked to have for a ring; 0 = not asked */
	bool resized;        /* a ring, or it tried to */
	uint64_t live_rings; /* at most, at a time, of all processes */
};

struct learn *learn_new(void); /* NULL = out of memory */
struct learn *learn_free(struct learn *learn);
CLEANUP_DEFINE(learn, struct learn, learn_free);

/* 0 or -ENOMEM. */
int learn_apply(struct learn *learn, const struct event *event);

/*
 * Adds what was learned to what the policy allows; learn_nothing() is what to begin with. A limit under which a call
 * that was seen would be denied goes (sizes where rings are resized, workers where the program sets them), and none is
 * put on workers and registered files: see write_remarks() in src/cli/policy-learn.c.
 */
void learn_add(const struct learn *learn, struct policy *policy);

/* A policy that allows nothing at all, and as little of everything as can be. */
struct policy learn_nothing(void);

/* What was seen of the member of a set (-1: of the field itself); count 0 = nothing. */
struct learn_mark learn_mark(const struct learn *learn, enum policy_field field, int member);
struct learn_summary learn_summary(const struct learn *learn);
