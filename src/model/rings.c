/* SPDX-License-Identifier: MIT */
/* Rings: from a successful setup to the close of their last descriptor. */
#include <errno.h>
#include <stdlib.h>

#include "model/inner.h"

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

static int sizes_of(struct model_ring *ring, const struct event_setup *event)
{
	uint32_t sq = event->params.sq_entries, cq = event->params.cq_entries;

	if (!is_power_of_two(sq) || !is_power_of_two(cq) || sq > URING_SETUP_MAX_SQ || cq > 2 * URING_SETUP_MAX_CQ)
		return -EBADMSG;
	ring->sq_entries = sq;
	ring->cq_entries = cq;
	ring->params = event->params;
	return 0;
}

static void shadow_renew(struct model *model, struct model_ring *ring)
{
	model_give_bytes(model, ring->shadow, ring->n_shadow, sizeof(*ring->shadow));
	ring->shadow = model_take_bytes(model, ring->sq_entries, sizeof(*ring->shadow));
	ring->n_shadow = ring->shadow ? ring->sq_entries : 0;
	model_give_bytes(model, ring->tags, MODEL_TAGS, sizeof(*ring->tags));
	ring->tags = model_take_bytes(model, MODEL_TAGS, sizeof(*ring->tags));
}

static int ring_new(struct step *step, const struct event_setup *event)
{
	struct model *model = step->model;
	struct model_ring *ring;
	int r;

	if (!event->h.ring || map_get(&model->rings, event->h.ring))
		return -EBADMSG;
	if (model->rings.n_used >= MODEL_RINGS)
		return -ENOMEM;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	r = sizes_of(ring, event);
	if (r == 0)
		r = map_put(&model->rings, event->h.ring, ring);
	if (r < 0) {
		free(ring);
		return r;
	}
	ring->id = event->h.ring;
	ring->fd = event->result;
	ring->creator_pid = event->h.pid;
	ring->creator_tid = event->h.tid;
	ring->setup_flags = event->asked_flags;
	ring->sqpoll_emulated = event->emulated & URING_SETUP_SQPOLL;
	ring->sqpoll_kept = event->ring_is_sqpoll_kept;
	ring->disabled = event->asked_flags & URING_SETUP_R_DISABLED;
	ring->submitter_tid = ring->disabled ? 0 : event->h.tid;
	ring->setup_stack = event->h.stack;
	ring->setup_time = event->h.time;
	ring->process = step->process;
	shadow_renew(model, ring);
	model->n_rings++;
	step->ring = ring;
	return 0;
}

int ring_setup(struct step *step)
{
	const struct event_setup *event = (const struct event_setup *)step->event;
	int r;

	step->ring = NULL;
	step->process->setup_error = event->result < 0 ? event->result : 0;
	step->process->setup_error_stack = event->h.stack;
	if (event->result >= 0) {
		r = ring_new(step, event);
		if (r < 0)
			return r;
	}
	model_tell(step, MOMENT_RING_SETUP, NULL);
	return 0;
}

int ring_resized(struct step *step)
{
	const struct event_setup *event = (const struct event_setup *)step->event;
	int r;

	if (event->result < 0)
		return 0;
	r = sizes_of(step->ring, event);
	if (r == 0)
		shadow_renew(step->model, step->ring);
	return r;
}

int ring_unmapped(struct step *step)
{
	/* A forked child that unmaps its copy takes nothing away from the others. */
	if (step->process != step->ring->process && !step->ring->process->exited)
		return 0;
	model_tell(step, MOMENT_RING_UNMAPPED, NULL);
	step->ring->unmapped = true;
	return 0;
}

/* Whether another living process still holds it: the creator, or children it has forked. */
static bool is_shared(const struct step *step)
{
	const struct model_process *creator = step->ring->process;

	return step->process == creator ? creator->n_children > 0 : !creator->exited;
}

int ring_closed(struct step *step)
{
	if (is_shared(step))
		return 0;
	model_tell(step, MOMENT_RING_CLOSED, NULL);
	step->ring->closed = true;
	ring_drop(step, step->ring);
	step->ring = NULL;
	return 0;
}

int ring_overflow(struct step *step)
{
	step->ring->sq_flags |= URING_SQ_CQ_OVERFLOW;
	model_tell(step, MOMENT_OVERFLOW, NULL);
	return 0;
}

int ring_lost(struct step *step)
{
	step->ring->lost = true;
	for (struct model_request *request = step->ring->first; request; request = request->next)
		if (request->state == REQUEST_INFLIGHT)
			request_unknown(request);
	model_tell(step, MOMENT_CQ_LOST, NULL);
	return 0;
}

static void no_longer_entered(struct model *model, const struct model_ring *ring)
{
	MAP_FOR_EACH(&model->processes, process_entry)
	{
		struct model_process *process = process_entry->value;

		MAP_FOR_EACH(&process->threads, thread_entry)
		{
			struct model_thread *thread = thread_entry->value;

			if (thread->in_enter == ring)
				thread->in_enter = NULL;
		}
	}
}

void ring_deinit(struct model *model, struct model_ring *ring)
{
	MAP_FOR_EACH(&ring->groups, entry)
	{
		pbuf_group_deinit(model, entry->value);
	}
	map_deinit(&ring->groups);
	map_deinit(&ring->by_user_data);
	model_give_bytes(model, ring->shadow, ring->n_shadow, sizeof(*ring->shadow));
	model_give_bytes(model, ring->tags, MODEL_TAGS, sizeof(*ring->tags));
	model_give_bytes(model, ring->buffers, ring->n_buffers, sizeof(*ring->buffers));
	model_give_bytes(model, ring->slots, ring->n_slots, sizeof(*ring->slots));
	free(ring);
}

void ring_drop(struct step *step, struct model_ring *ring)
{
	struct step of_ring = { step->model, step->event, step->process, step->thread, ring };

	requests_lost_all(&of_ring, ring, NULL);
	no_longer_entered(step->model, ring);
	(void)map_remove(&step->model->rings, ring->id);
	ring_deinit(step->model, ring);
}
