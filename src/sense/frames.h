/* SPDX-License-Identifier: MIT */
/*
 * Adds to another source what only unwinding can tell: that a stack frame which owns memory of a request in flight has returned. It yields the inner
 * source's events unchanged, and where a later stack of the same thread lacks the owning frame, an EVENT_RELEASE (EVENT_FRAME, EVENT_SYNTHETIC)
 * before the event that showed it. Where the frame cannot be told (coroutines, truncated slices) it says nothing.
 */
#pragma once

struct source;
struct stacks;

/* Owns `inner` from here on, also on failure (NULL when out of memory). `stacks` is fed by this source. */
struct source *sense_frames_new(struct source *inner, struct stacks *stacks);
