/* SPDX-License-Identifier: MIT */
/*
 * Calls of enter, in two phases: the call and the entries it may take, then its return with how many were taken.
 * Between the two, other threads may enter the same ring, and completions of what the call submitted may be seen. A
 * call that a signal handler jumped out of has no return: the submission queue's head at the next call tells what
 * became of its entries.
 */
#include <errno.h>
#include <string.h>

#include "model/inner.h"

/* Entries of calls that will not return are judged by the queue's head. */
static void settle_staged(struct step *step, uint32_t sq_head)
{
	struct model_request *request = step->ring->staged_first, *next;

	for (; request; request = next) {
		const struct model_thread *thread = model_thread_get(request->process, request->tid);

		next = request->next;
		if (request->state != REQUEST_STAGED)
			continue;
		if (thread && thread != step->thread && thread->in_enter == step->ring)
			continue;
		request->uncertain = true;
		if ((int32_t)(request->sq_index - sq_head) < 0)
			request_consume(step, request);
		else
			request_end(step->model, request);
	}
}

/* What an earlier call left and nobody was seen to take. */
static void settle_queued(struct step *step, uint32_t sq_head)
{
	struct model_ring *ring = step->ring;
	struct model_request *request, *prev;
	uint32_t n = ring->n_queued;

	for (request = ring->last; request && n; request = prev) {
		prev = request->prev;
		if (request->state != REQUEST_QUEUED)
			continue;
		n--;
		if ((int32_t)(request->sq_index - sq_head) < 0)
			request_unknown(request);
	}
}

static void note_state(struct model_ring *ring, const struct event_enter *enter)
{
	ring->sq_head = enter->sq_head;
	ring->sq_tail = enter->sq_tail;
	ring->cq_head = enter->cq_head;
	ring->cq_tail = enter->cq_tail;
	ring->sq_flags = enter->sq_flags;
}

int call_enter(struct step *step)
{
	const struct event_enter *enter = (const struct event_enter *)step->event;
	struct model_ring *ring = step->ring;

	if (!step->thread)
		return -ENOMEM;
	if (ring->n_staged)
		settle_staged(step, enter->sq_head);
	if (ring->n_queued)
		settle_queued(step, enter->sq_head);
	requests_trim_unknown(step, ring);
	note_state(ring, enter);
	ring->chain_open = NULL;
	ring->n_enters++;
	step->model->n_enters++;
	ring->last_enter_time = enter->h.time;
	step->thread->in_enter = ring;
	step->thread->enter = *enter;
	step->thread->enter.h.size = sizeof(*enter);
	step->thread->n_bounds = step->thread->n_staged = 0;
	model_tell(step, MOMENT_ENTER, NULL);
	return 0;
}

int call_bounds(struct step *step)
{
	struct model_thread *thread = step->thread;
	uint32_t room = sizeof(thread->bounds) / sizeof(thread->bounds[0]);

	if (thread && thread->n_bounds < room)
		thread->bounds[thread->n_bounds++] = *(const struct event_bounds *)step->event;
	return 0;
}

static void tell_bounds(struct step *step, struct model_request *request, uint32_t position)
{
	const struct event *submit = step->event;

	for (uint32_t i = 0; i < step->thread->n_bounds; i++) {
		if (step->thread->bounds[i].position != position)
			continue;
		step->event = &step->thread->bounds[i].h;
		model_tell(step, MOMENT_BOUNDS, request);
	}
	step->event = submit;
	step->thread->n_bounds = 0;
}

/*
 * An entry told of before: what a call left (it goes, but its identity is kept), or what two threads were about to
 * submit at once. True: ignore this one.
 */
static bool already_known(struct step *step, const struct event_submit *event, uint64_t *ret_seq)
{
	struct model_ring *ring = step->ring;
	struct model_request *request, *prev;
	uint32_t n = ring->n_queued;

	request = ring->n_staged > step->thread->n_staged ? ring->staged_first : NULL;
	for (; request; request = request->next)
		if (request->state == REQUEST_STAGED && request->sq_index == event->sq_index &&
		    request->call != step->thread->enter.call)
			return true;
	for (request = ring->last; request && n; request = prev) {
		prev = request->prev;
		if (request->state != REQUEST_QUEUED)
			continue;
		n--;
		if (request->sq_index != event->sq_index)
			continue;
		if (memcmp(&request->sqe, &event->sqe, sizeof(event->sqe)) == 0)
			*ret_seq = request->seq;
		request_end(step->model, request);
	}
	return false;
}

