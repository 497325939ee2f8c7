/* SPDX-License-Identifier: MIT */
/*
 * The sizes that the program asked for: one byte per 16 bytes of address space, in chunks mapped when needed. The byte
 * of a block's first 16 bytes starts a number, and bytes of 128 and more behind it, inside the block, go on with it. So
 * a block is forgotten by clearing one byte, and found from anywhere inside by walking back to the last byte that
 * starts one. The allocator's own data is never looked at.
 *
 * Here is what each malloc() and free() does; the rest is in shadow.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SHADOW_GRANULE_BITS = 4,
	SHADOW_CHUNK_BITS = 26, /* of address space per chunk */
	SHADOW_CHUNK_BYTES = 1 << (SHADOW_CHUNK_BITS - SHADOW_GRANULE_BITS),
	SHADOW_PAGE_BYTES = 256, /* for one page of 4 KiB */
	SHADOW_PAGES = SHADOW_CHUNK_BYTES / SHADOW_PAGE_BYTES,
	SHADOW_PLAIN = 16, /* sizes up to here are one byte: size + 1 */
	SHADOW_ONE_DIGIT = SHADOW_PLAIN + 2,
	SHADOW_MORE = 128,
};

struct shadow_chunk {
	uint8_t bytes[SHADOW_CHUNK_BYTES];
	uint8_t pages[SHADOW_PAGES]; /* not 0: a block started there once (or a number of two bytes runs over from
					above) */
};

extern struct shadow_chunk **shadow_chunks; /* NULL: sizes are not kept */

/* False: sizes cannot be kept. */
bool shadow_init(void);

/* The block that the address lies in, if it is certain. */
bool shadow_find(uint64_t address, uint64_t *ret_base, uint64_t *ret_asked);

/* For what is not here: large sizes, and chunks yet to be mapped. */
void shadow_put_slowly(uint64_t address, uint64_t asked);
uint64_t shadow_decode(const uint8_t *at);

static inline uint32_t shadow_index(uint64_t address)
{
	return (uint32_t)(address >> SHADOW_GRANULE_BITS) & (SHADOW_CHUNK_BYTES - 1);
}

/* NULL also for what does not start at a multiple of 16. */
static inline struct shadow_chunk *shadow_chunk(uint64_t address)
{
	if (address & ~((UINT64_C(1) << 47) - 16) || !shadow_chunks)
		return NULL;
	return __atomic_load_n(&shadow_chunks[address >> SHADOW_CHUNK_BITS], __ATOMIC_ACQUIRE);
}

static inline void shadow_put(uint64_t address, uint64_t asked)
{
	struct shadow_chunk *chunk = shadow_chunk(address);
	uint32_t index = shadow_index(address);

	if (__builtin_expect(!chunk || asked > 128 << SHADOW_GRANULE_BITS, 0)) {
		shadow_put_slowly(address, asked);
		return;
	}
	if (asked <= SHADOW_PLAIN) {
		chunk->bytes[index] = (uint8_t)(asked + 1);
	} else {
		chunk->bytes[index] = (uint8_t)(SHADOW_ONE_DIGIT + ((asked - 1) & 15));
		(chunk->bytes + index)[1] = (uint8_t)(SHADOW_MORE | (asked - 1) >> SHADOW_GRANULE_BITS);
	}
	if (!chunk->pages[index / SHADOW_PAGE_BYTES])
		chunk->pages[index / SHADOW_PAGE_BYTES] = 1;
}

/* Where the block's number starts; NULL when nothing is known of it. */
static inline uint8_t *shadow_at(uint64_t address)
{
	struct shadow_chunk *chunk = shadow_chunk(address);
	uint8_t *at = chunk ? &chunk->bytes[shadow_index(address)] : NULL;

	return at && *at && *at < SHADOW_MORE ? at : NULL;
}

static inline uint64_t shadow_size(const uint8_t *at)
{
	if (at[0] < SHADOW_ONE_DIGIT)
		return at[0] - 1u;
	if (at[0] < SHADOW_ONE_DIGIT + 16)
		return ((uint64_t)(at[1] & (SHADOW_MORE - 1)) << SHADOW_GRANULE_BITS | (at[0] - SHADOW_ONE_DIGIT)) + 1;
	return shadow_decode(at);
}

static inline void shadow_clear(uint64_t address)
{
	struct shadow_chunk *chunk = shadow_chunk(address);

	if (chunk)
		chunk->bytes[shadow_index(address)] = 0;
}

/* Forgets the block. False when nothing was known of it. */
static inline bool shadow_take(uint64_t address, uint64_t *ret_asked)
{
	uint8_t *at = shadow_at(address);

	if (!at)
		return false;
	*ret_asked = shadow_size(at);
	*at = 0;
	return true;
}
