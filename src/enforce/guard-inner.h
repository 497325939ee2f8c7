/* SPDX-License-Identifier: MIT */
/* What the files of the guard share. */
#pragma once

#include <stdbool.h>

struct guard_bpf;

enum guard_map { GUARD_MAP_RULES, GUARD_MAP_STATES, GUARD_MAP_ABOUT, GUARD_MAPS };

struct guard {
	struct guard_bpf *bpf; /* NULL = found, not loaded */
	int maps[GUARD_MAPS];  /* enum guard_map; ours to close */
	int existing;          /* the program that charges pollers which were there before a rule; ours to close */
	bool is_pinned;
};

#define GUARD_EXISTING_NAME "existing"

/* Nothing loaded or found yet; NULL = no memory. */
struct guard *guard_new(void);
