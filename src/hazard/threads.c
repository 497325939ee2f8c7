/* SPDX-License-Identifier: MIT */
/* Who may use a ring, and what happens to requests when their thread or process goes. */
#include <errno.h>

#include "abi/op.h"
#include "base/map.h"
#include "hazard/hazard.h"
#include "hazard/known.h"

static bool sure(struct hazard_context *context, const struct moment *moment)
{
	return !moment->uncertain && !hazard_model(context)->lost;
}

/* The first request that the refused call should have submitted: the line to look at. */
static const struct model_request *refused_request(const struct moment *moment)
{
	const struct model_request *request;

	for (request = moment->ring->first; request; request = request->next)
		if (request->tid == moment->event->tid &&
		    (request->state == REQUEST_STAGED || request->state == REQUEST_QUEUED))
			return request;
	return NULL;
}

static void look_issuer(struct hazard_context *context, const struct moment *moment)
{
	const struct model_ring *ring = moment->ring;
	struct finding *finding;
	bool is_call = moment->kind == MOMENT_CALL;
	int result;

	if (!sure(context, moment) || !ring || !(ring->setup_flags & URING_SETUP_SINGLE_ISSUER) || ring->disabled)
		return;
	result = is_call ? ((const struct event_enter_return *)moment->event)->result
			 : ((const struct event_register *)moment->event)->result;
	if (result != -EEXIST || !ring->submitter_tid || moment->event->tid == ring->submitter_tid)
		return;
	finding = hazard_finding(context, moment, is_call ? refused_request(moment) : NULL);
	hazard_message(finding,
		       "thread %u may not %s this ring: it belongs to thread %u (IORING_SETUP_SINGLE_ISSUER): -EEXIST",
		       moment->event->tid, is_call ? "enter" : "register with", ring->submitter_tid);
	if (moment->event->stack)
		hazard_stack(finding, "refused here", moment->event->pid, moment->event->stack);
	hazard_stack(finding, "ring set up by", ring->creator_pid, ring->setup_stack);
	hazard_report(context, finding);
}

const struct hazard hazard_single_issuer_violation = {
	.name = "single-issuer-violation",
	.family = "threads",
	.level = HAZARD_ERROR,
	.why = "A SINGLE_ISSUER ring takes calls from one thread only; others get -EEXIST and their entries stay "
	       "queued.",
	.fix = "Use the ring in its thread only, or set it up with R_DISABLED and enable it in the thread that will "
	       "use it.",
	.wants = HAZARD_WANTS(CALL) | HAZARD_WANTS(REGISTER),
	.needs = SOURCE_SQES | SOURCE_THREADS,
	.look = look_issuer,
};

/* Waits for an event in the name of its thread: the kernel cancels it when the event comes after the thread's end. */
static bool dies_with_thread(const struct model_request *request, uint32_t tid)
{
	if (request->tid != tid || request->state != REQUEST_INFLIGHT || request->ambiguous || request->uncertain ||
	    !request->op || request->cancel_requested || request->awaiting_notif || known_hides_ends(request->ring))
		return false;
	switch (request->sqe.opcode) {
	case URING_OP_TIMEOUT:
	case URING_OP_ASYNC_CANCEL:
		return false;
	case URING_OP_POLL_ADD:
		return true;
	default:
		break;
	}
	switch (request->object.type) {
	case EVENT_FD_PIPE:
	case EVENT_FD_STREAM:
	case EVENT_FD_DGRAM:
	case EVENT_FD_LISTENER:
	case EVENT_FD_EVENTFD:
		return request->op->traits & (ABI_MAY_BLOCK | ABI_READS_FILE);
	default:
		return false;
	}
}

static void look_thread_exit(struct hazard_context *context, const struct moment *moment)
{
	uint32_t tid = moment->event->tid;

	if (!sure(context, moment) || !moment->process || moment->process->exited || tid == moment->process->pid)
		return;
	MAP_FOR_EACH(&hazard_model(context)->rings, entry)
	{
		struct model_ring *ring = entry->value;

		if (ring->process != moment->process || ring->closed || ring->lost ||
		    (ring->setup_flags & URING_SETUP_SQPOLL))
			continue;
		for (struct model_request *request = ring->first; request; request = request->next) {
			struct finding *finding;

			if (!dies_with_thread(request, tid) || !hazard_mark_request(context, request))
				continue;
			finding = hazard_finding(context, moment, request);
			hazard_message(finding, "thread %u ended while %s on fd %d, which it submitted, is in flight",
				       tid, request->op->name, request->sqe.fd);
			hazard_report(context, finding);
		}
	}
}

const struct hazard hazard_submitter_thread_exit = {
	.name = "submitter-thread-exit",
	.family = "threads",
	.level = HAZARD_WARNING,
	.why = "Requests that wait for an event belong to the thread that submitted them: once it is gone they end "
	       "with -ECANCELED.",
	.fix = "Keep the submitting thread until its requests have completed, or submit from a thread that stays.",
	.wants = HAZARD_WANTS(THREAD_EXIT),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_THREADS,
	.look = look_thread_exit,
};

#define SHARED_BY_DESIGN UINT64_MAX

/*
 * A ring made before fork() and then used by one process alone is handed over, which is right. The ring's cell holds
 * who used it last (upper half) and where; a second user is a finding, but not once an entry has named memory that the
 * processes share: then they know of each other.
 */
static void look_fork(struct hazard_context *context, const struct moment *moment)
{
	uint32_t pid = moment->event->pid;
	uint64_t *cell;
	uint32_t last, last_stack;
	struct finding *finding;

	if (!sure(context, moment) || !moment->ring || !moment->ring->creator_pid)
		return;
	cell = hazard_ring_cell(context, moment->ring);
	if (moment->event->flags & EVENT_SHARED)
		*cell = SHARED_BY_DESIGN;
	if (*cell == SHARED_BY_DESIGN)
		return;
	last = (uint32_t)(*cell >> 32);
	last_stack = (uint32_t)*cell;
	*cell = (uint64_t)pid << 32 | moment->event->stack;
	if (!last || last == pid || !hazard_mark_ring(context, moment->ring))
		return;
	finding = hazard_finding(context, moment, NULL);
	hazard_message(finding,
		       "process %u uses the ring that process %u made and process %u has used: they share one queue "
		       "since fork()",
		       pid, moment->ring->creator_pid, last);
	hazard_stack(finding, "used before at", last, last_stack);
	hazard_stack(finding, "ring set up by", moment->ring->creator_pid, moment->ring->setup_stack);
	hazard_report(context, finding);
}

const struct hazard hazard_fork_shared_ring = {
	.name = "fork-shared-ring",
	.family = "threads",
	.level = HAZARD_ERROR,
	.why = "Parent and child share the ring after fork(): each submits the other's entries and takes the other's "
	       "completions.",
	.fix = "Make the child's ring after fork(); io_uring_ring_dontfork() keeps a child from using its parent's by "
	       "mistake.",
	.wants = HAZARD_WANTS(ENTER),
	.needs = SOURCE_SQES | SOURCE_THREADS,
	.look = look_fork,
};
