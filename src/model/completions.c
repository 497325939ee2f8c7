/* SPDX-License-Identifier: MIT */
/*
 * Whose completion is it? A CQE names (ring, user_data) and no more. Where several requests share both, what the CQE's flags rule out is left
 * aside; if more than one is left, the oldest is taken to have ended and all are ambiguous until none of them is left.
 */
#include "model/inner.h"

static bool could_be(const struct model_request *request, const struct uring_cqe *cqe)
{
	bool zero_copy = request->op->traits & ABI_ZERO_COPY;

	if (cqe->flags & URING_CQE_F_NOTIF)
		return zero_copy && request->awaiting_notif;
	if (request->awaiting_notif)
		return false;
	if ((cqe->flags & URING_CQE_F_MORE) && !zero_copy && !request->multishot)
		return false;
	return !(cqe->flags & URING_CQE_F_BUFFER) || (request->sqe.flags & URING_SQE_BUFFER_SELECT);
}

/* The one it must be, or the oldest that it may be with *ret_sole false. */
static struct model_request *candidate(struct model_request *first, const struct uring_cqe *cqe, bool *ret_sole)
{
	struct model_request *found = NULL;
	uint32_t n = 0;

	for (struct model_request *request = first; request; request = request->same_next) {
		if (!could_be(request, cqe))
			continue;
		/* Behind the first they are listed newest first. */
		if (!found || found == first || request->seq < found->seq)
			found = found == first ? first : request;
		if (++n > 1 && first->ambiguous)
			break;
	}
	*ret_sole = n == 1;
	return found;
}

/* Seen before its call has returned: it and what stood before it in the call have been taken. */
static struct model_request *staged_candidate(struct step *step, const struct uring_cqe *cqe)
{
	struct model_request *request = step->ring->staged_first, *found, *next;

	while (request && (request->state != REQUEST_STAGED || request->sqe.user_data != cqe->user_data))
		request = request->next;
	found = request;
	for (request = step->ring->staged_first; found && request; request = next) {
		bool last = request == found;

		next = request->next;
		if (request->state == REQUEST_STAGED && request->call == found->call)
			request_consume(step, request);
		if (last)
			break;
	}
	return found;
}

static struct model_request *whose(struct step *step, const struct uring_cqe *cqe, bool *ret_certain)
{
	struct model_request *first = model_same_user_data(step->ring, cqe->user_data), *found = NULL;
	bool sole = true;

	if (first)
		found = candidate(first, cqe, &sole);
	if (!found && step->ring->n_staged) {
		found = staged_candidate(step, cqe);
		sole = found && !found->same_next && !found->same_prev;
	}
	if (!found)
		return NULL;
	if (!sole)
		for (first = model_same_user_data(step->ring, cqe->user_data); first; first = first->same_next)
			first->ambiguous = true;
	*ret_certain = !found->ambiguous && !found->uncertain && !step->ring->lost;
	return found;
}

static void note_failed_slot(const struct model_request *request)
{
	struct model_ring *ring = request->ring;

	if (ring->shadow && request->slot < ring->n_shadow &&
	    ring->shadow[request->slot].sqe.user_data == request->sqe.user_data)
		ring->shadow[request->slot].failed = true;
}

/* What a successful request did to the tables of descriptors. */
static void apply_success(struct step *step, const struct model_request *request, int32_t result)
{
	const struct uring_sqe *sqe = &request->sqe;
	const struct model_object unknown = { .type = EVENT_FD_UNKNOWN };

	if (sqe->opcode == URING_OP_CLOSE) {
		if (sqe->file_index)
			register_slot(request->ring, sqe->file_index - 1, false, &unknown, -1);
		else
			fd_close_number(request->process, sqe->fd);
	} else if ((request->op->traits & ABI_MAKES_FD) && sqe->file_index) {
		uint32_t slot = sqe->file_index == URING_FILE_INDEX_ALLOC ? (uint32_t)result : sqe->file_index - 1;

		register_slot(request->ring, slot, true, &unknown, -1);
	} else if (sqe->opcode == URING_OP_FILES_UPDATE) {
		for (int32_t i = 0; i < result && i < MODEL_SLOTS; i++)
			register_slot(request->ring, (uint32_t)sqe->off + (uint32_t)i, true, &unknown, -1);
	}
}

/* A member that has ended was preceded by those whose success is silent. */
static void end_silent_before(struct step *step, struct model_request *request)
{
	while (request->chain_prev && request->chain_prev->state == REQUEST_UNKNOWN)
		request_lost(step, request->chain_prev);
}

static void finish(struct step *step, struct model_request *request, int32_t result)
{
	struct model *model = step->model;

	if (result >= 0)
		apply_success(step, request, result);
	else
		note_failed_slot(request);
	cancel_answered(request);
	chain_settle(request, result);
	end_silent_before(step, request);
	request_end(model, request);
}

int completion_seen(struct step *step)
{
	const struct event_complete *event = (const struct event_complete *)step->event;
	struct model_ring *ring = step->ring;
	bool certain = false, final = !(event->cqe.flags & URING_CQE_F_MORE);
	struct model_request *request = whose(step, &event->cqe, &certain);

	step->model->n_completions++;
	ring->n_completed++;
	model_tell_completion(step, request, final, certain);
	pbufs_completed(step->model, request, &event->cqe);
	if (!request)
		return 0;
	request->n_cqes++;
	request->result = event->cqe.res;
	if (!final)
		request_answered(request);
	else
		finish(step, request, event->cqe.flags & URING_CQE_F_NOTIF ? 0 : event->cqe.res);
	return 0;
}
