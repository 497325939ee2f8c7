/* SPDX-License-Identifier: MIT */
/*
 * The sizes that the program asked for: one byte per 16 bytes of address space, in chunks mapped when needed. The byte
 * of a block's first 16 bytes starts a number, and bytes of 128 and more behind it, inside the block, go on with it. So
 * a block is forgotten by clearing one byte, and found from anywhere inside by walking back to the last byte that
 * starts one. The allocator's own data is never looked at.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "shim/inner.h"

enum {
	GRANULE_BITS = 4,
	CHUNK_BITS = 26, /* of address space per chunk */
	CHUNK_BYTES = 1 << (CHUNK_BITS - GRANULE_BITS),
	PAGE_BYTES = 256, /* for one page of 4 KiB */
	PAGES = CHUNK_BYTES / PAGE_BYTES,
	CHUNKS = 1 << (47 - CHUNK_BITS),
	PLAIN = 16, /* sizes up to here are one byte: size + 1 */
	MORE = 128,
	MAX_DIGITS = 5,
	PAGES_TRIED = 64,
	CACHED = 4,
};

struct chunk {
	uint8_t bytes[CHUNK_BYTES];
	uint8_t pages[PAGES]; /* 1: a block started there once */
};

static struct chunk **chunks; /* NULL: sizes are not kept */

/* What was found last. Checked against the bytes before it is used again, so it may be stale. */
static __thread __attribute__((tls_model("initial-exec"))) struct found {
	uint64_t base, asked;
} cache[CACHED];

static uint64_t largest; /* size ever put: nothing that starts farther away can cover an address */

static void *map(size_t bytes)
{
	long at = SYS6(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at < 0 && at > -4096)
		return NULL;
	SYS3(SYS_madvise, at, bytes, MADV_NOHUGEPAGE);
	return (void *)at;
}

bool shadow_init(void)
{
	chunks = map(CHUNKS * sizeof(struct chunk *));
	return chunks != NULL;
}

static struct chunk *chunk_at(uint64_t address)
{
	return chunks && address >> 47 == 0 ? __atomic_load_n(&chunks[address >> CHUNK_BITS], __ATOMIC_ACQUIRE) : NULL;
}

static struct chunk *chunk_make(uint64_t address)
{
	struct chunk *made, *other = NULL;

	if (!chunks || address >> 47)
		return NULL;
	made = map(sizeof(struct chunk));
	if (!made || __atomic_compare_exchange_n(&chunks[address >> CHUNK_BITS], &other, made, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE))
		return made;
	SYS2(SYS_munmap, made, sizeof(struct chunk));
	return other;
}

static uint32_t index_of(uint64_t address)
{
	return (uint32_t)(address >> GRANULE_BITS) & (CHUNK_BYTES - 1);
}

static bool starts(uint8_t byte)
{
	return byte && byte < MORE;
}

static uint64_t decode(const uint8_t *at)
{
	uint64_t granules = 0;
	unsigned digits;

	if (at[0] <= PLAIN + 1)
		return at[0] - 1u;
	digits = (at[0] - (PLAIN + 2u)) / 16 + 1;
	for (unsigned i = 0; i < digits; i++)
		granules |= (uint64_t)(at[1 + i] & (MORE - 1)) << 7 * i;
	return (granules << GRANULE_BITS | ((at[0] - (PLAIN + 2u)) & 15)) + 1;
}

/* A number of n digits has at least n granules behind its first. */
static void encode(uint8_t *at, uint64_t asked)
{
	uint64_t granules = (asked - 1) >> GRANULE_BITS;
	unsigned digits = 0;

	do {
		at[1 + digits++] = (uint8_t)(MORE | (granules & (MORE - 1)));
		granules >>= 7;
	} while (granules);
	at[0] = (uint8_t)(PLAIN + 2 + 16 * (digits - 1) + ((asked - 1) & 15));
	if (asked > __atomic_load_n(&largest, __ATOMIC_RELAXED))
		__atomic_store_n(&largest, asked, __ATOMIC_RELAXED);
}

void shadow_put(const void *block, size_t asked)
{
	uint64_t address = (uint64_t)block;
	struct chunk *chunk = chunk_at(address);
	uint32_t index = index_of(address);

	if (!chunk)
		chunk = chunk_make(address);
	if (!chunk || address & 15)
		return;
	if (asked <= PLAIN)
		chunk->bytes[index] = (uint8_t)(asked + 1);
	else if (asked >> (7 * MAX_DIGITS + GRANULE_BITS) || index + MAX_DIGITS >= CHUNK_BYTES)
		return;
	else
		encode(&chunk->bytes[index], asked);
	if (!chunk->pages[index / PAGE_BYTES])
		chunk->pages[index / PAGE_BYTES] = 1;
}

