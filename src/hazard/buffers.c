/* SPDX-License-Identifier: MIT */
/* Memory that requests in flight use: released, shared, too short, or registered and gone. */
#include <errno.h>
#include <inttypes.h>

#include "abi/op.h"
#include "hazard/hazard.h"
#include "hazard/known.h"

/* Which rule a release of this range belongs to: exactly one, so that one misuse is one finding. */
enum release_class {
	RELEASE_INNOCENT,
	RELEASE_DATA,
	RELEASE_INDIRECT,
	RELEASE_CANCELLED,
	RELEASE_ZC,
	RELEASE_ZC_FAILED
};

static const char *const release_names[] = {
	[EVENT_FREE] = "freed",
	[EVENT_REALLOC] = "moved by realloc",
	[EVENT_MUNMAP] = "unmapped",
	[EVENT_MREMAP] = "remapped",
	[EVENT_MADVISE] = "discarded by madvise",
	[EVENT_MMAP_FIXED] = "mapped over",
	[EVENT_SHMDT] = "detached",
	[EVENT_FRAME] = "left by its function's return",
	[EVENT_THREAD_STACK] = "gone with its thread's stack",
};

static const char *release_name(uint32_t how)
{
	const char *name = how < sizeof(release_names) / sizeof(release_names[0]) ? release_names[how] : NULL;
	return name ? name : "released";
}

static bool sure(struct hazard_context *context, const struct moment *moment)
{
	return !moment->uncertain && !hazard_model(context)->lost;
}

static bool surely_in_flight(const struct model_request *request)
{
	return request && request->op && request->state == REQUEST_INFLIGHT && !request->ambiguous &&
	       !request->uncertain && !request->ring->lost && !known_hides_ends(request->ring);
}

static enum release_class classify_release(const struct model_range *range)
{
	const struct model_request *request = range->request;

	if (!surely_in_flight(request) || range->released || range->lifetime == ABI_UNTIL_CONSUMED)
		return RELEASE_INNOCENT;
	if (request->awaiting_notif) {
		if (range->lifetime != ABI_UNTIL_NOTIF)
			return RELEASE_INNOCENT;
		return request->result < 0 ? RELEASE_ZC_FAILED : RELEASE_ZC;
	}
	if (request->cancel_answered)
		return RELEASE_CANCELLED;
	return range->kind == ABI_DATA ? RELEASE_DATA : RELEASE_INDIRECT;
}

struct release_look {
	struct hazard_context *context;
	const struct moment *moment;
	enum release_class wanted;
};

static const char *what_happens(const struct model_range *range)
{
	return range->direction & ABI_OUT ? "the kernel will write there" : "the kernel still reads it";
}

static bool report_release(void *opaque, struct model_range *range)
{
	struct release_look *look = opaque;
	const struct event_release *event = (const struct event_release *)look->moment->event;
	struct model_request *request = range->request;
	struct finding *finding;

	if (classify_release(range) != look->wanted || !hazard_mark_request(look->context, request))
		return true;
	finding = hazard_finding(look->context, look->moment, request);
	hazard_message(finding,
		       "%s of %s (0x%" PRIx64 ", %" PRIu64 " bytes) was %s while the request is in flight%s: %s",
		       range->name, request->op->name, range->address, range->length, release_name(event->how),
		       look->wanted == RELEASE_CANCELLED   ? "; only its cancellation was answered"
		       : look->wanted == RELEASE_ZC        ? "; its notification (F_NOTIF) has not come"
		       : look->wanted == RELEASE_ZC_FAILED ? "; it failed, but a second completion (F_NOTIF) follows"
							   : "",
		       what_happens(range));
	hazard_stack(finding, "released by", event->h.pid, event->h.stack);
	if (event->alloc_stack)
		hazard_stack(finding, "allocated by", event->h.pid, event->alloc_stack);
	finding->in_flight_ns = look->moment->time > request->time ? look->moment->time - request->time : 0;
	hazard_report(look->context, finding);
	return true;
}

static void look_release(struct hazard_context *context, const struct moment *moment, enum release_class wanted)
{
	const struct event_release *event = (const struct event_release *)moment->event;
	struct release_look look = { context, moment, wanted };

	if (!sure(context, moment) || !moment->process || moment->process->exited)
		return;
	model_overlaps(moment->process, event->address, event->length, report_release, &look);
}

