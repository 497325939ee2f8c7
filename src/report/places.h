/* SPDX-License-Identifier: MIT */
/*
 * The engine tells stacks apart by number; people tell places apart by name. Findings of the same hazard and operation
 * with the same innermost frames (of the program's own code, where there is any) are one place.
 */
#pragma once

#include <stddef.h>

struct finding;
struct places;
struct stacks;

enum places_outcome { PLACES_NEW = 1, PLACES_KNOWN = 2 };

struct places *places_new(struct stacks *stacks); /* `stacks` is not owned */
struct places *places_free(struct places *places);

/* PLACES_NEW: it is to be reported. PLACES_KNOWN: it only counts. Or -ENOMEM. */
int places_add(struct places *places, const struct finding *finding);

/*
 * At the end, once for each place of the engine with its final count: the counts of those that are one place add up.
 * What places_add() never saw (suppressed) is ignored.
 */
void places_count(struct places *places, const struct finding *finding);

/* All places in the order they were found, valid until the next places_add(). */
const struct finding *const *places_list(const struct places *places, size_t *ret_n);
