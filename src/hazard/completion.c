/* SPDX-License-Identifier: MIT */
/* The completion ring's head and what the program does with it. */
#include "base/map.h"
#include "hazard/hazard.h"
#include "hazard/known.h"

static struct finding *ring_finding(struct hazard_context *context, const struct moment *moment, uint32_t stack,
				    const char *label)
{
	struct finding *finding = hazard_finding(context, moment, NULL);

	if (stack) {
		for (size_t i = 0; i < FINDING_STACKS; i++)
			finding->stacks[i] = (struct finding_stack){ NULL, 0, 0 };
		hazard_stack(finding, label, moment->event ? moment->event->pid : finding->pid, stack);
	}
	return finding;
}

static bool is_end(const struct moment *moment)
{
	return moment->kind == MOMENT_RING_UNMAPPED || moment->kind == MOMENT_RING_CLOSED;
}

/* ---- cq-overflow-unflushed: the cell is the stack of the newest call on the ring ---- */

static void look_cq_overflow(struct hazard_context *context, const struct moment *moment)
{
	const struct event_ring_state *state = (const struct event_ring_state *)moment->event;
	struct finding *finding;
	uint64_t *cell;

	if (!moment->ring)
		return;
	cell = hazard_ring_cell(context, moment->ring);
	if (moment->kind == MOMENT_ENTER) {
		*cell = moment->event->stack;
		return;
	}
	if (!known_sure(hazard_model(context), moment) || !state->known || !(state->sq_flags & URING_SQ_CQ_OVERFLOW) ||
	    state->cq_head != state->cq_tail)
		return;
	/* A forked child's exit takes nothing from who made the ring. */
	if ((moment->kind == MOMENT_STALLED && moment->process != moment->ring->process) ||
	    !hazard_mark_ring(context, moment->ring))
		return;
	finding = ring_finding(context, moment, (uint32_t)*cell, "last entered at");
	if (moment->kind == MOMENT_STALLED && moment->event->stack)
		hazard_stack(finding, "goes on at", moment->event->pid, moment->event->stack);
	hazard_message(finding,
		       "the program took everything from the completion ring (%u completions, room for %u) and %s "
		       "while the kernel still %s completions that had not fitted",
		       state->cq_head, moment->ring->cq_entries,
		       moment->kind == MOMENT_STALLED ? "goes on without a call" : "left",
		       moment->kind == MOMENT_STALLED ? "holds" : "held");
	hazard_report(context, finding);
}

const struct hazard hazard_cq_overflow_unflushed = {
	.name = "cq-overflow-unflushed",
	.family = "completion",
	.level = HAZARD_ERROR,
	.why = "Completions that do not fit into the ring stay in the kernel until a call with IORING_ENTER_GETEVENTS. "
	       "Who only looks at the ring's memory never sees them.",
	.fix = "Look at IORING_SQ_CQ_OVERFLOW when the ring is empty and enter the kernel (io_uring_peek_cqe and "
	       "io_uring_get_events do), or keep fewer requests in flight than the completion ring holds.",
	.wants = HAZARD_WANTS(ENTER) | HAZARD_WANTS(STALLED) | HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED),
	.needs = SOURCE_CQ_STATE,
	.look = look_cq_overflow,
};

/* ---- cqe-not-seen ---- */

/* The cell: stack of the newest call (32 bits), low 16 bits of the CQ head at it, waits and submissions since the head
 * moved (8 each). */
struct unseen {
	uint32_t stack;
	uint16_t head;
	uint8_t waits, submits;
};

static struct unseen unseen_get(uint64_t cell)
{
	return (struct unseen){ (uint32_t)cell, (uint16_t)(cell >> 32), (uint8_t)(cell >> 48), (uint8_t)(cell >> 56) };
}

static uint64_t unseen_put(struct unseen u)
{
	return u.stack | (uint64_t)u.head << 32 | (uint64_t)u.waits << 48 | (uint64_t)u.submits << 56;
}

enum { WAITS_IN_VAIN = 3 };

static void report_unseen(struct hazard_context *context, const struct moment *moment, uint32_t stack, uint32_t n)
{
	struct finding *finding;

	if (!hazard_mark_ring(context, moment->ring))
		return;
	finding = ring_finding(context, moment, stack, "entered again at");
	hazard_message(finding,
		       "the program kept submitting and waiting while %u completion(s) lay in the ring that it never "
		       "marked as seen: each wait returns the same one at once",
		       n);
	hazard_report(context, finding);
}

static void look_at_enter(struct hazard_context *context, const struct moment *moment)
{
	const struct event_enter *enter = (const struct event_enter *)moment->event;
	uint64_t *cell = hazard_ring_cell(context, moment->ring);
	struct unseen u = unseen_get(*cell);
	uint32_t ready = enter->cq_tail - enter->cq_head;

	if (u.head != (uint16_t)enter->cq_head)
		u.waits = u.submits = 0;
	u.head = (uint16_t)enter->cq_head;
	u.stack = enter->h.stack;
	if (ready && ready <= moment->ring->cq_entries) {
		bool waits =
			(enter->flags & URING_ENTER_GETEVENTS) && enter->min_complete && ready >= enter->min_complete;

		if (waits && u.waits < UINT8_MAX)
			u.waits++;
		if (enter->n_submit && u.submits < UINT8_MAX)
			u.submits++;
	}
	*cell = unseen_put(u);
	if (u.waits >= WAITS_IN_VAIN)
		report_unseen(context, moment, 0, ready);
}