static void look_freed(struct hazard_context *context, const struct moment *moment)
{
	look_release(context, moment, RELEASE_DATA);
}

const struct hazard hazard_buffer_freed_in_flight = {
	.name = "buffer-freed-in-flight",
	.family = "buffers",
	.level = HAZARD_ERROR,
	.why = "The kernel uses a request's buffer until its final completion; whatever lives there by then is "
	       "overwritten or sent.",
	.fix = "Keep the buffer until the completion has been seen: own it together with the request, not with the "
	       "function or connection.",
	.wants = HAZARD_WANTS(RELEASE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_MEMORY,
	.look = look_freed,
};

static void look_indirect(struct hazard_context *context, const struct moment *moment)
{
	look_release(context, moment, RELEASE_INDIRECT);
}

static const char *const indirect_supersedes[] = { "buffer-freed-in-flight", NULL };

const struct hazard hazard_indirect_argument_freed = {
	.name = "indirect-argument-freed",
	.family = "buffers",
	.level = HAZARD_ERROR,
	.why = "This argument is not copied at submission: the kernel reads or writes it when the request runs or "
	       "completes.",
	.fix = "Keep msghdr of recvmsg, msg_control, accept's address and length, statx and siginfo results until the "
	       "completion.",
	.wants = HAZARD_WANTS(RELEASE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_MEMORY,
	.look = look_indirect,
	.supersedes = indirect_supersedes,
};

static void look_cancelled(struct hazard_context *context, const struct moment *moment)
{
	look_release(context, moment, RELEASE_CANCELLED);
}

static const char *const cancel_supersedes[] = { "buffer-freed-in-flight", "indirect-argument-freed", NULL };

const struct hazard hazard_cancel_is_not_completion = {
	.name = "cancel-is-not-completion",
	.family = "buffers",
	.level = HAZARD_ERROR,
	.why = "A cancellation's answer does not end its target: the target uses its memory until its own completion "
	       "arrives.",
	.fix = "Wait for the target's own completion (-ECANCELED or its result) before its memory is released.",
	.wants = HAZARD_WANTS(RELEASE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_MEMORY,
	.look = look_cancelled,
	.supersedes = cancel_supersedes,
};

/* ---- zero copy ---- */

static void report_checksum(struct hazard_context *context, const struct moment *moment)
{
	const struct event_checksum *event = (const struct event_checksum *)moment->event;
	struct model_request *request = moment->request;
	struct finding *finding;

	if (!request && moment->ring)
		request = model_same_user_data(moment->ring, event->user_data);
	if (!surely_in_flight(request) || request->same_next || !(request->op->traits & ABI_ZERO_COPY) ||
	    !hazard_mark_request(context, request))
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(finding,
		       "the buffer of %s (0x%" PRIx64 ", %" PRIu64
		       " bytes) was rewritten before its notification (F_NOTIF) came",
		       request->op->name, event->address, event->length);
	hazard_report(context, finding);
}

struct reuse_look {
	struct hazard_context *context;
	const struct moment *moment;
	const struct model_range *mine;
};

static bool report_reuse(void *opaque, struct model_range *other)
{
	struct reuse_look *look = opaque;
	struct model_request *sent = other->request, *request = look->mine->request;
	struct finding *finding;

	if (sent == request || !surely_in_flight(sent) || !sent->awaiting_notif || other->lifetime != ABI_UNTIL_NOTIF ||
	    !hazard_mark_request(look->context, request))
		return true;
	finding = hazard_finding(look->context, look->moment, request);
	hazard_message(finding,
		       "%s of %s (0x%" PRIx64 ", %" PRIu64
		       " bytes) is memory that %s still sends from: its first completion has come, its notification "
		       "(F_NOTIF) has not",
		       look->mine->name, request->op->name, look->mine->address, look->mine->length, sent->op->name);
	hazard_stack(finding, "sent by", sent->process->pid, sent->stack);
	hazard_report(look->context, finding);
	return false;
}

/* Another request that lets the kernel write into what is being sent. */
static void look_for_reuse(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request;

	if (!moment->process || !surely_in_flight(request) || request->refused)
		return;
	for (const struct model_range *range = request->ranges; range; range = range->next) {
		struct reuse_look look = { context, moment, range };

		if (range->length && (range->direction & ABI_OUT) && !range->provided)
			model_overlaps(moment->process, range->address, range->length, report_reuse, &look);
	}
}

static void look_zc_reuse(struct hazard_context *context, const struct moment *moment)
{
	if (moment->kind == MOMENT_RELEASE)
		look_release(context, moment, RELEASE_ZC);
	else if (!sure(context, moment))
		return;
	else if (moment->kind == MOMENT_CONSUMED)
		look_for_reuse(context, moment);
	else
		report_checksum(context, moment);
}

static const char *const reuse_supersedes[] = { "buffer-freed-in-flight", "cancel-is-not-completion",
						"buffers-overlap-in-flight", NULL };

const struct hazard hazard_zc_buffer_reuse = {
	.name = "zc-buffer-reuse",
	.family = "buffers",
	.level = HAZARD_ERROR,
	.why = "The first completion of a zero-copy send only says that it is queued; the network reads the memory "
	       "until F_NOTIF.",
	.fix = "Reuse or release the buffer only after the completion with IORING_CQE_F_NOTIF.",
	.wants = HAZARD_WANTS(RELEASE) | HAZARD_WANTS(CHECKSUM) | HAZARD_WANTS(CONSUMED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_MEMORY,
	.only_traits = ABI_READS_FILE | ABI_STREAM_RECV,
	.when = { .consumed = HAZARD_WHEN_SENDING },
	.look = look_zc_reuse,
	.supersedes = reuse_supersedes,
};

static void report_unaccounted(struct hazard_context *context, const struct moment *moment)
{
	for (struct model_request *request = moment->ring->first; request; request = request->next) {
		struct finding *finding;

		if (!surely_in_flight(request) || !request->awaiting_notif || !hazard_mark_request(context, request))
			continue;
		finding = hazard_finding(context, moment, request);
		finding->level = HAZARD_WARNING;
		hazard_message(finding,
			       "the ring was closed after the first completion of %s (res=%d, F_MORE): its "
			       "notification never came",
			       request->op->name, request->result);
		hazard_stack(finding, "closed by", moment->event->pid, moment->event->stack);
		hazard_report(context, finding);
		return;
	}
}

/*
 * The ring's cell: where in the completion ring the newest first completion (low 16 bits) and the newest notification
 * (16 bits) are, and the stack of the send that the notification belongs to (32 bits, 0 = none came).
 */
static void note_two(uint64_t *cell, const struct moment *moment)
{
	const struct event_complete *event = (const struct event_complete *)moment->event;
	uint64_t index = event->cq_index & 0xffff;

	if (!moment->request || !moment->certain)
		return;
	if (event->cqe.flags & URING_CQE_F_MORE)
		*cell = (*cell & ~UINT64_C(0xffff)) | index;
	else if (event->cqe.flags & URING_CQE_F_NOTIF)
		*cell = (uint64_t)moment->request->stack << 32 | index << 16 | (*cell & 0xffff);
}

static bool was_taken(uint32_t cq_head, uint64_t index)
{
	return (int16_t)(uint16_t)(cq_head - index) > 0;
}

/* The first completion of every send was taken, a notification was not: it is not known to be one of two. */
static void report_untaken(struct hazard_context *context, const struct moment *moment)
{
	const struct event_ring_state *state = (const struct event_ring_state *)moment->event;
	uint64_t cell = *hazard_ring_cell(context, moment->ring);
	struct finding *finding;

	if (!(cell >> 32) || !state->known || !was_taken(state->cq_head, cell & 0xffff) ||
	    was_taken(state->cq_head, cell >> 16 & 0xffff) || !hazard_mark_ring(context, moment->ring))
		return;
	finding = hazard_finding(context, moment, NULL);
	finding->level = HAZARD_WARNING;
	for (size_t i = 0; i < FINDING_STACKS; i++)
		finding->stacks[i] = (struct finding_stack){ NULL, 0, 0 };
	hazard_message(finding, "the ring was closed when the first completion of each zero-copy send had been taken, "
				"and a second one (F_NOTIF) had not");
	hazard_stack(finding, "submitted by", finding->pid, (uint32_t)(cell >> 32));
	hazard_stack(finding, "closed by", moment->event->pid, moment->event->stack);
	hazard_report(context, finding);
}

static void look_zc_notif(struct hazard_context *context, const struct moment *moment)
{
	if (moment->kind == MOMENT_RELEASE) {
		look_release(context, moment, RELEASE_ZC_FAILED);
		return;
	}
	if (!sure(context, moment) || !moment->ring || (moment->event->flags & EVENT_SYNTHETIC))
		return;
	if (moment->kind == MOMENT_COMPLETE) {
		note_two(hazard_ring_cell(context, moment->ring), moment);
		return;
	}
	report_untaken(context, moment);
	report_unaccounted(context, moment);
}

static const char *const notif_supersedes[] = { "buffer-freed-in-flight", "cancel-is-not-completion",
						"unreaped-cqe-at-exit", NULL };

const struct hazard hazard_zc_notif_unaccounted = {
	.name = "zc-notif-unaccounted",
	.family = "buffers",
	.level = HAZARD_ERROR,
	.why = "A zero-copy send posts two completions, also when it fails, whenever the first carries F_MORE.",
	.fix = "Count a zero-copy send as finished only at the completion without IORING_CQE_F_MORE.",
	.wants = HAZARD_WANTS(RELEASE) | HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED) |
		 HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_MEMORY,
	.only_traits = ABI_ZERO_COPY,
	.look = look_zc_notif,
	.supersedes = notif_supersedes,
};

/* ---- overlap ---- */

/*
 * Benchmarks and scrubbers read everything into one place, for they do not want the data (qemu-img bench does): a ring
 * that goes on and on reading into exactly the same bytes is taken for one of them, and gets a note. That shows only
 * later, so the finding waits.
 */
enum { SINK_LOOK = 64, SINK_ALIKE = 48 };

/* The ring's cell while and after such a finding waits. */
union sink {
	uint64_t cell;
	struct {
		bool held, is_sink;
		uint16_t n_alike; /* reads into these bytes since */
		uint32_t place;   /* which bytes: see sink_place() */
	};
};
_Static_assert(sizeof(union sink) == sizeof(uint64_t), "it is a rule's cell");

struct overlap_look {
	const struct model_range *mine;
	const struct model_range
		*first; /* that overlaps and is no read into just these bytes, else the first such read */
};

/* A counter that nobody reads: programs share one dummy for all their wakeups. */
static bool is_wakeup(const struct model_request *request)
{
	return request->object.type == EVENT_FD_EVENTFD || request->object.type == EVENT_FD_TIMERFD;
}

static bool ordered(const struct model_request *first, const struct model_request *second)
{
	return (second->sqe.flags & URING_SQE_IO_DRAIN) ||
	       (first->chain && first->chain == second->chain && first->ring == second->ring);
}

static uint32_t sink_place(const struct model_range *range)
{
	return (uint32_t)((range->address ^ range->length << 20) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static bool is_read(const struct model_range *range)
{
	return range->direction == ABI_OUT && known_trait(range->request, ABI_READS_FILE);
}

static bool is_same_read(const struct model_range *a, const struct model_range *b)
{
	return a->address == b->address && a->length == b->length && is_read(a) && is_read(b);
}

static bool is_overlap(const struct model_range *mine, const struct model_range *other)
{
	const struct model_request *request = mine->request;

	if (other->request == request || !surely_in_flight(other->request) || ordered(other->request, request))
		return false;
	if (other->lifetime == ABI_UNTIL_CONSUMED || !((other->direction | mine->direction) & ABI_OUT))
		return false;
	if (is_wakeup(request) && is_wakeup(other->request))
		return false;
	return !other->request->cancel_requested && !other->request->refused;
}

static bool note_overlap(void *opaque, struct model_range *other)
{
	struct overlap_look *look = opaque;

	if (!is_overlap(look->mine, other))
		return true;
	look->first = other;
	return is_same_read(look->mine, other);
}

struct sink_look {
	const struct model_ring *ring;
	union sink *sink;
};

static enum hazard_decision decide_sink(struct finding *finding, const void *opaque)
{
	const struct sink_look *look = opaque;

	if (finding->ring != look->ring->id)
		return HAZARD_KEEP;
	if (look->sink->held) {
		if (look->ring->n_submitted < finding->held_for)
			return HAZARD_KEEP;
		look->sink->held = false;
		look->sink->is_sink = look->sink->n_alike >= SINK_ALIKE;
	}
	if (look->sink->is_sink) /* as are those of other places that came meanwhile */
		finding->level = HAZARD_NOTE;
	return HAZARD_TELL;
}

static void report_overlap(struct hazard_context *context, const struct moment *moment, const struct overlap_look *look,
			   union sink *sink)
{
	const struct model_range *mine = look->mine, *other = look->first;
	const struct model_request *request = mine->request;
	struct finding *finding = hazard_finding(context, moment, request);
	uint32_t place = sink_place(mine);

	hazard_message(finding,
		       "%s of %s (0x%" PRIx64 ", %" PRIu64 " bytes) overlaps %s of %s (0x%" PRIx64 ", %" PRIu64
		       " bytes) still in flight",
		       mine->name, request->op->name, mine->address, mine->length, other->name,
		       other->request->op->name, other->address, other->length);
	hazard_stack(finding, "the other submitted by", other->request->process->pid, other->request->stack);
	if (!is_same_read(mine, other) || ((sink->held || sink->is_sink) && sink->place != place)) {
		hazard_report(context, finding);
	} else if (sink->is_sink) {
		finding->level = HAZARD_NOTE;
		hazard_report(context, finding);
	} else {
		if (!sink->held)
			*sink = (union sink){ .held = true, .place = place };
		finding->held_for = request->ring->n_submitted + SINK_LOOK;
		hazard_hold(context, finding, HAZARD_SECOND);
	}
}

static void look_overlap(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request;
	struct sink_look waiting = { .ring = moment->ring };

	if (!request || !sure(context, moment) || !moment->process || !surely_in_flight(request) || request->refused)
		return;
	waiting.sink = (union sink *)hazard_ring_cell(context, request->ring);
	for (const struct model_range *range = request->ranges; range; range = range->next) {
		struct overlap_look look = { .mine = range };

		if (range->length && range->lifetime != ABI_UNTIL_CONSUMED && !range->provided)
			model_overlaps(moment->process, range->address, range->length, note_overlap, &look);
		if (look.first && hazard_mark_request(context, request))
			report_overlap(context, moment, &look, waiting.sink);
		if (waiting.sink->held && is_read(range) && sink_place(range) == waiting.sink->place)
			waiting.sink->n_alike++;
	}
	if (waiting.sink->held)
		hazard_decide_held(context, decide_sink, &waiting);
}

const struct hazard hazard_buffers_overlap_in_flight = {
	.name = "buffers-overlap-in-flight",
	.family = "buffers",
	.level = HAZARD_ERROR,
	.why = "Two requests in flight use the same memory and the kernel writes to it: which bytes are left there is "
	       "chance.",
	.fix = "Give each request in flight its own buffer, or link them so that one ends before the other starts.",
	.wants = HAZARD_WANTS(CONSUMED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.look = look_overlap,
};

/* ---- bounds ---- */

static void look_overrun(struct hazard_context *context, const struct moment *moment)
{
	const struct event_bounds *event = (const struct event_bounds *)moment->event;
	struct finding *finding;

	if (!sure(context, moment) || !moment->request || !moment->request->op || moment->request->refused)
		return;
	if (event->address < event->base || event->address - event->base > event->size)
		return;
	if (event->length <= event->size - (event->address - event->base) ||
	    !hazard_mark_request(context, moment->request))
		return;
	finding = hazard_finding(context, moment, moment->request);
	hazard_message(finding,
		       "%s may use %" PRIu64 " bytes at 0x%" PRIx64 ", which is %" PRIu64
		       " bytes into an allocation of %" PRIu64,
		       moment->request->op->name, event->length, event->address, event->address - event->base,
		       event->size);
	hazard_report_after_call(context, finding, true);
}

const struct hazard hazard_buffer_overrun_plain = {
	.name = "buffer-overrun-plain",
	.family = "buffers",
	.level = HAZARD_ERROR,
	.why = "The kernel checks only that the memory is mapped: it writes or sends past the end of the allocation.",
	.fix = "Pass the length of the memory that is really there.",
	.wants = HAZARD_WANTS(BOUNDS),
	.needs = SOURCE_SQES | SOURCE_BOUNDS,
	.look = look_overrun,
};

/* ---- registered buffers ---- */

static bool uses_registered_buffer(const struct uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case URING_OP_READ_FIXED:
	case URING_OP_WRITE_FIXED:
		return true;
	case URING_OP_SEND_ZC:
		return sqe->ioprio & URING_RECVSEND_FIXED_BUF;
	default:
		return false;
	}
}

static bool within(const struct model_buffer *buffer, const struct uring_sqe *sqe)
{
	return sqe->addr >= buffer->address && sqe->addr - buffer->address <= buffer->length &&
	       sqe->len <= buffer->length - (sqe->addr - buffer->address);
}

static void look_fixed_bounds(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request;
	const struct model_ring *ring = moment->ring;
	const struct model_buffer *buffer;
	struct finding *finding;

	if (!sure(context, moment) || !request || !moment->certain || request->ambiguous ||
	    !uses_registered_buffer(&request->sqe))
		return;
	if (((const struct event_complete *)moment->event)->cqe.res != -EFAULT)
		return;
	buffer = request->sqe.buf_index < ring->n_buffers ? &ring->buffers[request->sqe.buf_index] : NULL;
	if (buffer && within(buffer, &request->sqe))
		return;
	finding = hazard_finding(context, moment, request);
	if (buffer)
		hazard_message(finding,
			       "%s of %u bytes at 0x%" PRIx64 " leaves registered buffer %u (0x%" PRIx64 ", %" PRIu64
			       " bytes): -EFAULT",
			       request->op->name, request->sqe.len, (uint64_t)request->sqe.addr, request->sqe.buf_index,
			       buffer->address, buffer->length);
	else
		hazard_message(finding, "%s names registered buffer %u, but %u are registered: -EFAULT",
			       request->op->name, request->sqe.buf_index, ring->n_buffers);
	hazard_report(context, finding);
}

const struct hazard hazard_fixed_buffer_bounds = {
	.name = "fixed-buffer-bounds",
	.family = "buffers",
	.level = HAZARD_WARNING,
	.why = "A request on a registered buffer must lie wholly inside the buffer of that index; the kernel answers "
	       "-EFAULT.",
	.fix = "Take address and length from the registered buffer itself, and buf_index from the same place.",
	.wants = HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_ops = HAZARD_OP(READ_FIXED) | HAZARD_OP(WRITE_FIXED) | HAZARD_OP(SEND_ZC),
	.only_failures = true,
	.look = look_fixed_bounds,
};

/* The old pages are used, or, where the memory that took the old one's place has another address, nothing is. */
static bool uses_stale(const struct model_buffer *buffer, const struct moment *moment)
{
	bool inside = within(buffer, &moment->request->sqe);

	if (!buffer->stale)
		return false;
	if (moment->kind == MOMENT_CONSUMED)
		return inside;
	return !inside && moment->certain && known_result(moment) == -EFAULT;
}

static void look_stale(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request;
	const struct model_buffer *buffer;
	struct finding *finding;

	if (!sure(context, moment) || !request || request->uncertain || !uses_registered_buffer(&request->sqe) ||
	    request->sqe.buf_index >= moment->ring->n_buffers)
		return;
	buffer = &moment->ring->buffers[request->sqe.buf_index];
	if (!uses_stale(buffer, moment) || !hazard_mark_request(context, request))
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(finding,
		       "registered buffer %u (0x%" PRIx64 ", %" PRIu64 " bytes) was %s after its registration: %s %s",
		       request->sqe.buf_index, buffer->address, buffer->length, release_name(buffer->stale_how),
		       request->op->name,
		       moment->kind == MOMENT_CONSUMED ? "uses the old pages"
						       : "names memory that never was registered: -EFAULT");
	hazard_stack(finding, "released by", finding->pid, buffer->stale_stack);
	hazard_report(context, finding);
}

static const char *const stale_supersedes[] = { "fixed-buffer-bounds", NULL };

const struct hazard hazard_fixed_buffer_stale_mapping = {
	.name = "fixed-buffer-stale-mapping",
	.family = "buffers",
	.level = HAZARD_ERROR,
	.why = "Registration pins pages, not addresses: once the memory is unmapped, moved or freed the kernel still "
	       "uses the old pages.",
	.fix = "Unregister or update the buffer before its memory is released, and register what is there afterwards.",
	.wants = HAZARD_WANTS(CONSUMED) | HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_MEMORY,
	.only_ops = HAZARD_OP(READ_FIXED) | HAZARD_OP(WRITE_FIXED) | HAZARD_OP(SEND_ZC),
	.only_failures = true,
	.look = look_stale,
	.supersedes = stale_supersedes,
};
