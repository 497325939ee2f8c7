/* SPDX-License-Identifier: MIT */
#include "report/places.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "report/common.h"

enum { TOP_FRAMES = 3 };

struct place {
	struct finding finding;
	bool counted;
};

struct places {
	struct stacks *stacks;
	struct map by_hash; /* hash -> struct place */
	struct finding **list;
	size_t n;
};

struct places *places_new(struct stacks *stacks)
{
	struct places *places = calloc(1, sizeof *places);

	if (places)
		places->stacks = stacks;
	return places;
}

struct places *places_free(struct places *places)
{
	if (!places)
		return NULL;
	for (size_t i = 0; i < places->n; i++)
		free(places->list[i]);
	free(places->list);
	map_deinit(&places->by_hash);
	free(places);
	return NULL;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
	for (; text && *text; text++)
		hash = mix(hash, (unsigned char)*text);
	return mix(hash, text != NULL);
}

static uint64_t mix_frame(uint64_t hash, const struct stack_frame *frame)
{
	if (!frame->file)
		return mix(mix_text(hash, frame->module), frame->offset);
	return mix(mix_text(mix_text(hash, frame->name), frame->file), (uint64_t)frame->line);
}

static uint64_t mix_stack(uint64_t hash, const struct stack *stack)
{
	size_t first = common_user_frame(stack), n = common_frames(stack);

	for (size_t i = first; i < n && i < first + TOP_FRAMES; i++)
		hash = mix_frame(hash, &stack->frames[i]);
	return hash;
}

static uint64_t place_hash(struct places *places, const struct finding *finding)
{
	const struct finding_stack *first = &finding->stacks[0];
	const struct stack *stack = stacks_symbolize(places->stacks, first->pid, first->stack);
	uint64_t hash = mix((uintptr_t)finding->hazard, finding->has_sqe ? finding->sqe.opcode + 1u : 0);

	if (stack)
		return mix_stack(hash, stack);
	/* Without a stack there is no place to compare. Not even the process is the same one. */
	return mix(mix(hash, finding->pid), (uint64_t)finding->ring << 32 | first->stack);
}

static int append(struct places *places, struct place *place)
{
	struct finding **list = realloc(places->list, (places->n + 1) * sizeof *list);

	if (!list)
		return -ENOMEM;
	places->list = list;
	list[places->n++] = &place->finding;
	return 0;
}

int places_add(struct places *places, const struct finding *finding)
{
	uint64_t hash = place_hash(places, finding);
	struct place *place = map_get(&places->by_hash, hash);

	if (place) {
		place->finding.count += finding->count ? finding->count : 1;
		return PLACES_KNOWN;
	}
	place = calloc(1, sizeof *place);
	if (!place)
		return -ENOMEM;
	place->finding = *finding;
	if (map_put(&places->by_hash, hash, place) < 0)
		return free(place), -ENOMEM;
	if (append(places, place) < 0) {
		free(map_remove(&places->by_hash, hash));
		return -ENOMEM;
	}
	return PLACES_NEW;
}

void places_count(struct places *places, const struct finding *finding)
{
	struct place *place = map_get(&places->by_hash, place_hash(places, finding));

	if (!place)
		return;
	place->finding.count = (place->counted ? place->finding.count : 0) + finding->count;
	place->counted = true;
}

const struct finding *const *places_list(const struct places *places, size_t *ret_n)
{
	*ret_n = places->n;
	return (const struct finding *const *)places->list;
}
