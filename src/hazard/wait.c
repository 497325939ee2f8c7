/* SPDX-License-Identifier: MIT */
/* Waits that nothing will end. */
#include "hazard/hazard.h"
#include "hazard/known.h"

/* So long must a call have been blocked before it is plain that it does not return. */
#define PLAIN_NS UINT64_C(500000000)

/*
 * Whether anything can end a wait is counted when it is asked, which is seldom, and not as requests come and go. The
 * cell keeps what must be remembered for that: how many completions the ring had had when the call was made (31 bits),
 * and, where an entry under preparation was seen beyond the published tail, how many submissions then (CELL_PREPARED
 * and 31 bits above it).
 */
enum { COUNT_MASK = 0x7fffffff, UNLIMITED = COUNT_MASK, COUNTED_OPEN = 65536 };
#define CELL_PREPARED (UINT64_C(1) << 31)
#define PREPARED_MASK (CELL_PREPARED | (uint64_t)COUNT_MASK << 32)

static uint32_t completions_of(const struct model_request *request)
{
	if (request->multishot || request->state == REQUEST_UNKNOWN || request->ambiguous)
		return UNLIMITED;
	return known_trait(request, ABI_ZERO_COPY) ? 2 : 1;
}

static uint64_t open_completions(const struct model_ring *ring)
{
	uint64_t n = 0;

	for (const struct model_request *request = ring->first; request; request = request->next)
		if (request->state != REQUEST_QUEUED)
			n += completions_of(request);
	return n;
}

/* How many completions there can be for the thread's newest wait, those that have come since it began included. */
static uint32_t possible(const struct model_ring *ring, const struct model_thread *thread, uint64_t cell)
{
	const struct event_enter *enter = &thread->enter;
	uint64_t n;

	if (ring->n_unknown || ring->n_multishot || ring->n_open > COUNTED_OPEN || ring->lost ||
	    (enter->sq_flags & URING_SQ_CQ_OVERFLOW))
		return UNLIMITED;
	n = (uint64_t)(enter->cq_tail - enter->cq_head) + ((ring->n_completed - cell) & COUNT_MASK) +
	    open_completions(ring);
	return n < UNLIMITED ? (uint32_t)n : UNLIMITED;
}

static bool is_prepared(const struct model_ring *ring, uint64_t cell)
{
	return cell & CELL_PREPARED && (cell >> 32 & COUNT_MASK) == (ring->n_submitted & COUNT_MASK);
}

/* Nobody else can post a completion to the ring or submit to it. */
static bool alone(const struct model *model, const struct model_ring *ring, const struct model_thread *thread)
{
	const struct model_process *process = thread->process;

	return process == ring->process && process->n_threads <= 1 && !process->forked && !model->lost &&
	       !ring->sqpoll_kept && !known_others_post(model, ring);
}

static bool waits_for_too_much(const struct model_thread *thread, const struct model_ring *ring, uint64_t cell)
{
	const struct event_enter *enter = &thread->enter;
	uint32_t wanted = enter->min_complete;

	if (!(enter->flags & URING_ENTER_GETEVENTS) || !wanted || enter->timeout != UINT64_MAX)
		return false;
	if (wanted > ring->cq_entries)
		wanted = ring->cq_entries;
	return wanted > possible(ring, thread, cell);
}

/* The reason is that entries were not submitted, rather than that too little was asked for. */
static bool is_forgotten(const struct model_ring *ring, const struct model_thread *thread, uint64_t cell)
{
	const struct event_enter *enter = &thread->enter;

	if (enter->n_submit || enter->to_submit)
		return false;
	return enter->sq_tail != enter->sq_head || is_prepared(ring, cell) || ring->n_submitted == 0;
}

static void track(struct hazard_context *context, const struct moment *moment)
{
	const struct event_slot_changed *changed = (const struct event_slot_changed *)moment->event;
	struct model_ring *ring = moment->ring;
	uint64_t *cell;

	if (!ring)
		return;
	cell = hazard_ring_cell(context, ring);
	if (moment->kind == MOMENT_ENTER)
		*cell = (*cell & PREPARED_MASK) | (ring->n_completed & COUNT_MASK);
	else if (moment->kind == MOMENT_SLOT_CHANGED && changed->slot == (changed->sq_tail & (ring->sq_entries - 1)))
		*cell = (*cell & COUNT_MASK) | CELL_PREPARED | (ring->n_submitted & COUNT_MASK) << 32;
}

/* Entries that a call left behind are another story: batch-aborted-at-bad-sqe, submit-failure-leaves-sqe-queued. */
static bool has_left(const struct model_ring *ring)
{
	for (const struct model_request *request = ring->first; request; request = request->next)
		if (request->state == REQUEST_QUEUED)
			return true;
	return false;
}

typedef void report_wait(struct hazard_context *, const struct moment *, struct model_thread *, struct model_ring *,
			 bool forgotten);

static struct finding *wait_finding(struct hazard_context *context, const struct moment *moment,
				    const struct model_thread *thread, const struct model_ring *ring)
{
	struct finding *finding = hazard_finding(context, moment, NULL);

	finding->pid = thread->process->pid;
	finding->tid = thread->tid;
	finding->ring = ring->id;
	finding->ring_fd = ring->fd;
	for (size_t i = 0; i < FINDING_STACKS; i++)
		finding->stacks[i] = (struct finding_stack){ NULL, 0, 0 };
	hazard_stack(finding, "waits at", thread->process->pid, thread->enter.h.stack);
	return finding;
}

