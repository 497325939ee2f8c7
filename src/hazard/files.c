/* SPDX-License-Identifier: MIT */
/* Descriptors and slots: wrong ones, closed ones, numbers that mean another file by the time they are looked up. */
#include <errno.h>

#include "abi/op.h"
#include "base/map.h"
#include "hazard/hazard.h"
#include "hazard/known.h"

static bool sure(struct hazard_context *context, const struct moment *moment)
{
	return !moment->uncertain && !hazard_model(context)->lost;
}

static bool surely_open(const struct model_request *request)
{
	return request && request->op && request->state == REQUEST_INFLIGHT && !request->ambiguous &&
	       !request->uncertain && !known_hides_ends(request->ring);
}

static bool names_fd(const struct model_request *request)
{
	return (request->op->traits & ABI_FD) && !(request->sqe.flags & URING_SQE_FIXED_FILE);
}

static bool slot_used(const struct model_ring *ring, int32_t slot)
{
	return slot >= 0 && (uint32_t)slot < ring->n_slots && ring->slots[slot].used;
}

/* The number was open at submission and closed since. */
static bool closed_since(const struct model_request *request)
{
	return request->fd && request->fd->generation != request->fd_generation;
}

/* The number has been closed before: a descriptor was meant that is gone, not a slot. */
static bool was_descriptor(const struct model_request *request)
{
	return request->fd && request->fd->generation && !request->fd->open;
}

/* ---- a completion with -EBADF, told by exactly one rule ---- */

enum bad_fd_class { BAD_FD_NONE, BAD_FD_FLAG, BAD_FD_RECYCLED, BAD_FD_PLAIN };

static enum bad_fd_class classify_bad_fd(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request;
	int res = ((const struct event_complete *)moment->event)->cqe.res;

	if (!sure(context, moment) || !request || !request->op || !moment->certain || request->ambiguous ||
	    request->uncertain || !(request->op->traits & ABI_FD))
		return BAD_FD_NONE;
	if (res != -EBADF && res != -ENOTSOCK)
		return BAD_FD_NONE;
	if (names_fd(request) && !was_descriptor(request) &&
	    !(request->sqe.opcode == URING_OP_CLOSE && request->sqe.file_index) &&
	    slot_used(moment->ring, request->sqe.fd))
		return BAD_FD_FLAG;
	if (res != -EBADF)
		return BAD_FD_NONE;
	if (names_fd(request) && closed_since(request) && request->sqe.opcode != URING_OP_CLOSE)
		return BAD_FD_RECYCLED;
	return BAD_FD_PLAIN;
}

static void look_bad_fd(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request;
	struct finding *finding;

	if (classify_bad_fd(context, moment) != BAD_FD_PLAIN)
		return;
	finding = hazard_finding(context, moment, request);
	if (request->sqe.flags & URING_SQE_FIXED_FILE)
		hazard_message(finding, "%s names fixed slot %d, which holds no file (%u slots registered): -EBADF",
			       request->op->name, request->sqe.fd, moment->ring->n_slots);
	else if (request->fd && request->object.type != EVENT_FD_BAD && request->object.type != EVENT_FD_UNKNOWN)
		hazard_message(finding, "%s cannot use fd %d, which is not open for that: -EBADF", request->op->name,
			       request->sqe.fd);
	else
		hazard_message(finding, "%s names fd %d, which is not open: -EBADF", request->op->name,
			       request->sqe.fd);
	hazard_report(context, finding);
}

const struct hazard hazard_bad_fd = {
	.name = "bad-fd",
	.family = "files",
	.level = HAZARD_WARNING,
	.why = "The descriptor is looked up when the request starts; where nothing usable is there it completes with "
	       "-EBADF.",
	.fix = "Submit only descriptors that are open (for reading or writing as needed) until the request has "
	       "started.",
	.wants = HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_failures = true,
	.look = look_bad_fd,
};

/* ---- fixed-flag-forgotten ---- */