bool shadow_get(const void *block, size_t *ret_asked)
{
	uint64_t address = (uint64_t)block;
	const struct chunk *chunk = chunk_at(address);

	if (!chunk || address & 15 || !starts(chunk->bytes[index_of(address)]))
		return false;
	*ret_asked = decode(&chunk->bytes[index_of(address)]);
	return true;
}

bool shadow_take(const void *block, size_t *ret_asked)
{
	if (!shadow_get(block, ret_asked))
		return false;
	chunk_at((uint64_t)block)->bytes[index_of((uint64_t)block)] = 0;
	return true;
}

/* ---- from inside ---- */

#define LOW_BITS UINT64_C(0x7f7f7f7f7f7f7f7f)

/* The last byte that starts a block, of a page's first `last` + 1; or -1. */
static int32_t last_start(const uint8_t *page, uint32_t last)
{
	uint64_t keep = ~UINT64_C(0) >> (56 - 8 * (last % 8));

	for (int32_t word = (int32_t)last / 8; word >= 0; word--, keep = ~UINT64_C(0)) {
		uint64_t value = ((const uint64_t *)page)[word] & keep;
		uint64_t found = ((value & LOW_BITS) + LOW_BITS) & ~value & ~LOW_BITS;

		if (found)
			return word * 8 + (63 - __builtin_clzll(found)) / 8;
	}
	return -1;
}

struct walk {
	const struct chunk *chunk;
	uint64_t first; /* page of address space, counted from 0, below which nothing is of interest */
	uint64_t page;
	uint32_t tried;
};

static uint64_t page_of(uint64_t address)
{
	return address / (PAGE_BYTES << GRANULE_BITS);
}

/* Down to the last page of the chunk's, from walk->page on, in which a block started once; false: none. */
static bool next_page(struct walk *walk)
{
	const uint8_t *pages = walk->chunk->pages;

	for (;; walk->page--) {
		while (walk->page % 8 == 7 && !*(const uint64_t *)&pages[(walk->page - 7) % PAGES] &&
		       walk->page % PAGES > 7 && walk->page > walk->first + 8)
			walk->page -= 8;
		if (pages[walk->page % PAGES])
			return true;
		if (walk->page % PAGES == 0 || walk->page <= walk->first)
			return false;
	}
}

/* The last block that starts at or before the address. */
static bool walk_back(uint64_t address, uint64_t *ret_base)
{
	uint64_t reach = __atomic_load_n(&largest, __ATOMIC_RELAXED);
	struct walk walk = { .first = page_of(address > reach ? address - reach : 0), .page = page_of(address) };
	uint32_t last = index_of(address) % PAGE_BYTES;
	int32_t at;

	for (; walk.tried < PAGES_TRIED; walk.page--, last = PAGE_BYTES - 1) {
		uint64_t here = walk.page;

		walk.chunk = __atomic_load_n(&chunks[walk.page / PAGES], __ATOMIC_ACQUIRE);
		if (!walk.chunk)
			walk.page -= walk.page % PAGES;
		else if (next_page(&walk)) {
			last = walk.page == here ? last : PAGE_BYTES - 1;
			at = last_start(walk.chunk->bytes + walk.page % PAGES * PAGE_BYTES, last);
			if (at >= 0) {
				*ret_base = (walk.page * PAGE_BYTES + (uint32_t)at) << GRANULE_BITS;
				return true;
			}
			walk.tried++;
		}
		if (walk.page <= walk.first)
			return false;
	}
	return false;
}

static bool covers(uint64_t base, uint64_t address, uint64_t *ret_asked)
{
	size_t asked;

	if (!shadow_get((const void *)base, &asked) || address - base >= asked)
		return false;
	*ret_asked = asked;
	return true;
}

bool shadow_find(uint64_t address, uint64_t *ret_base, uint64_t *ret_asked)
{
	struct found *found = &cache[address >> 21 & (CACHED - 1)];
	uint64_t base = address & ~UINT64_C(15);

	if (!chunks || address >> 47 || address - shim_self.stack_low < shim_self.stack_high - shim_self.stack_low)
		return false;
	if (covers(base, address, ret_asked)) {
		*ret_base = base;
		return true;
	}
	base = found->base;
	if (!base || address - base >= found->asked || !covers(base, address, ret_asked) ||
	    *ret_asked != found->asked) {
		if (!walk_back(address, &base) || !covers(base, address, ret_asked))
			return false;
		*found = (struct found){ base, *ret_asked };
	}
	*ret_base = base;
	return true;
}