static void know_file(struct model_request *request)
{
	const struct model_ring *ring = request->ring;

	if (!(request->op->traits & (ABI_FD | ABI_FD_DIR)) || request->sqe.fd < 0)
		return;
	if (request->sqe.flags & URING_SQE_FIXED_FILE) {
		if ((uint32_t)request->sqe.fd < ring->n_slots && ring->slots[request->sqe.fd].used)
			request->object = ring->slots[request->sqe.fd].object;
		return;
	}
	request->fd = model_fd_get(request->process, request->sqe.fd);
	if (!request->fd)
		return;
	request->fd_generation = request->fd->generation;
	request->object = request->fd->object;
}

int model_refusal(const struct model_request *request, const char **ret_field)
{
	int r = abi_sqe_refused(&request->sqe, request->ring->setup_flags, 0, ret_field);

	if (r || !request->sqe.personality || request->ring->personalities)
		return r;
	if (ret_field)
		*ret_field = "personality, of which none is registered";
	return -EINVAL;
}

static struct model_request *stage(struct step *step, const struct event_submit *event)
{
	struct model_request *request = pool_take(&step->model->requests);

	if (!request)
		return NULL;
	model_tag_expect(step->ring, event->sqe.user_data);
	request->sqe = event->sqe;
	request->op = abi_op(event->sqe.opcode);
	request->ring = step->ring;
	request->process = step->process;
	request->tid = event->h.tid;
	request->stack = event->h.stack ? event->h.stack : step->thread->enter.h.stack;
	request->slot = event->slot;
	request->sq_index = event->sq_index;
	request->call = step->thread->enter.call;
	request->seq = event->h.seq;
	request->time = event->h.time;
	request->state = REQUEST_STAGED;
	request->multishot = abi_sqe_is_multishot(&event->sqe);
	request->uncertain = event->h.flags & EVENT_UNCERTAIN;
	request->event = event;
	request->refused = model_refusal(request, NULL) != 0;
	know_file(request);
	return request;
}

int call_submit(struct step *step)
{
	const struct event_submit *event = (const struct event_submit *)step->event;
	struct model_ring *ring = step->ring;
	struct model_request *request;
	uint64_t seq = event->h.seq;
	int r;

	if (!step->thread || step->thread->in_enter != ring)
		return -EBADMSG;
	if ((ring->n_staged || ring->n_queued) && already_known(step, event, &seq))
		return 0;
	request = stage(step, event);
	if (!request)
		return -ENOMEM;
	request->seq = seq;
	r = arguments_ranges(step->model, request, event);
	request_append(ring, request);
	step->thread->n_staged++;
	chain_add(ring, request);
	model_tell(step, MOMENT_SUBMIT, request);
	if (step->thread->n_bounds)
		tell_bounds(step, request, event->position);
	request->event = NULL;
	return r;
}

static void settle_call(struct step *step, const struct event_enter_return *end)
{
	struct model_request *request = step->ring->staged_first, *next;
	uint32_t left = end->consumed;

	for (; request; request = next) {
		next = request->next;
		if (request->state != REQUEST_STAGED || request->call != end->call || request->process != step->process)
			continue;
		if (left) {
			if (end->consumed == UINT32_MAX)
				request->uncertain = true;
			else
				left--;
			request_consume(step, request);
		} else {
			request_leave(step, request);
		}
	}
	step->ring->chain_open = NULL;
}

/* How many of the call's entries a completion has shown to be taken before the return was told. */
static uint32_t taken_early(const struct step *step, const struct event_enter_return *end)
{
	uint32_t n_staged = 0;

	for (const struct model_request *request = step->ring->staged_first; request; request = request->next)
		n_staged += request->state == REQUEST_STAGED && request->call == end->call;
	return step->thread->enter.n_submit > n_staged ? step->thread->enter.n_submit - n_staged : 0;
}

int call_return(struct step *step)
{
	struct event_enter_return end = *(const struct event_enter_return *)step->event;
	struct model_thread *thread = step->thread;
	struct model_ring *ring = step->ring;
	uint32_t early;

	if (!thread || thread->in_enter != ring || thread->enter.call != end.call)
		return -EBADMSG;
	thread->in_enter = NULL;
	ring->sq_head = end.sq_head;
	ring->sq_tail = end.sq_tail;
	ring->cq_head = end.cq_head;
	ring->cq_tail = end.cq_tail;
	ring->sq_flags = end.sq_flags;
	model_tell(step, MOMENT_CALL, NULL);
	if (!ring->n_staged)
		return 0;
	early = taken_early(step, &end);
	if (end.consumed != UINT32_MAX)
		end.consumed -= early < end.consumed ? early : end.consumed;
	settle_call(step, &end);
	return 0;
}
