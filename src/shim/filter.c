/* SPDX-License-Identifier: MIT */
/*
 * Which memory requests in flight use: enough to know, at each free(), that it does not matter.
 *
 * A claim is one range of one request. Claims lie in sets of a hash by (ring, user_data), so that a completion finds
 * them; those of one request hang together. By address they are filed in buckets of granules (4 KiB, 64 KiB, 2 MiB, or
 * one for all that is larger), the smallest that the range spans few of. A byte per bucket says whether it holds
 * anything: that is all most questions look at. Without locks: an entry is taken by compare-and-swap. What finds no
 * room in a bucket is counted there, and the bucket then says yes to every question. An answer may thus be wrong in
 * one direction only; the reader judges.
 *
 * Memory that is registered does not come and go with requests: it is kept as a few intervals.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "shim/inner.h"

enum {
	SETS = 4096,
	WAYS = 16,
	PROBES = 8,
	ENTRIES = 15,
	LEVELS = 3,
	BUCKETS = 4096, /* of the lowest level; a quarter for each above it */
	SPAN = 4,
	WALK = 64,
	BOXES = 64,
	FREE = 0,
	TAKEN = 1,   /* being made or unmade */
	FOLLOWS = 2, /* not the first of its request */
	FIRST_TAG = 4,
	HUGE = 1 << LEVELS,
};

struct claim {
	uint64_t address; /* the ring's place in its table above */
	uint64_t end;
	uint64_t user_data;
	uint32_t next; /* of the same request: its place + 1 */
	uint32_t born; /* low bits of the sequence number then */
};
_Static_assert(sizeof(struct claim) == 32, "two in a cache line");

struct bucket {
	uint32_t overflow;
	uint32_t entries[ENTRIES]; /* place of the claim + 1 */
};

struct filter {
	uint32_t tags[SETS][WAYS];
	struct bucket buckets[BUCKETS + BUCKETS / 4 + BUCKETS / 16];
	struct bucket huge;
	uint8_t marks[BUCKETS + BUCKETS / 4 + BUCKETS / 16];
	struct claim claims[SETS * WAYS];
};

static const struct {
	uint8_t shift, bits;
	uint16_t start;
} levels[LEVELS] = { { 12, 12, 0 }, { 16, 10, BUCKETS }, { 21, 8, BUCKETS + BUCKETS / 4 } }; /* as in shim.h */

static const uint64_t address_mask = (UINT64_C(1) << 48) - 1;
static const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

static struct filter *filter;
static uint32_t probes = 1; /* sets that a search must look at */

uint32_t filter_used;
const uint8_t *filter_marks;
uint64_t filter_registered_low = UINT64_MAX, filter_registered_high;

/* What is registered with a ring. */
static struct box {
	uint64_t low, high;
	const struct ring *ring; /* NULL: free */
} boxes[BOXES];
static uint32_t n_boxes; /* ever used */
static bool crowded;     /* more rings than there are intervals */

void filter_init(void)
{
	long at = SYS6(SYS_mmap, 0, sizeof(struct filter), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at < 0 && at > -4096)
		return;
	SYS3(SYS_madvise, at, sizeof(struct filter), MADV_NOHUGEPAGE);
	filter = (struct filter *)at;
	filter_marks = filter->marks;
}

/* The requests in flight are the parent's, and so is the memory that they use. */
void filter_fork_child(void)
{
	filter_used = 0;
	probes = 1;
	n_boxes = 0;
	crowded = false;
	filter_registered_low = UINT64_MAX;
	filter_registered_high = 0;
	memset(boxes, 0, sizeof(boxes));
	if (filter)
		SYS3(SYS_madvise, filter, sizeof(*filter), MADV_DONTNEED);
}

/* ---- buckets ---- */

static uint32_t bucket_of(unsigned level, uint64_t granule)
{
	return levels[level].start + (uint32_t)(granule * golden >> (64 - levels[level].bits));
}

static void file(struct bucket *bucket, uint32_t place)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint32_t free = 0;

		if (!__atomic_load_n(&bucket->entries[i], __ATOMIC_RELAXED) &&
		    __atomic_compare_exchange_n(&bucket->entries[i], &free, place + 1, false, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			return;
	}
	__atomic_fetch_add(&bucket->overflow, 1, __ATOMIC_SEQ_CST);
}

static void unfile(struct bucket *bucket, uint32_t place)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (__atomic_load_n(&bucket->entries[i], __ATOMIC_RELAXED) == place + 1) {
			__atomic_store_n(&bucket->entries[i], 0, __ATOMIC_RELEASE);
			return;
		}
	__atomic_fetch_sub(&bucket->overflow, 1, __ATOMIC_SEQ_CST);
}

