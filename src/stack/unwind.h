/* SPDX-License-Identifier: MIT */
/*
 * One step up after another, by call frame information alone. There is no guessing by frame pointers: a wrong frame
 * would become a wrong accusation, a missing one only a shorter stack.
 */
#pragma once

#include "stack/modules.h"
#include "stack/stack.h"

enum { UNWIND_FRAMES = 64 };

struct unwind_slice {
	uint64_t registers[17];
	uint64_t sp;
	uint32_t bytes;
	const uint8_t *data;
};

/* Fills at most UNWIND_FRAMES frames and returns how many; `ret_stack` gets sp and truncated. Frames of the shim are
 * left out. */
size_t unwind(struct modules *modules, const struct unwind_slice *slice, struct stack_frame *frames,
	      struct stack *ret_stack);
