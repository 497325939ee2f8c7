/* SPDX-License-Identifier: MIT */
/*
 * A request's way: staged when enter is called, in flight when the kernel took it (or queued when it did not), done at
 * its final completion, unknown where that may have gone by unseen. All open requests of a ring are in one list, oldest
 * first; those that a completion can name are also listed under their user_data.
 */
#include <string.h>

#include "model/inner.h"

void request_append(struct model_ring *ring, struct model_request *request)
{
	request->prev = ring->last;
	*(ring->last ? &ring->last->next : &ring->first) = request;
	ring->last = request;
	ring->n_open++;
	ring->n_staged++;
	if (!ring->staged_first)
		ring->staged_first = request;
}

struct model_request *model_same_user_data(struct model_ring *ring, uint64_t user_data)
{
	return map_get(&ring->by_user_data, user_data);
}

static int list(struct model_request *request)
{
	struct model_ring *ring = request->ring;
	struct model_request *first = model_same_user_data(ring, request->sqe.user_data), *last = first;

	request->same_next = request->same_prev = NULL;
	if (!first) {
		int r = map_put(&ring->by_user_data, request->sqe.user_data, request);

		request->listed = r == 0;
		return r;
	}
	if (first->ambiguous)
		request->ambiguous = true;
	/* Newest second: the oldest stays first, and nothing walks a long list. */
	request->same_next = last->same_next;
	request->same_prev = last;
	if (last->same_next)
		last->same_next->same_prev = request;
	last->same_next = request;
	request->listed = true;
	return 0;
}

static void unlist(struct model_request *request)
{
	struct model_ring *ring = request->ring;

	if (!request->listed)
		return;
	if (request->same_next)
		request->same_next->same_prev = request->same_prev;
	if (request->same_prev)
		request->same_prev->same_next = request->same_next;
	else if (request->same_next)
		(void)map_put(&ring->by_user_data, request->sqe.user_data, request->same_next); /* in place */
	else
		(void)map_remove(&ring->by_user_data, request->sqe.user_data);
	request->same_next = request->same_prev = NULL;
	request->listed = false;
}

/* ---- by file ---- */

