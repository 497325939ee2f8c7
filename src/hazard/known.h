/* SPDX-License-Identifier: MIT */
/* Questions that several rules ask of the model. They answer "no" wherever it is not certain. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/op.h"
#include "model/model.h"

/* Whether what this moment and the model say may be used to accuse. */
static inline bool known_sure(const struct model *model, const struct moment *moment)
{
	return !moment->uncertain && !model->lost;
}

/* Completions that did not fit into the ring lie in the kernel: a request without one may have ended all the same. */
static inline bool known_hides_ends(const struct model_ring *ring)
{
	return ring->sq_flags & URING_SQ_CQ_OVERFLOW;
}

/* In flight, and nobody else can be meant. */
static inline bool known_inflight(const struct model_request *request)
{
	return request->state == REQUEST_INFLIGHT && !request->ambiguous && !request->uncertain &&
	       !request->cancel_requested && !request->awaiting_notif && !request->sq_kept &&
	       !known_hides_ends(request->ring);
}

/* Both go to the same open file. */
static inline bool known_same_file(const struct model_request *a, const struct model_request *b)
{
	if (a->object.type == EVENT_FD_UNKNOWN || a->object.type != b->object.type)
		return false;
	if (a->fd && a->fd == b->fd)
		return a->fd_generation == b->fd_generation;
	return a->object.inode && a->object.inode == b->object.inode && a->object.device == b->object.device;
}

/* The chain or a drain keeps the second from starting before the first has ended. */
static inline bool known_ordered(const struct model_request *first, const struct model_request *second)
{
	if (second->sqe.flags & URING_SQE_IO_DRAIN)
		return true;
	return first->chain && first->chain == second->chain;
}

static inline bool known_trait(const struct model_request *request, uint32_t trait)
{
	return request->op && (request->op->traits & trait);
}

/* MOMENT_COMPLETE: it is this request's last completion, and may be used to accuse. */
static inline bool known_end(const struct model *model, const struct moment *moment)
{
	return moment->request && moment->certain && moment->final && known_sure(model, moment) &&
	       !moment->request->uncertain;
}

static inline int32_t known_result(const struct moment *moment)
{
	return ((const struct event_complete *)moment->event)->cqe.res;
}

/* A failure of this request cancels what is linked behind it. */
static inline bool known_soft_link(const struct model_request *request)
{
	return (request->sqe.flags & URING_SQE_IO_LINK) && !(request->sqe.flags & URING_SQE_IO_HARDLINK);
}

/* The member of its chain that the kernel refuses, which cancels all of it; NULL = none. */
static inline struct model_request *known_refused_member(struct model_request *request)
{
	while (request->chain_prev)
		request = request->chain_prev;
	while (request && !request->refused)
		request = request->chain_next;
	return request;
}

/* A request of another ring posts completions as well: how many can come here depends on those too. */
static inline bool known_others_post(const struct model *model, const struct model_ring *ring)
{
	MAP_FOR_EACH(&model->rings, entry)
	{
		const struct model_ring *other = entry->value;

		for (const struct model_request *request = other->first; other != ring && request;
		     request = request->next)
			if (request->sqe.opcode == URING_OP_MSG_RING)
				return true;
	}
	return false;
}
