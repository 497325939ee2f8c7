/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/map.h"
#include "stack/modules.h"
#include "stack/stack.h"

/* Strings that live as long as the store: each is kept once. */
struct names {
	struct map by_hash;
};

/* The kept copy; NULL for NULL and when out of memory. */
const char *symbolize_names_keep(struct names *names, const char *text);
void symbolize_names_deinit(struct names *names);

/* A new stack with names, lines and inlined frames, to be freed; NULL when out of memory. */
struct stack *symbolize(struct modules *modules, const struct stack *plain, struct names *names);