static bool same_object(const struct model_object *a, const struct model_object *b)
{
	return a->type == b->type && a->inode == b->inode && a->device == b->device;
}

/*
 * The ring's cell: 1 once a slot was used with the flag; before that, where a standard descriptor was used whose number
 * is a slot that the program opened or accepted into: stack (32 bits), descriptor (8), operation (8), and 2.
 */
enum { CELL_KNOWS = 1, CELL_SUSPECT = 2 };

/*
 * A standard descriptor whose number is also a slot in use: meant is the slot, unless the program has used slots with
 * the flag before (then it knows how), or both are the same file. Where it is not known what the slot holds, it is
 * still the only use of a slot if the ring goes without another.
 */
static bool flag_surely_meant(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request;
	uint64_t *cell = hazard_ring_cell(context, moment->ring);

	if (request->sqe.flags & URING_SQE_FIXED_FILE) {
		*cell = CELL_KNOWS;
		return false;
	}
	if ((*cell & CELL_KNOWS) || !names_fd(request) || request->sqe.fd > 2 ||
	    !slot_used(moment->ring, request->sqe.fd))
		return false;
	if (request->sqe.opcode == URING_OP_CLOSE && request->sqe.file_index)
		return false;
	if (request->object.type == EVENT_FD_UNKNOWN || request->object.type == EVENT_FD_BAD)
		return false;
	if (moment->ring->slots[request->sqe.fd].object.type == EVENT_FD_UNKNOWN) {
		if (!*cell && request->stack)
			*cell = (uint64_t)request->stack << 32 | (uint64_t)request->sqe.fd << 16 |
				(uint64_t)request->sqe.opcode << 8 | CELL_SUSPECT;
		return false;
	}
	return !same_object(&moment->ring->slots[request->sqe.fd].object, &request->object);
}

static void report_suspect(struct hazard_context *context, const struct moment *moment)
{
	uint64_t *cell = hazard_ring_cell(context, moment->ring);
	struct finding *finding;

	if (!(*cell & CELL_SUSPECT))
		return;
	finding = hazard_finding(context, moment, NULL);
	for (size_t i = 0; i < FINDING_STACKS; i++)
		finding->stacks[i] = (struct finding_stack){ NULL, 0, 0 };
	hazard_message(finding,
		       "%s without IOSQE_FIXED_FILE used standard descriptor %u; the file that was put into fixed slot "
		       "%u was never used",
		       abi_op((uint8_t)(*cell >> 8))->name, (unsigned)(*cell >> 16 & 0xff),
		       (unsigned)(*cell >> 16 & 0xff));
	hazard_stack(finding, "submitted by", finding->pid, (uint32_t)(*cell >> 32));
	hazard_report(context, finding);
	*cell = CELL_KNOWS;
}

static void look_fixed_flag(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request;
	struct finding *finding;

	if (!sure(context, moment))
		return;
	if (moment->kind == MOMENT_RING_UNMAPPED || moment->kind == MOMENT_RING_CLOSED) {
		if (moment->ring && !(moment->event->flags & EVENT_SYNTHETIC))
			report_suspect(context, moment);
		return;
	}
	if (!request || !request->op)
		return;
	if (moment->kind == MOMENT_COMPLETE ? classify_bad_fd(context, moment) != BAD_FD_FLAG
					    : !flag_surely_meant(context, moment))
		return;
	if (!hazard_mark_request(context, request))
		return;
	finding = hazard_finding(context, moment, request);
	if (moment->kind == MOMENT_COMPLETE)
		hazard_message(
			finding,
			"%s on fd %d failed (res=%d); fixed slot %d holds a file, but IOSQE_FIXED_FILE is not set",
			request->op->name, request->sqe.fd, ((const struct event_complete *)moment->event)->cqe.res,
			request->sqe.fd);
	else
		hazard_message(finding,
			       "%s without IOSQE_FIXED_FILE uses standard descriptor %d, not the file in fixed slot %d",
			       request->op->name, request->sqe.fd, request->sqe.fd);
	hazard_report(context, finding);
}

