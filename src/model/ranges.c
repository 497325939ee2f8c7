/* SPDX-License-Identifier: MIT */
/*
 * Ranges of memory by address.
 *
 * One hash table of buckets. Each range is filed at the level whose granule is at least as long as itself (4 KiB, 64
 * KiB, 2 MiB, 1 GiB, everything), so it touches two granules at most and its two links lie in the range itself: filing
 * touches no heap. A question walks the granules it covers at each level in use, or all ranges where that is less work.
 */
#include <errno.h>
#include <stdlib.h>

#include "model/inner.h"

static const uint8_t level_shift[MODEL_RANGE_LEVELS] = { 12, 16, 21, 30, 63 };

static unsigned level_of(uint64_t length)
{
	unsigned level = 0;

	while (level < MODEL_RANGE_LEVELS - 1 && length > UINT64_C(1) << level_shift[level])
		level++;
	return level;
}

static uint64_t last_byte(uint64_t address, uint64_t length)
{
	return length - 1 > UINT64_MAX - address ? UINT64_MAX : address + length - 1;
}

static uint32_t bucket_of(const struct model_ranges *ranges, unsigned level, uint64_t granule)
{
	uint64_t hash = (granule * MODEL_RANGE_LEVELS + level) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(hash >> 32) & (ranges->n_buckets - 1);
}

static void link_push(struct model_ranges *ranges, struct model_range_link *link, uint32_t bucket)
{
	struct model_range_link **head = &ranges->buckets[bucket];

	link->next = *head;
	link->back = head;
	if (*head)
		(*head)->back = &link->next;
	*head = link;
}

static void link_pull(struct model_range_link *link)
{
	*link->back = link->next;
	if (link->next)
		link->next->back = link->back;
}

static uint64_t granule_of_link(const struct model_range_link *link)
{
	const struct model_range *range = link->range;
	unsigned shift = level_shift[level_of(range->length)];

	return link == &range->links[0] ? range->address >> shift : last_byte(range->address, range->length) >> shift;
}

static int grow(struct model_ranges *ranges)
{
	struct model_ranges old = *ranges;

	ranges->n_buckets = old.n_buckets ? old.n_buckets * 2 : 256;
	ranges->buckets = calloc(ranges->n_buckets, sizeof(struct model_range_link *));
	if (!ranges->buckets) {
		*ranges = old;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < old.n_buckets; i++)
		for (struct model_range_link *link = old.buckets[i], *next; link; link = next) {
			next = link->next;
			link_push(ranges, link,
				  bucket_of(ranges, level_of(link->range->length), granule_of_link(link)));
		}
	free(old.buckets);
	return 0;
}

static int add(struct model_ranges *ranges, struct model_range *range)
{
	unsigned level = level_of(range->length);
	uint64_t first, last;

	if (!range->length || range->indexed)
		return 0;
	if (ranges->n_links + 2 > ranges->n_buckets && grow(ranges) < 0)
		return -ENOMEM;
	first = range->address >> level_shift[level];
	last = last_byte(range->address, range->length) >> level_shift[level];
	range->links[0].range = range->links[1].range = range;
	range->links[1].back = NULL;
	link_push(ranges, &range->links[0], bucket_of(ranges, level, first));
	ranges->n_links++;
	if (last != first) {
		link_push(ranges, &range->links[1], bucket_of(ranges, level, last));
		ranges->n_links++;
	}
	ranges->n_level[level]++;
	range->indexed = true;
	return 0;
}

void ranges_remove(struct model_ranges *ranges, struct model_range *range)
{
	if (!range->indexed)
		return;
	link_pull(&range->links[0]);
	ranges->n_links--;
	if (range->links[1].back) {
		link_pull(&range->links[1]);
		ranges->n_links--;
	}
	ranges->n_level[level_of(range->length)]--;
	range->indexed = false;
}

void ranges_deinit(struct model_ranges *ranges)
{
	free(ranges->buckets);
	*ranges = (struct model_ranges){ 0 };
}

int ranges_index_request(struct model_request *request)
{
	for (struct model_range *range = request->ranges; range; range = range->next)
		if (add(&request->process->ranges, range) < 0)
			return -ENOMEM;
	return 0;
}

struct question {
	uint64_t first, last;
	model_range_visitor *each;
	void *context;
};

static bool overlaps(const struct model_range *range, const struct question *question)
{
	return range->address <= question->last && last_byte(range->address, range->length) >= question->first;
}

/* Every range of one level, each once, by its first link. */
static bool walk_all(const struct model_ranges *ranges, unsigned level, const struct question *question)
{
	for (uint32_t i = 0; i < ranges->n_buckets; i++)
		for (struct model_range_link *link = ranges->buckets[i]; link; link = link->next)
			if (link == &link->range->links[0] && level_of(link->range->length) == level &&
			    overlaps(link->range, question) && !question->each(question->context, link->range))
				return false;
	return true;
}

/* A range in two of the granules asked for is met at the first of them only. */
static bool walk_granule(const struct model_ranges *ranges, unsigned level, uint64_t granule,
			 const struct question *question)
{
	unsigned shift = level_shift[level];

	for (struct model_range_link *link = ranges->buckets[bucket_of(ranges, level, granule)]; link;
	     link = link->next) {
		struct model_range *range = link->range;

		if (level_of(range->length) != level || granule_of_link(link) != granule || !overlaps(range, question))
			continue;
		if (link == &range->links[1] && range->address >> shift >= question->first >> shift)
			continue;
		if (!question->each(question->context, range))
			return false;
	}
	return true;
}

static bool walk_level(const struct model_ranges *ranges, unsigned level, const struct question *question)
{
	uint64_t first = question->first >> level_shift[level], last = question->last >> level_shift[level];

	if (last - first >= ranges->n_buckets)
		return walk_all(ranges, level, question);
	for (uint64_t granule = first;; granule++) {
		if (!walk_granule(ranges, level, granule, question))
			return false;
		if (granule == last)
			return true;
	}
}

void model_overlaps(struct model_process *process, uint64_t address, uint64_t length, model_range_visitor *each,
		    void *context)
{
	struct question question = { address, 0, each, context };

	if (!length || !process->ranges.n_links)
		return;
	question.last = last_byte(address, length);
	for (unsigned level = 0; level < MODEL_RANGE_LEVELS; level++)
		if (process->ranges.n_level[level] && !walk_level(&process->ranges, level, &question))
			return;
}
