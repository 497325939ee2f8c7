/* SPDX-License-Identifier: MIT */
/* Memory that goes away while somebody may still use it. */
#include "model/inner.h"

static bool mark_released(void *context, struct model_range *range)
{
	range->released = true;
	return true;
}

/*
 * A registration holds pages. What changes the mapping leaves it with others than the program sees; what frees the memory leaves it with pages
 * that somebody else is given. Stacks come back by themselves.
 */
static bool makes_stale(uint32_t how)
{
	return how != EVENT_FRAME && how != EVENT_THREAD_STACK;
}

static bool shares_bytes(const struct model_buffer *buffer, const struct event_release *event)
{
	if (!buffer->address)
		return false;
	if (buffer->address <= event->address)
		return event->address - buffer->address < buffer->length;
	return buffer->address - event->address < event->length;
}

static void mark_stale(struct model_ring *ring, const struct event_release *event)
{
	for (uint32_t i = 0; i < ring->n_buffers; i++) {
		struct model_buffer *buffer = &ring->buffers[i];

		if (buffer->stale || !shares_bytes(buffer, event))
			continue;
		buffer->stale = true;
		buffer->stale_how = event->how;
		buffer->stale_stack = event->h.stack;
	}
}

int release_told(struct step *step)
{
	const struct event_release *event = (const struct event_release *)step->event;

	model_tell(step, MOMENT_RELEASE, NULL);
	model_overlaps(step->process, event->address, event->length, mark_released, NULL);
	if (!makes_stale(event->how))
		return 0;
	MAP_FOR_EACH(&step->model->rings, entry)
	{
		struct model_ring *ring = entry->value;

		if (ring->process == step->process)
			mark_stale(ring, event);
	}
	return 0;
}
