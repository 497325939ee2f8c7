/* SPDX-License-Identifier: MIT */
/*
 * A sensor: yields events in order of their sequence numbers, one at a time.
 *
 * Contract of next(): SOURCE_EVENT (an event is in *ret_event, owned by the source, valid until the next call),
 * SOURCE_AGAIN (nothing before `deadline`; call again), SOURCE_END (nothing will come any more), or -errno with a text.
 */
#pragma once

#include <stdint.h>

struct err;
struct event;
struct source;

enum source_outcome { SOURCE_EVENT = 1, SOURCE_AGAIN = 2, SOURCE_END = 3 };

/* What a sensor can see; a hazard that needs more is "not checked". */
enum source_ability {
	SOURCE_SQES = 1u << 0,		/* whole entries with their arguments */
	SOURCE_COMPLETIONS = 1u << 1,
	SOURCE_MEMORY = 1u << 2,	/* releases of memory */
	SOURCE_BOUNDS = 1u << 3,	/* allocations with the size asked for */
	SOURCE_FDS = 1u << 4,		/* descriptors and their objects */
	SOURCE_CQ_STATE = 1u << 5,	/* CQ head and tail at each enter */
	SOURCE_THREADS = 1u << 6,
	SOURCE_CREDENTIALS = 1u << 7,
	SOURCE_STACKS = 1u << 8,
	SOURCE_SQPOLL_TIMING = 1u << 9,	/* when a polling thread consumed an entry */
	SOURCE_PBUFS = 1u << 10,	/* entries of provided-buffer rings */
	SOURCE_FRAMES = 1u << 11,	/* stack frames that returned */
	SOURCE_WAITS = 1u << 12,	/* ticks while a call blocks */
	SOURCE_FILTERS = 1u << 13,	/* under which seccomp filters a process runs */
};

struct source {
	const char *name;
	uint32_t abilities;	/* enum source_ability */
	int (*next)(struct source *source, uint64_t deadline_ns, const struct event **ret_event, struct err *err);
	struct source *(*destroy)(struct source *source); /* takes NULL, returns NULL */
};
