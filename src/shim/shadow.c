/* SPDX-License-Identifier: MIT */
/* The sizes that the program asked for: mapping their bytes, and finding a block from inside it. */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "shim/inner.h"
#include "shim/shadow.h"

enum {
	CHUNKS = 1 << (47 - SHADOW_CHUNK_BITS),
	MAX_DIGITS = 5,
	PAGES_TRIED = 64,
	CACHED = 4,
};

struct shadow_chunk **shadow_chunks;

/* What was found last. Checked against the bytes before it is used again, so it may be stale. */
static __thread __attribute__((tls_model("initial-exec"))) struct found {
	uint64_t base, asked;
} cache[CACHED];

static uint64_t largest =
	128 << SHADOW_GRANULE_BITS; /* size ever put, or more: nothing that starts farther away covers an address */

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
	shadow_chunks = map(CHUNKS * sizeof(struct shadow_chunk *));
	return shadow_chunks != NULL;
}

static struct shadow_chunk *chunk_make(uint64_t address)
{
	struct shadow_chunk *made = map(sizeof(struct shadow_chunk)), *other = NULL;

	if (!made || __atomic_compare_exchange_n(&shadow_chunks[address >> SHADOW_CHUNK_BITS], &other, made, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return made;
	SYS2(SYS_munmap, made, sizeof(*made));
	return other;
}

uint64_t shadow_decode(const uint8_t *at)
{
	unsigned digits = (at[0] - (unsigned)SHADOW_ONE_DIGIT) / 16 + 1;
	uint64_t granules = 0;

	for (unsigned i = 0; i < digits; i++)
		granules |= (uint64_t)(at[1 + i] & (SHADOW_MORE - 1)) << 7 * i;
	return (granules << SHADOW_GRANULE_BITS | ((at[0] - (unsigned)SHADOW_ONE_DIGIT) & 15)) + 1;
}

/* A number of n digits has at least n granules behind its first. */
static void encode(uint8_t *at, uint64_t asked)
{
	uint64_t granules = (asked - 1) >> SHADOW_GRANULE_BITS;
	unsigned digits = 0;

	do {
		at[1 + digits++] = (uint8_t)(SHADOW_MORE | (granules & (SHADOW_MORE - 1)));
		granules >>= 7;
	} while (granules);
	at[0] = (uint8_t)(SHADOW_ONE_DIGIT + 16 * (digits - 1) + ((asked - 1) & 15));
	if (asked > __atomic_load_n(&largest, __ATOMIC_RELAXED))
		__atomic_store_n(&largest, asked, __ATOMIC_RELAXED);
}

void shadow_put_slowly(uint64_t address, uint64_t asked)
{
	uint32_t index = shadow_index(address);
	struct shadow_chunk *chunk;

	if (!shadow_chunks || address >> 47 || address & 15)
		return;
	chunk = shadow_chunk(address);
	if (!chunk)
		chunk = chunk_make(address);
	if (!chunk || asked >> (7 * MAX_DIGITS + SHADOW_GRANULE_BITS) || index + MAX_DIGITS >= SHADOW_CHUNK_BYTES)
		return;
	if (asked > SHADOW_PLAIN)
		encode(&chunk->bytes[index], asked);
	else
		chunk->bytes[index] = (uint8_t)(asked + 1);
	chunk->pages[index / SHADOW_PAGE_BYTES] = 1;
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
	const struct shadow_chunk *chunk;
	uint64_t first; /* page of address space, counted from 0, below which nothing is of interest */
	uint64_t page;
	uint32_t tried;
};

static uint64_t page_of(uint64_t address)
{
	return address / (SHADOW_PAGE_BYTES << SHADOW_GRANULE_BITS);
}

/* Down to the last page of the chunk's, from walk->page on, in which a block started once; false: none. */
static bool next_page(struct walk *walk)
{
	const uint8_t *pages = walk->chunk->pages;

	for (;; walk->page--) {
		while (walk->page % 8 == 7 && !*(const uint64_t *)&pages[(walk->page - 7) % SHADOW_PAGES] &&
		       walk->page % SHADOW_PAGES > 7 && walk->page > walk->first + 8)
			walk->page -= 8;
		if (pages[walk->page % SHADOW_PAGES])
			return true;
		if (walk->page % SHADOW_PAGES == 0 || walk->page <= walk->first)
			return false;
	}
}

/* The last block that starts at or before the address. */
static bool walk_back(uint64_t address, uint64_t *ret_base)
{
	uint64_t reach = __atomic_load_n(&largest, __ATOMIC_RELAXED);
	struct walk walk = { .first = page_of(address > reach ? address - reach : 0), .page = page_of(address) };
	uint32_t last = shadow_index(address) % SHADOW_PAGE_BYTES;
	int32_t at;

	for (; walk.tried < PAGES_TRIED; walk.page--, last = SHADOW_PAGE_BYTES - 1) {
		uint64_t here = walk.page;

		walk.chunk = __atomic_load_n(&shadow_chunks[walk.page / SHADOW_PAGES], __ATOMIC_ACQUIRE);
		if (!walk.chunk)
			walk.page -= walk.page % SHADOW_PAGES;
		else if (next_page(&walk)) {
			last = walk.page == here ? last : SHADOW_PAGE_BYTES - 1;
			at = last_start(walk.chunk->bytes + walk.page % SHADOW_PAGES * SHADOW_PAGE_BYTES, last);
			if (at >= 0) {
				*ret_base = (walk.page * SHADOW_PAGE_BYTES + (uint32_t)at) << SHADOW_GRANULE_BITS;
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
	const uint8_t *at = shadow_at(base);
	uint64_t asked = at ? shadow_size(at) : 0;

	if (address - base >= asked)
		return false;
	*ret_asked = asked;
	return true;
}

bool shadow_find(uint64_t address, uint64_t *ret_base, uint64_t *ret_asked)
{
	struct found *found = &cache[address >> 21 & (CACHED - 1)];
	uint64_t base = address & ~UINT64_C(15);

	if (!shadow_chunks || address >> 47 ||
	    address - shim_self.stack_low < shim_self.stack_high - shim_self.stack_low)
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
