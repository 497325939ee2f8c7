/* SPDX-License-Identifier: MIT */
/*
 * Call stacks: kept as the sensor sent them (registers and a slice of memory), unwound with libdw's call frame
 * information only when somebody asks, named with DWARF where it exists. Knows processes by number and their ELF
 * objects by EVENT_MODULE; no process has to be alive.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct event;
struct stacks;

struct stack_frame {
	uint64_t pc;       /* for a caller: inside the call instruction */
	uint64_t cfa;      /* canonical frame address; 0 for an inlined frame, and where call frame information ended */
	uint64_t function; /* start address of the function, 0 = not known. CFA + function identify an activation */
	const char *name;  /* demangled; NULL = not known. Owned by the store */
	const char *module; /* path, never NULL */
	uint64_t offset;    /* pc relative to the module's load base */
	const char *file;   /* NULL = no line information */
	int line, column;
	int inlined;
};

struct stack {
	size_t n_frames;
	int truncated; /* the slice, or call frame information, ended before the stack did */
	uint64_t sp;   /* stack pointer in the innermost frame */
	struct stack_frame frames[];
};

struct stacks *stacks_new(void);
struct stacks *stacks_free(struct stacks *stacks);

/* Learns from EVENT_PROCESS_START, FORK, MODULE and STACK; ignores all else. 0 or -ENOMEM. */
int stacks_apply(struct stacks *stacks, const struct event *event);

/*
 * The frames of a stack id, innermost first, without names (cheap: no DWARF lines are read), or NULL when the id is not
 * kept any more (the store keeps the newest few thousand and all that were unwound). Owned by the store, valid until it
 * is freed.
 */
const struct stack *stacks_unwind(struct stacks *stacks, uint32_t pid, uint32_t id);

/* The same with names, files, lines and inlined frames. */
const struct stack *stacks_symbolize(struct stacks *stacks, uint32_t pid, uint32_t id);
