/* SPDX-License-Identifier: MIT */
/* Rings that end before their work does. */
#include "abi/op.h"
#include "hazard/hazard.h"
#include "hazard/known.h"

static bool sure_end(struct hazard_context *context, const struct moment *moment)
{
	return !moment->uncertain && !hazard_model(context)->lost && moment->ring && !moment->ring->lost &&
	       moment->process && !moment->process->exited && !(moment->event->flags & EVENT_SYNTHETIC);
}

/* File I/O that has started cannot be cancelled: it lands when the ring is gone. What waits for an event goes at once.
 */
static bool lands_later(const struct model_request *request)
{
	if (!request->op || request->state != REQUEST_INFLIGHT || request->ambiguous || request->uncertain ||
	    request->cancel_requested || known_hides_ends(request->ring))
		return false;
	if (request->object.type != EVENT_FD_FILE && request->object.type != EVENT_FD_BLOCK)
		return false;
	return request->op->traits & (ABI_READS_FILE | ABI_WRITES_FILE);
}

static void look_exit(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request, *first = NULL;
	struct finding *finding;
	unsigned int n = 0;

	if (!sure_end(context, moment))
		return;
	for (request = moment->ring->first; request; request = request->next)
		if (lands_later(request)) {
			first = first ? first : request;
			n++;
		}
	if (!first || !hazard_mark_ring(context, moment->ring))
		return;
	finding = hazard_finding(context, moment, first);
	hazard_message(finding,
		       "the ring was closed with %u file operation(s) in flight, first %s on fd %d: they go on after "
		       "the close",
		       n, first->op->name, first->sqe.fd);
	hazard_stack(finding, "closed by", moment->event->pid, moment->event->stack);
	hazard_report(context, finding);
}

const struct hazard hazard_exit_with_io_in_flight = {
	.name = "exit-with-io-in-flight",
	.family = "teardown",
	.level = HAZARD_WARNING,
	.why = "Closing a ring returns before file I/O in flight is done: the kernel still writes to its buffers, and "
	       "no result comes.",
	.fix = "Await every completion before io_uring_queue_exit().",
	.wants = HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.look = look_exit,
};

/* Something is lost with the completion: bytes that left their file, or a descriptor nobody knows. */
static bool carries_something(const struct model_request *request, int32_t res)
{
	if (request->op->traits & ABI_MAKES_FD)
		return res >= 0 && !request->sqe.file_index;
	if (res <= 0 || !(request->op->traits & ABI_READS_FILE))
		return false;
	return request->object.type == EVENT_FD_PIPE || request->object.type == EVENT_FD_STREAM ||
	       request->object.type == EVENT_FD_DGRAM;
}

/* The ring's cell: index of the newest completion that carried something, in the lower half; bit 32 = there is one. */
static void note_carrier(struct hazard_context *context, const struct moment *moment)
{
	const struct event_complete *event = (const struct event_complete *)moment->event;

	if (moment->request && moment->request->op && moment->certain &&
	    carries_something(moment->request, event->cqe.res))
		*hazard_ring_cell(context, moment->ring) = (UINT64_C(1) << 32) | event->cq_index;
}

static void look_unreaped(struct hazard_context *context, const struct moment *moment)
{
	const struct event_ring_state *state = (const struct event_ring_state *)moment->event;
	struct finding *finding;
	uint32_t waiting;
	uint64_t cell;

	if (moment->kind == MOMENT_COMPLETE) {
		note_carrier(context, moment);
		return;
	}
	if (!sure_end(context, moment) || !state->known)
		return;
	waiting = state->cq_tail - state->cq_head;
	if (!waiting || waiting > moment->ring->cq_entries || !hazard_mark_ring(context, moment->ring))
		return;
	cell = *hazard_ring_cell(context, moment->ring);
	finding = hazard_finding(context, moment, NULL);
	finding->level = HAZARD_NOTE;
	if (cell >> 32 && (uint32_t)cell - state->cq_head < waiting)
		finding->level = HAZARD_WARNING;
	hazard_message(finding, "the ring was closed with %u completion(s) that nobody looked at%s", waiting,
		       finding->level == HAZARD_WARNING ? "; received data or a new descriptor is lost with them" : "");
	hazard_stack(finding, "closed by", moment->event->pid, moment->event->stack);
	hazard_report(context, finding);
}

const struct hazard hazard_unreaped_cqe_at_exit = {
	.name = "unreaped-cqe-at-exit",
	.family = "teardown",
	.level = HAZARD_WARNING,
	.why = "What a completion carried goes with the ring: bytes already taken from the socket or pipe, descriptors "
	       "already open.",
	.fix = "Reap until nothing is in flight before io_uring_queue_exit().",
	.wants = HAZARD_WANTS(COMPLETE) | HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_CQ_STATE,
	.only_traits = ABI_READS_FILE | ABI_MAKES_FD,
	.look = look_unreaped,
};