static bool empty(const struct bucket *bucket)
{
	uint32_t any = __atomic_load_n(&bucket->overflow, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < ENTRIES; i++)
		any |= __atomic_load_n(&bucket->entries[i], __ATOMIC_RELAXED);
	return !any;
}

static unsigned level_of(uint64_t low, uint64_t end)
{
	for (unsigned level = 0; level < LEVELS; level++)
		if (((end - 1) >> levels[level].shift) - (low >> levels[level].shift) < SPAN)
			return level;
	return LEVELS;
}

static void use(uint32_t bit)
{
	if (!(__atomic_load_n(&filter_used, __ATOMIC_RELAXED) & bit))
		__atomic_fetch_or(&filter_used, bit, __ATOMIC_SEQ_CST);
}

static void file_claim(uint32_t place, uint64_t low, uint64_t end)
{
	unsigned level = level_of(low, end);

	if (level == LEVELS) {
		file(&filter->huge, place);
		use(HUGE);
		return;
	}
	for (uint64_t g = low >> levels[level].shift; g <= (end - 1) >> levels[level].shift; g++) {
		uint32_t at = bucket_of(level, g);

		file(&filter->buckets[at], place);
		__atomic_store_n(&filter->marks[at], 1, __ATOMIC_RELEASE);
	}
	use(1u << level);
}

static void unfile_claim(uint32_t place, uint64_t low, uint64_t end)
{
	unsigned level = level_of(low, end);

	if (level == LEVELS) {
		unfile(&filter->huge, place);
		return;
	}
	for (uint64_t g = low >> levels[level].shift; g <= (end - 1) >> levels[level].shift; g++)
		unfile(&filter->buckets[bucket_of(level, g)], place);
}

/* ---- claims ---- */

static uint64_t hash_of(uint32_t ring, uint64_t user_data)
{
	uint64_t hash = (user_data ^ (uint64_t)ring << 49) * golden;

	return hash ^ hash >> 32;
}

static uint32_t set_of(uint64_t hash, unsigned probe)
{
	return ((uint32_t)(hash >> 44) ^ probe) & (SETS - 1);
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)hash | FIRST_TAG;
}

/* A place that is ours alone, or -1. */
static int64_t take(uint64_t hash)
{
	for (unsigned probe = 0; probe < PROBES; probe++) {
		uint32_t *set = filter->tags[set_of(hash, probe)];

		for (unsigned i = 0; i < WAYS; i++) {
			unsigned way = ((unsigned)(hash >> 40) + i) % WAYS;
			uint32_t free = FREE;

			if (__atomic_load_n(&set[way], __ATOMIC_RELAXED) != FREE ||
			    !__atomic_compare_exchange_n(&set[way], &free, TAKEN, false, __ATOMIC_ACQ_REL,
							 __ATOMIC_RELAXED))
				continue;
			if (probe >= __atomic_load_n(&probes, __ATOMIC_RELAXED))
				__atomic_store_n(&probes, probe + 1, __ATOMIC_RELAXED);
			return (int64_t)set_of(hash, probe) * WAYS + way;
		}
	}
	return -1;
}

static uint32_t *tag_at(uint32_t place)
{
	return &filter->tags[place / WAYS][place % WAYS];
}

static uint32_t ring_index(const struct ring *ring)
{
	return (uint32_t)(ring - rings_table);
}

static void claim(struct filter_claims *claims, uint64_t low, uint64_t end)
{
	uint64_t hash = claims->first ? low * golden ^ claims->hash : claims->hash;
	int64_t place = take(hash);
	struct claim *made;

	if (place < 0)
		return;
	made = &filter->claims[place];
	made->address = low | (uint64_t)claims->ring << 48;
	made->end = end;
	made->user_data = claims->user_data;
	made->born = (uint32_t)__atomic_load_n(&shim_shared->seq, __ATOMIC_RELAXED);
	if (claims->first) {
		struct claim *first = &filter->claims[claims->first - 1];

		made->next = first->next;
		first->next = (uint32_t)place + 1;
		__atomic_store_n(tag_at((uint32_t)place), FOLLOWS, __ATOMIC_RELEASE);
	} else {
		made->next = 0;
		claims->first = (uint32_t)place + 1;
	}
	file_claim((uint32_t)place, low, end);
}

void filter_begin(struct filter_claims *claims, struct ring *ring, uint64_t user_data)
{
	*claims = (struct filter_claims){ .ring = ring_index(ring), .user_data = user_data };
}