static unsigned file_bucket(const struct model_object *object)
{
	uint64_t hash = (object->inode ^ object->device << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(hash >> 32) % MODEL_FILE_BUCKETS;
}

struct model_request *model_on_file(const struct model_request *request)
{
	return request->ring->by_file[file_bucket(&request->object)];
}

static void file_add(struct model_request *request)
{
	struct model_request **head = &request->ring->by_file[file_bucket(&request->object)];

	if (request->object.type == EVENT_FD_UNKNOWN || request->object.type == EVENT_FD_BAD)
		return;
	request->file_next = *head;
	if (*head)
		(*head)->file_prev = request;
	*head = request;
	request->on_file = true;
}

static void file_remove(struct model_request *request)
{
	if (!request->on_file)
		return;
	if (request->file_next)
		request->file_next->file_prev = request->file_prev;
	*(request->file_prev ? &request->file_prev->file_next
			     : &request->ring->by_file[file_bucket(&request->object)]) = request->file_next;
	request->on_file = false;
}

static void count(struct model_request *request, int by)
{
	struct model_ring *ring = request->ring;

	switch (request->state) {
	case REQUEST_STAGED:
		ring->n_staged += (uint32_t)by;
		break;
	case REQUEST_QUEUED:
		ring->n_queued += (uint32_t)by;
		break;
	case REQUEST_INFLIGHT:
		ring->n_inflight += (uint32_t)by;
		ring->n_multishot += request->multishot ? (uint32_t)by : 0;
		ring->n_drains += request->sqe.flags & URING_SQE_IO_DRAIN ? (uint32_t)by : 0;
		break;
	case REQUEST_UNKNOWN:
		ring->n_unknown += (uint32_t)by;
		break;
	default:
		break;
	}
}

static void enter_state(struct model_request *request, enum request_state state)
{
	struct model_ring *ring = request->ring;

	count(request, -1);
	if (request->state == REQUEST_STAGED && ring->staged_first == request) {
		struct model_request *next = request->next;

		while (next && next->state != REQUEST_STAGED)
			next = next->next;
		ring->staged_first = ring->n_staged ? next : NULL;
	}
	request->state = (uint8_t)state;
	count(request, 1);
}

static void remember_in_slot(const struct model_request *request)
{
	struct model_ring *ring = request->ring;

	if (!ring->shadow || request->slot >= ring->n_shadow)
		return;
	model_tag_put(ring, request->sqe.user_data, request->slot);
	ring->shadow[request->slot] = (struct model_slot_shadow){
		.sqe = request->sqe, .valid = true, .pid = request->process->pid, .stack = request->stack
	};
}

/* The completions of these are posted only on failure: a success goes by unseen. */
static bool success_is_silent(const struct model_request *request)
{
	return request->sqe.flags & URING_SQE_CQE_SKIP_SUCCESS;
}

void request_consume(const struct step *step, struct model_request *request)
{
	struct model_ring *ring = request->ring;

	enter_state(request, REQUEST_INFLIGHT);
	request->sq_kept = ring->sqpoll_kept;
	ring->n_submitted++;
	ring->last_submit_time = step->event->time;
	step->model->n_requests++;
	request->process->n_requests++;
	if (list(request) < 0)
		request->uncertain = true;
	file_add(request);
	cancel_requested(request);
	model_tell(step, MOMENT_CONSUMED, request);
	remember_in_slot(request);
	arguments_give_consumed(step->model, request);
	if (success_is_silent(request))
		request_unknown(request);
	else if (ranges_index_request(request) < 0)
		step->model->lost = true;
}

void request_leave(const struct step *step, struct model_request *request)
{
	enter_state(request, REQUEST_QUEUED);
	model_tell(step, MOMENT_LEFT, request);
	if (ranges_index_request(request) < 0)
		step->model->lost = true;
}

void request_unknown(struct model_request *request)
{
	if (request->state == REQUEST_UNKNOWN)
		return;
	enter_state(request, REQUEST_UNKNOWN);
	for (struct model_range *range = request->ranges; range; range = range->next)
		ranges_remove(&request->process->ranges, range);
}

void request_answered(struct model_request *request)
{
	if (!(request->op->traits & ABI_ZERO_COPY) || request->awaiting_notif)
		return;
	request->awaiting_notif = true;
	request->process->n_sending++;
}

void request_end(struct model *model, struct model_request *request)
{
	struct model_ring *ring = request->ring;

	enter_state(request, REQUEST_DONE);
	unlist(request);
	file_remove(request);
	chain_leave(request);
	*(request->prev ? &request->prev->next : &ring->first) = request->next;
	*(request->next ? &request->next->prev : &ring->last) = request->prev;
	ring->n_open--;
	request->process->n_sending -= request->awaiting_notif;
	arguments_give(model, request);
	pool_give(&model->requests, request);
}

void request_lost(const struct step *step, struct model_request *request)
{
	model_tell(step, MOMENT_ENDED, request);
	request_end(step->model, request);
}

void requests_lost_all(const struct step *step, struct model_ring *ring, const struct model_process *process)
{
	struct model_request *request, *next;

	for (request = ring->first; request; request = next) {
		next = request->next;
		if (!process || request->process == process)
			request_lost(step, request);
	}
}

void requests_trim_unknown(const struct step *step, struct model_ring *ring)
{
	struct model_request *request, *next;

	if (ring->n_unknown <= MODEL_UNKNOWN)
		return;
	for (request = ring->first; request && ring->n_unknown > MODEL_UNKNOWN / 2; request = next) {
		next = request->next;
		if (request->state == REQUEST_UNKNOWN)
			request_lost(step, request);
	}
}