static void look_cqe_not_seen(struct hazard_context *context, const struct moment *moment)
{
	const struct event_ring_state *state = (const struct event_ring_state *)moment->event;
	struct unseen u;

	if (!moment->ring || !known_sure(hazard_model(context), moment))
		return;
	if (moment->kind == MOMENT_ENTER) {
		look_at_enter(context, moment);
		return;
	}
	u = unseen_get(*hazard_ring_cell(context, moment->ring));
	/* A program that never takes anything and ends may not care (one wait may have begun as they came, and the
	 * first was an error); one that goes on submitting beside its completions does. */
	if (!state->known || state->cq_head || state->cq_tail - state->cq_head < 2 || u.waits + u.submits < 2)
		return;
	/* Nor does one whose requests are still in flight wait for each. */
	if (!u.waits && moment->ring->n_inflight && !known_hides_ends(moment->ring))
		return;
	report_unseen(context, moment, u.stack, state->cq_tail - state->cq_head);
}

const struct hazard hazard_cqe_not_seen = {
	.name = "cqe-not-seen",
	.family = "completion",
	.level = HAZARD_ERROR,
	.why = "A completion stays at the head of the ring until the program moves the head. Every wait returns the "
	       "same one, until the ring is full and overflows.",
	.fix = "Call io_uring_cqe_seen() once for each completion taken, or io_uring_cq_advance() for a batch.",
	.wants = HAZARD_WANTS(ENTER) | HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED),
	.needs = SOURCE_CQ_STATE,
	.look = look_cqe_not_seen,
};

/* ---- cq-over-advance: the cell counts looks in a row at which the head was beyond the tail ---- */

static void report_over_advance(struct hazard_context *context, const struct moment *moment, uint32_t head,
				uint32_t tail)
{
	uint64_t *cell = hazard_ring_cell(context, moment->ring);
	struct finding *finding;
	/* Head and tail are read one after the other: beside another thread that consumes, one look proves nothing. */
	uint64_t proof = moment->process && moment->process->n_threads > 1 && !is_end(moment) ? 2 : 1;

	if ((int32_t)(tail - head) >= 0) {
		*cell = 0;
		return;
	}
	if (++*cell < proof || !hazard_mark_ring(context, moment->ring))
		return;
	finding = hazard_finding(context, moment, NULL);
	hazard_message(finding,
		       "the program moved the completion ring's head to %u while the kernel has posted %u: %u more "
		       "than there were",
		       head, tail, head - tail);
	hazard_report(context, finding);
}

static void look_cq_over_advance(struct hazard_context *context, const struct moment *moment)
{
	if (!moment->ring || !known_sure(hazard_model(context), moment))
		return;
	if (moment->kind == MOMENT_ENTER) {
		const struct event_enter *enter = (const struct event_enter *)moment->event;

		report_over_advance(context, moment, enter->cq_head, enter->cq_tail);
	} else {
		const struct event_ring_state *state = (const struct event_ring_state *)moment->event;

		if (state->known)
			report_over_advance(context, moment, state->cq_head, state->cq_tail);
	}
}

static const char *const advance_supersedes[] = { "cq-overflow-unflushed", "cqe-not-seen", NULL };

const struct hazard hazard_cq_over_advance = {
	.name = "cq-over-advance",
	.family = "completion",
	.level = HAZARD_ERROR,
	.why = "The kernel believes the ring to be full of completions nobody has taken: what comes next overflows, "
	       "and the program reads old entries as new ones.",
	.fix = "Move the head by exactly what was taken: one io_uring_cqe_seen() per completion or one "
	       "io_uring_cq_advance() per batch, not both, and none when the wait failed.",
	.wants = HAZARD_WANTS(ENTER) | HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED),
	.needs = SOURCE_CQ_STATE,
	.look = look_cq_over_advance,
	.supersedes = advance_supersedes,
};

/* ---- request-overdue: only where somebody said what is long ---- */

/* In flight for that long, and not to wait on purpose, nor for another of its chain. */
static bool is_overdue(const struct model_request *request, uint64_t now, uint64_t limit)
{
	return request->op && known_inflight(request) && now > request->time && now - request->time > limit &&
	       !request->multishot && !request->chain_prev && request->sqe.opcode != URING_OP_TIMEOUT &&
	       request->sqe.opcode != URING_OP_LINK_TIMEOUT;
}

static void report_overdue(struct hazard_context *context, const struct moment *moment, struct model_request *request,
			   uint64_t limit)
{
	struct finding *finding = hazard_finding(context, moment, request);

	hazard_message(finding, "%s (user_data 0x%llx) is not done after more than %llu ms", request->op->name,
		       (unsigned long long)request->sqe.user_data, (unsigned long long)limit / 1000000);
	hazard_report(context, finding);
}

static void look_overdue(struct hazard_context *context, const struct moment *moment)
{
	uint64_t limit = hazard_options(context)->overdue_ns;

	if (!limit || !known_sure(hazard_model(context), moment))
		return;
	MAP_FOR_EACH(&hazard_model(context)->rings, entry)
	{
		struct model_ring *ring = entry->value;

		for (struct model_request *request = ring->first; request; request = request->next)
			if (is_overdue(request, moment->time, limit) && hazard_mark_request(context, request))
				report_overdue(context, moment, request, limit);
	}
}

const struct hazard hazard_request_overdue = {
	.name = "request-overdue",
	.family = "completion",
	.level = HAZARD_NOTE,
	.why = "A request has no time limit of its own: it stays in flight, with its buffer and its descriptor, until "
	       "what it waits for comes, for ever if need be.",
	.fix = "Link a LINK_TIMEOUT to a request that may wait, or cancel it by a timer of your own.",
	.wants = HAZARD_WANTS(TICK),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.look = look_overdue,
};