void filter_add(struct filter_claims *claims, uint64_t address, uint64_t length)
{
	uint64_t end = address + length;

	if (!filter || !address || !length || end < address || end > address_mask)
		return;
	if (!claims->n)
		claims->hash = hash_of(claims->ring, claims->user_data);
	if (claims->n++ < FILTER_RANGES) {
		claim(claims, address, end);
		return;
	}
	/* The many are one, with what lies between them. */
	if (!claims->rest_end || address < claims->rest_low)
		claims->rest_low = address;
	if (end > claims->rest_end)
		claims->rest_end = end;
}

void filter_end(struct filter_claims *claims)
{
	if (claims->rest_end)
		claim(claims, claims->rest_low, claims->rest_end);
	if (!claims->first)
		return;
	__atomic_store_n(tag_at(claims->first - 1), tag_of(claims->hash), __ATOMIC_RELEASE);
	if (!__atomic_load_n(&rings_table[claims->ring].claims, __ATOMIC_RELAXED))
		__atomic_store_n(&rings_table[claims->ring].claims, 1, __ATOMIC_RELEASE);
}

static void unmake(uint32_t place)
{
	do {
		struct claim gone = filter->claims[place];

		unfile_claim(place, gone.address & address_mask, gone.end);
		__atomic_store_n(tag_at(place), FREE, __ATOMIC_RELEASE);
		place = gone.next - 1;
	} while (place != UINT32_MAX);
}

