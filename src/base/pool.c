/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

enum { POOL_SLAB_BYTES = 64 * 1024 };

struct pool_slab {
	struct pool_slab *next;
	max_align_t objects[];
};

static int pool_grow(struct pool *pool)
{
	size_t n = POOL_SLAB_BYTES / pool->size;
	struct pool_slab *slab;
	char *object;

	if (n == 0)
		n = 1;
	slab = malloc(sizeof *slab + n * pool->size);
	if (!slab)
		return -1;
	slab->next = pool->slabs;
	pool->slabs = slab;
	object = (char *)slab->objects;
	for (size_t i = 0; i < n; i++, object += pool->size) {
		*(void **)object = pool->free;
		pool->free = object;
	}
	return 0;
}

void *pool_take(struct pool *pool)
{
	void *object;

	if (pool->n_max && pool->n_live >= pool->n_max)
		return NULL;
	if (!pool->free && pool_grow(pool) < 0)
		return NULL;
	object = pool->free;
	pool->free = *(void **)object;
	pool->n_live++;
	return memset(object, 0, pool->size);
}

void pool_give(struct pool *pool, void *object)
{
	if (!object)
		return;
	*(void **)object = pool->free;
	pool->free = object;
	pool->n_live--;
}

void pool_deinit(struct pool *pool)
{
	while (pool->slabs) {
		struct pool_slab *next = pool->slabs->next;

		free(pool->slabs);
		pool->slabs = next;
	}
	pool->free = NULL;
	pool->n_live = 0;
}