static const char *const fixed_flag_supersedes[] = { "bad-fd", NULL };

const struct hazard hazard_fixed_flag_forgotten = {
	.name = "fixed-flag-forgotten",
	.family = "files",
	.level = HAZARD_ERROR,
	.why = "Without IOSQE_FIXED_FILE the number is an ordinary descriptor: another file, often a standard stream, "
	       "is used.",
	.fix = "Set IOSQE_FIXED_FILE on requests that name a slot; close slots with io_uring_prep_close_direct().",
	.wants = HAZARD_WANTS(CONSUMED) | HAZARD_WANTS(COMPLETE) | HAZARD_WANTS(RING_UNMAPPED) |
		 HAZARD_WANTS(RING_CLOSED),
	.needs = SOURCE_SQES | SOURCE_FDS,
	.only_failures = true,
	.when = { .consumed = HAZARD_WHEN_FIXED },
	.look = look_fixed_flag,
	.supersedes = fixed_flag_supersedes,
};

/* ---- fd-recycled ---- */

/* It waits behind an earlier member or a drain, so that its descriptor has not been looked up. */
static bool surely_not_started(const struct model_request *request)
{
	const struct model_request *earlier = request->chain_prev;
	return earlier && earlier->state == REQUEST_INFLIGHT && !earlier->ambiguous && !request->link_broken &&
	       !request->cancel_requested;
}

static void report_close(struct hazard_context *context, const struct moment *moment, struct model_request *request)
{
	struct finding *finding = hazard_finding(context, moment, request);

	hazard_message(finding, "fd %d was %s while %s, linked behind an unfinished request, has yet to look it up",
		       request->sqe.fd, moment->event->kind == EVENT_FD_DUP ? "replaced" : "closed", request->op->name);
	hazard_stack(finding, "closed by", moment->event->pid, moment->event->stack);
	hazard_report(context, finding);
}

static void look_unstarted(struct hazard_context *context, const struct moment *moment)
{
	struct model *model = hazard_model(context);

	MAP_FOR_EACH(&model->rings, entry)
	{
		const struct model_ring *ring = entry->value;

		if (ring->process != moment->process || ring->closed)
			continue;
		for (struct model_request *request = ring->first; request; request = request->next)
			if (surely_open(request) && names_fd(request) && request->fd == moment->fd &&
			    request->fd_generation == moment->fd->generation && surely_not_started(request) &&
			    hazard_mark_request(context, request))
				report_close(context, moment, request);
	}
}

static void look_recycled(struct hazard_context *context, const struct moment *moment)
{
	struct finding *finding;

	if (!sure(context, moment))
		return;
	if (moment->kind == MOMENT_FD_CLOSE) {
		if (moment->fd && moment->process && !moment->process->exited &&
		    (moment->event->kind == EVENT_FD_CLOSE || moment->event->kind == EVENT_FD_DUP))
			look_unstarted(context, moment);
		return;
	}
	if (classify_bad_fd(context, moment) != BAD_FD_RECYCLED || !hazard_mark_request(context, moment->request))
		return;
	finding = hazard_finding(context, moment, moment->request);
	hazard_message(finding, "fd %d was closed between the submission of %s and its start: -EBADF",
		       moment->request->sqe.fd, moment->request->op->name);
	hazard_report(context, finding);
}

static const char *const recycled_supersedes[] = { "bad-fd", "close-does-not-cancel", NULL };

const struct hazard hazard_fd_recycled = {
	.name = "fd-recycled",
	.family = "files",
	.level = HAZARD_ERROR,
	.why = "A linked or drained request looks its descriptor up when it starts: the number may be another file by "
	       "then.",
	.fix = "Close the descriptor after the completion, or link the close as the chain's last member.",
	.wants = HAZARD_WANTS(FD_CLOSE) | HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.only_failures = true,
	.look = look_recycled,
	.supersedes = recycled_supersedes,
};

