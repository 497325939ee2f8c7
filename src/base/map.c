/* SPDX-License-Identifier: MIT */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>

static size_t map_home(const struct map *map, uint64_t key)
{
	key ^= key >> 32;
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(key >> 20) & (map->n_slots - 1);
}

static struct map_entry *map_find(const struct map *map, uint64_t key)
{
	size_t i = map_home(map, key);

	while (map->entries[i].value && map->entries[i].key != key)
		i = (i + 1) & (map->n_slots - 1);
	return &map->entries[i];
}

static int map_grow(struct map *map)
{
	struct map bigger = { .n_slots = map->n_slots ? map->n_slots * 2 : 16 };

	bigger.entries = calloc(bigger.n_slots, sizeof *bigger.entries);
	if (!bigger.entries)
		return -ENOMEM;
	MAP_FOR_EACH(map, old)
		*map_find(&bigger, old->key) = *old;
	bigger.n_used = map->n_used;
	free(map->entries);
	*map = bigger;
	return 0;
}

void *map_get(const struct map *map, uint64_t key)
{
	return map->n_used ? map_find(map, key)->value : NULL;
}

int map_put(struct map *map, uint64_t key, void *value)
{
	struct map_entry *entry;

	if (map->n_used * 4 >= map->n_slots * 3) {
		int r = map_grow(map);

		if (r < 0)
			return r;
	}
	entry = map_find(map, key);
	if (!entry->value)
		map->n_used++;
	*entry = (struct map_entry){ key, value };
	return 0;
}

void *map_remove(struct map *map, uint64_t key)
{
	struct map_entry *hole;
	void *value;
	size_t mask, i;

	if (!map->n_used)
		return NULL;
	hole = map_find(map, key);
	value = hole->value;
	if (!value)
		return NULL;
	mask = map->n_slots - 1;
	i = (size_t)(hole - map->entries);
	for (size_t j = (i + 1) & mask; map->entries[j].value; j = (j + 1) & mask) {
		size_t home = map_home(map, map->entries[j].key);

		if (((j - home) & mask) >= ((j - i) & mask)) {
			map->entries[i] = map->entries[j];
			i = j;
		}
	}
	map->entries[i].value = NULL;
	map->n_used--;
	return value;
}

void map_deinit(struct map *map)
{
	free(map->entries);
	*map = (struct map){ 0 };
}
