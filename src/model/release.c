/* SPDX-License-Identifier: MIT */
/* Memory that goes away while somebody may still use it. */
#include "model/inner.h"

static bool mark_released(void *context, struct model_range *range)
{
	range->released = true;
	return true;
}

/* Freed heap memory stays mapped, and registered pages with it: only what changes the mapping makes a registration stale. */
static bool changes_mapping(uint32_t how)
{
	return how == EVENT_MUNMAP || how == EVENT_MREMAP || how == EVENT_MMAP_FIXED || how == EVENT_MADVISE ||
	       how == EVENT_SHMDT;
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

int memory_released(struct step *step)
{
	const struct event_release *event = (const struct event_release *)step->event;

	model_tell(step, MOMENT_RELEASE, NULL);
	model_overlaps(step->process, event->address, event->length, mark_released, NULL);
	if (!changes_mapping(event->how))
		return 0;
	MAP_FOR_EACH(&step->model->rings, entry)
	{
		struct model_ring *ring = entry->value;

		if (ring->process == step->process)
			mark_stale(ring, event);
	}
	return 0;
}