/* ---- close-does-not-cancel ---- */

static bool may_wait_for_ever(const struct model_request *request)
{
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

static bool left_behind(const struct model_request *request)
{
	return surely_open(request) && names_fd(request) && request->sqe.opcode != URING_OP_CLOSE && request->fd &&
	       request->fd_generation != request->fd->generation && !request->cancel_requested &&
	       !surely_not_started(request) && may_wait_for_ever(request);
}

static void report_left(struct hazard_context *context, const struct moment *moment, struct model_request *request,
			const char *what)
{
	struct finding *finding;

	if (!hazard_mark_request(context, request))
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(finding, "fd %d was closed while %s on it was in flight: %s", request->sqe.fd, request->op->name,
		       what);
	hazard_report(context, finding);
}

/*
 * The completions of a wait become known after its return, so a call only remembers (in the ring's cell) the oldest
 * request left behind; it is told when that is still there at the next look.
 */
static void remember_left(struct hazard_context *context, const struct moment *moment)
{
	const struct model_thread *thread = moment->thread;
	uint64_t *cell = hazard_ring_cell(context, moment->ring);

	*cell = 0;
	if (!thread || !thread->enter.min_complete)
		return;
	for (const struct model_request *request = moment->ring->first; request && !*cell; request = request->next)
		if (left_behind(request) && request->seq < thread->enter.h.seq)
			*cell = request->seq;
}

static void tell_left(struct hazard_context *context, const struct moment *moment)
{
	uint64_t seq = *hazard_ring_cell(context, moment->ring);

	for (struct model_request *request = moment->ring->first; seq && request; request = request->next)
		if (request->seq == seq && left_behind(request))
			report_left(context, moment, request, "it stays in flight, and the file stays open for it");
}

/* A wait for one completion that goes on: the request cannot have completed. */
static void look_blocked(struct hazard_context *context, const struct moment *moment, const struct model_thread *thread)
{
	if (!thread->in_enter || thread->enter.min_complete != 1)
		return;
	for (struct model_request *request = thread->in_enter->first; request; request = request->next)
		if (left_behind(request) && request->seq < thread->enter.h.seq)
			report_left(context, moment, request, "it stays in flight, and the file stays open for it");
}

static void look_tick(struct hazard_context *context, const struct moment *moment)
{
	MAP_FOR_EACH(&hazard_model(context)->processes, process_entry)
	{
		const struct model_process *process = process_entry->value;

		MAP_FOR_EACH(&process->threads, thread_entry)
		{
			look_blocked(context, moment, thread_entry->value);
		}
	}
}

static void look_left(struct hazard_context *context, const struct moment *moment)
{
	const struct event_complete *event = (const struct event_complete *)moment->event;

	if (!sure(context, moment))
		return;
	if (moment->kind == MOMENT_TICK)
		look_tick(context, moment);
	else if (!moment->ring || (moment->event->flags & EVENT_SYNTHETIC))
		return;
	else if (moment->kind == MOMENT_CALL)
		remember_left(context, moment);
	else if (moment->kind != MOMENT_COMPLETE)
		tell_left(context, moment);
	else if (moment->request && moment->certain && event->cqe.res > 0 && left_behind(moment->request))
		report_left(context, moment, moment->request,
			    "it completed afterwards all the same, with data or a connection");
}

const struct hazard hazard_close_does_not_cancel = {
	.name = "close-does-not-cancel",
	.family = "files",
	.level = HAZARD_WARNING,
	.why = "Requests in flight hold the file: close() neither ends them nor sends FIN nor frees the port.",
	.fix = "Cancel the requests (io_uring_prep_cancel_fd before the close) or shutdown() the socket, and await "
	       "their completions.",
	.wants = HAZARD_WANTS(ENTER) | HAZARD_WANTS(CALL) | HAZARD_WANTS(TICK) | HAZARD_WANTS(COMPLETE) |
		 HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.when = { .complete = HAZARD_WHEN_CLOSED },
	.look = look_left,
};
