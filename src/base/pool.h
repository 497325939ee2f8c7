/* SPDX-License-Identifier: MIT */
/*
 * Fixed-size objects from slabs that are never given back, with a free list: after warming up, taking and returning an
 * object touches no heap. Objects are zeroed when taken.
 */
#pragma once

#include <stddef.h>

struct pool_slab;

struct pool {
	size_t size;	/* bytes per object, at least sizeof(void *) */
	void *free;	/* first free object; each holds the next one's address */
	struct pool_slab *slabs;
	size_t n_live;	/* objects handed out now */
	size_t n_max;	/* at most this many live objects; 0 = no limit */
};

#define POOL_INIT(type) { .size = sizeof(type) < sizeof(void *) ? sizeof(void *) : sizeof(type) }

/* A zeroed object, or NULL when memory or the limit is exhausted. */
void *pool_take(struct pool *pool);

/* Returns an object to the pool it came from; NULL is ignored. */
void pool_give(struct pool *pool, void *object);

/* Frees every slab; objects still out become invalid. */
void pool_deinit(struct pool *pool);
