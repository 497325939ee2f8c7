/* SPDX-License-Identifier: MIT */
#include "model/inner.h"

/* 0 is no tag: it is what an entry of a new ring carries when nobody set it. */
static struct model_tag *tag_of(const struct model_ring *ring, uint64_t user_data)
{
	return ring->tags && user_data ? &ring->tags[user_data * UINT64_C(0x9e3779b97f4a7c15) >> 52] : NULL;
}
_Static_assert(MODEL_TAGS == 1 << (64 - 52), "the hash's upper bits are the index");

void model_tag_expect(const struct model_ring *ring, uint64_t user_data)
{
	__builtin_prefetch(tag_of(ring, user_data), 1);
}

bool model_tag_elsewhere(const struct model_ring *ring, uint64_t user_data, uint32_t slot)
{
	const struct model_tag *tag = tag_of(ring, user_data);

	return tag && tag->user_data == user_data && tag->slot_plus_one && tag->slot_plus_one != slot + 1;
}

void model_tag_put(struct model_ring *ring, uint64_t user_data, uint32_t slot)
{
	struct model_tag *tag = tag_of(ring, user_data);

	if (!tag)
		return;
	ring->tags_reused |= model_tag_elsewhere(ring, user_data, slot);
	*tag = (struct model_tag){ user_data, slot + 1 };
}
