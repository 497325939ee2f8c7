/* SPDX-License-Identifier: MIT */
/*
 * A hash map from a 64-bit key to a pointer: open addressing, linear probing, backward-shift deletion (no tombstones, so
 * it never degrades). It grows by doubling; between growths no operation touches the heap.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct map_entry {
	uint64_t key;
	void *value;	/* NULL = empty */
};

struct map {
	struct map_entry *entries;
	size_t n_slots;	/* a power of two, or 0 */
	size_t n_used;
};

/* The value stored under `key`, or NULL. */
void *map_get(const struct map *map, uint64_t key);

/* Stores a non-NULL value, replacing an older one. Returns 0 or -ENOMEM (the map is then unchanged). */
int map_put(struct map *map, uint64_t key, void *value);

/* Removes `key`; returns what was stored, or NULL. */
void *map_remove(struct map *map, uint64_t key);

/* Frees the table, not the values. */
void map_deinit(struct map *map);

/* Walks all entries in no particular order; the map must not change meanwhile. */
#define MAP_FOR_EACH(map, entry)                                                                                        \
	for (struct map_entry *entry = (map)->entries; entry < (map)->entries + (map)->n_slots; entry++)               \
		if (!entry->value) {                                                                                   \
		} else