static void look_at_blocked(struct hazard_context *context, const struct moment *moment, report_wait *report)
{
	struct model *model = hazard_model(context);

	MAP_FOR_EACH(&model->processes, entry)
	{
		struct model_process *process = entry->value;

		MAP_FOR_EACH(&process->threads, inner)
		{
			struct model_thread *thread = inner->value;
			struct model_ring *ring = thread->in_enter;

			if (!ring || moment->time < thread->enter.h.time + PLAIN_NS || !alone(model, ring, thread) ||
			    (thread->enter.h.flags & EVENT_UNCERTAIN) || has_left(ring))
				continue;
			if (waits_for_too_much(thread, ring, *hazard_ring_cell(context, ring)))
				report(context, moment, thread, ring,
				       is_forgotten(ring, thread, *hazard_ring_cell(context, ring)));
		}
	}
}

static void report_forgotten(struct hazard_context *context, const struct moment *moment, struct model_thread *thread,
			     struct model_ring *ring, bool forgotten)
{
	const struct event_enter *enter = &thread->enter;
	struct finding *finding;

	if (!forgotten || !hazard_mark_ring(context, ring))
		return;
	finding = wait_finding(context, moment, thread, ring);
	if (enter->sq_tail != enter->sq_head)
		hazard_message(finding,
			       "waits for %u completion(s) while %u entr%s published in the submission queue and not "
			       "submitted",
			       enter->min_complete, enter->sq_tail - enter->sq_head,
			       enter->sq_tail - enter->sq_head == 1 ? "y is" : "ies are");
	else if (ring->n_submitted == 0)
		hazard_message(finding, "waits for %u completion(s) on a ring to which nothing was ever submitted",
			       enter->min_complete);
	else
		hazard_message(finding,
			       "waits for %u completion(s) while an entry is prepared and not submitted, and nothing "
			       "is in flight",
			       enter->min_complete);
	hazard_report(context, finding);
}

static void look_forgotten_submit(struct hazard_context *context, const struct moment *moment)
{
	struct finding *finding;
	uint64_t cell;

	track(context, moment);
	if (moment->kind == MOMENT_TICK) {
		look_at_blocked(context, moment, report_forgotten);
		return;
	}
	/* A wait with a time limit ends; what it waited for was published all the same. */
	if (moment->kind != MOMENT_CALL || !moment->ring || !moment->thread ||
	    !known_sure(hazard_model(context), moment))
		return;
	if (((const struct event_enter_return *)moment->event)->result != -62 /* ETIME */ ||
	    moment->process->n_threads > 1 || moment->thread->enter.to_submit)
		return;
	cell = *hazard_ring_cell(context, moment->ring);
	if (possible(moment->ring, moment->thread, cell) ||
	    (moment->thread->enter.sq_tail == moment->thread->enter.sq_head && !is_prepared(moment->ring, cell)))
		return;
	if (!hazard_mark_ring(context, moment->ring))
		return;
	finding = wait_finding(context, moment, moment->thread, moment->ring);
	hazard_message(finding, "waited in vain: nothing was in flight, and what was prepared had not been submitted");
	hazard_report(context, finding);
}

static const char *const forgotten_supersedes[] = { "wait-without-inflight", NULL };

const struct hazard hazard_forgotten_submit = {
	.name = "forgotten-submit",
	.family = "submission",
	.level = HAZARD_ERROR,
	.why = "Preparing an entry tells the kernel nothing, and liburing's wait functions do not submit: with nothing "
	       "in flight the wait does not end.",
	.fix = "Call io_uring_submit() before waiting, or io_uring_submit_and_wait().",
	.wants = HAZARD_WANTS(ENTER) | HAZARD_WANTS(SLOT_CHANGED) | HAZARD_WANTS(TICK) | HAZARD_WANTS(CALL),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_CQ_STATE,
	.look = look_forgotten_submit,
	.supersedes = forgotten_supersedes,
};

static void report_without_inflight(struct hazard_context *context, const struct moment *moment,
				    struct model_thread *thread, struct model_ring *ring, bool forgotten)
{
	uint32_t n = possible(ring, thread, *hazard_ring_cell(context, ring));
	struct finding *finding;

	if (forgotten || !hazard_mark_ring(context, ring))
		return;
	finding = wait_finding(context, moment, thread, ring);
	if (n)
		hazard_message(finding, "waits for %u completions, but at most %u can come", thread->enter.min_complete,
			       n);
	else
		hazard_message(finding, "waits for %u completion(s) while nothing is in flight",
			       thread->enter.min_complete);
	hazard_report(context, finding);
}

static void look_wait_without_inflight(struct hazard_context *context, const struct moment *moment)
{
	track(context, moment);
	if (moment->kind == MOMENT_TICK)
		look_at_blocked(context, moment, report_without_inflight);
}

const struct hazard hazard_wait_without_inflight = {
	.name = "wait-without-inflight",
	.family = "completion",
	.level = HAZARD_ERROR,
	.why = "The kernel does not check that a wait can be satisfied: it sleeps until that many completions are "
	       "there, and nobody will post them.",
	.fix = "Count what is in flight and wait for no more than that, or give the wait a time limit.",
	.wants = HAZARD_WANTS(ENTER) | HAZARD_WANTS(SLOT_CHANGED) | HAZARD_WANTS(TICK),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_CQ_STATE,
	.look = look_wait_without_inflight,
};