static bool unmake_if(uint32_t place, uint32_t tag, uint32_t ring, uint64_t user_data)
{
	const struct claim *claim = &filter->claims[place];

	if (claim->user_data != user_data || claim->address >> 48 != ring ||
	    !__atomic_compare_exchange_n(tag_at(place), &tag, TAKEN, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	unmake(place);
	return true;
}

/* Of several with the same user_data any one: nobody could say which it was. */
void filter_done(struct ring *ring, uint64_t user_data)
{
	uint32_t index = ring_index(ring);
	uint64_t hash = hash_of(index, user_data);
	uint32_t tag = tag_of(hash);

	for (unsigned probe = 0; probe < __atomic_load_n(&probes, __ATOMIC_RELAXED); probe++) {
		uint32_t set = set_of(hash, probe);

		for (unsigned i = 0; i < WAYS; i++) {
			unsigned way = ((unsigned)(hash >> 40) + i) % WAYS;

			if (__atomic_load_n(&filter->tags[set][way], __ATOMIC_ACQUIRE) == tag &&
			    unmake_if(set * WAYS + way, tag, index, user_data))
				return;
		}
	}
}

void filter_drop(struct ring *ring)
{
	uint32_t index = ring_index(ring);

	if (!ring->claims)
		return;
	ring->claims = 0;
	for (uint32_t place = 0; place < SETS * WAYS; place++) {
		uint32_t tag = __atomic_load_n(tag_at(place), __ATOMIC_ACQUIRE);

		if (tag >= FIRST_TAG)
			unmake_if(place, tag, index, filter->claims[place].user_data);
	}
}

/* ---- questions ---- */

struct question {
	uint64_t low, end;
	const uint32_t *since;
};

static bool meets(const struct question *question, uint32_t place)
{
	const struct claim *claim = &filter->claims[place];

	if ((claim->address & address_mask) >= question->end || claim->end <= question->low)
		return false;
	return !question->since || (int32_t)(claim->born - *question->since) >= 0;
}

static bool in_bucket(const struct question *question, struct bucket *bucket)
{
	/* When the uncounted came, nobody knows. */
	if (__atomic_load_n(&bucket->overflow, __ATOMIC_RELAXED) && !question->since)
		return true;
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint32_t entry = __atomic_load_n(&bucket->entries[i], __ATOMIC_ACQUIRE);

		if (entry && meets(question, entry - 1))
			return true;
	}
	return false;
}

static bool at_mark(const struct question *question, uint32_t at)
{
	if (!__atomic_load_n(&filter->marks[at], __ATOMIC_RELAXED))
		return false;
	if (in_bucket(question, &filter->buckets[at]))
		return true;
	if (empty(&filter->buckets[at])) {
		/* Whoever files meanwhile marks after it has filed. */
		__atomic_store_n(&filter->marks[at], 0, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!empty(&filter->buckets[at]))
			__atomic_store_n(&filter->marks[at], 1, __ATOMIC_SEQ_CST);
	}
	return false;
}

static bool everywhere(const struct question *question, unsigned level)
{
	const uint64_t *words = (const uint64_t *)(filter->marks + levels[level].start);

	for (uint32_t i = 0; i < 1u << levels[level].bits; i += 8)
		if (words[i / 8])
			for (uint32_t k = 0; k < 8; k++)
				if (at_mark(question, levels[level].start + i + k))
					return true;
	return false;
}

static bool on_level(const struct question *question, unsigned level)
{
	uint64_t first = question->low >> levels[level].shift, last = (question->end - 1) >> levels[level].shift;

	if (last - first >= WALK)
		return everywhere(question, level);
	for (uint64_t g = first; g <= last; g++)
		if (at_mark(question, bucket_of(level, g)))
			return true;
	return false;
}

static bool registered(uint64_t low, uint64_t high)
{
	for (uint32_t i = 0; i < n_boxes; i++)
		if (boxes[i].low < high && low < boxes[i].high)
			return true;
	return crowded;
}

/* The bit is cleared as a mark is. */
static bool in_huge(const struct question *question)
{
	if (in_bucket(question, &filter->huge))
		return true;
	if (empty(&filter->huge)) {
		__atomic_fetch_and(&filter_used, ~(uint32_t)HUGE, __ATOMIC_SEQ_CST);
		if (!empty(&filter->huge))
			use(HUGE);
	}
	return false;
}

static bool in_flight(const struct question *question, uint32_t used)
{
	if (question->end <= question->low)
		return false;
	for (unsigned level = 0; level < LEVELS; level++)
		if (used & 1u << level && on_level(question, level))
			return true;
	return used & HUGE && in_huge(question);
}

bool filter_hit(uint64_t address, uint64_t length)
{
	struct question question = { address, address + length, NULL };
	uint32_t used = __atomic_load_n(&filter_used, __ATOMIC_RELAXED);

	if (!length)
		return false;
	return in_flight(&question, used) ||
	       (address < filter_registered_high && address + length > filter_registered_low &&
		registered(address, address + length));
}

bool filter_hit_since(uint64_t address, uint64_t length, uint32_t since)
{
	struct question question = { address, address + length, &since };

	return in_flight(&question, __atomic_load_n(&filter_used, __ATOMIC_RELAXED));
}

/* ---- registered memory ---- */

static bool touches(const struct box *box, uint64_t low, uint64_t high)
{
	return box->low <= high && low <= box->high;
}

/* What all intervals lie in. */
static void sum_up(void)
{
	uint64_t low = UINT64_MAX, high = 0;

	for (uint32_t i = 0; i < n_boxes; i++) {
		low = boxes[i].high && boxes[i].low < low ? boxes[i].low : low;
		high = boxes[i].high > high ? boxes[i].high : high;
	}
	filter_registered_low = crowded ? 0 : low;
	filter_registered_high = crowded ? UINT64_MAX : high;
}

static uint64_t gap(const struct box *box, uint64_t low, uint64_t high)
{
	return touches(box, low, high) ? 0 : box->low > high ? box->low - high : low - box->high;
}

/* The ring's interval that would grow least. */
static struct box *nearest(const struct ring *ring, uint64_t low, uint64_t high)
{
	struct box *best = NULL;

	for (uint32_t i = 0; i < BOXES; i++)
		if (boxes[i].ring == ring && (!best || gap(&boxes[i], low, high) < gap(best, low, high)))
			best = &boxes[i];
	return best;
}

static struct box *unused(const struct ring *ring)
{
	for (uint32_t i = 0; i < BOXES; i++) {
		const struct ring *none = NULL;

		if (!boxes[i].ring &&
		    __atomic_compare_exchange_n(&boxes[i].ring, &none, ring, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return &boxes[i];
	}
	return NULL;
}

static void count(const struct box *box)
{
	uint32_t n = (uint32_t)(box - boxes) + 1, now = __atomic_load_n(&n_boxes, __ATOMIC_RELAXED);

	while (now < n && !__atomic_compare_exchange_n(&n_boxes, &now, n, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

void filter_register(const struct ring *ring, uint64_t address, uint64_t length)
{
	uint64_t high = address + length;
	struct box *box = nearest(ring, address, high), *fresh;

	if (!address || !length || high < address)
		return;
	if (!box || !touches(box, address, high)) {
		fresh = unused(ring);
		if (fresh) {
			fresh->low = address;
			fresh->high = high;
			count(fresh);
			sum_up();
			return;
		}
	}
	if (!box) {
		crowded = true;
		sum_up();
		return;
	}
	box->low = box->low < address ? box->low : address;
	box->high = box->high > high ? box->high : high;
	sum_up();
}

void filter_unregister(const struct ring *ring)
{
	for (uint32_t i = 0; i < BOXES; i++)
		if (boxes[i].ring == ring) {
			boxes[i].low = boxes[i].high = 0;
			__atomic_store_n(&boxes[i].ring, NULL, __ATOMIC_RELEASE);
		}
	sum_up();
}
