/* SPDX-License-Identifier: MIT */
/* Waits that nothing will end. */
#include "hazard/hazard.h"
#include "hazard/known.h"

/* So long must a call have been blocked before it is plain that it does not return. */
#define PLAIN_NS UINT64_C(500000000)

/*
 * The cell: how many completions could come for the wait under way (saturating), and whether an entry under preparation
 * was seen beyond the published tail.
 */
enum { CELL_UNLIMITED = 0x7fffffff, COUNTED_OPEN = 1024 };
#define CELL_PREPARED (UINT64_C(1) << 32)

static uint32_t completions_of(const struct model_request *request)
{
	if (request->multishot || request->state == REQUEST_UNKNOWN || request->ambiguous)
		return CELL_UNLIMITED;
	return known_trait(request, ABI_ZERO_COPY) ? 2 : 1;
}

static void add_possible(uint64_t *cell, uint32_t n)
{
	uint64_t possible = (*cell & CELL_UNLIMITED) + n;

	*cell = (*cell & ~(uint64_t)CELL_UNLIMITED) | (possible > CELL_UNLIMITED ? CELL_UNLIMITED : possible);
}

/* Everything that could complete while this call waits. Entries left earlier count with their call's, as SUBMIT tells
 * them again. */
static void count_possible(uint64_t *cell, const struct moment *moment)
{
	const struct event_enter *enter = (const struct event_enter *)moment->event;

	*cell &= CELL_PREPARED;
	add_possible(cell, enter->cq_tail - enter->cq_head);
	if (moment->ring->n_unknown || moment->ring->n_multishot || moment->ring->n_open > COUNTED_OPEN ||
	    (enter->sq_flags & URING_SQ_CQ_OVERFLOW) || moment->ring->lost)
		add_possible(cell, CELL_UNLIMITED);
	if ((*cell & CELL_UNLIMITED) == CELL_UNLIMITED)
		return; /* also because many would be counted at each call */
	for (const struct model_request *request = moment->ring->first; request; request = request->next)
		if (request->state != REQUEST_QUEUED)
			add_possible(cell, completions_of(request));
}

/* Nobody else can post a completion to the ring or submit to it. */
static bool alone(const struct model *model, const struct model_ring *ring, const struct model_thread *thread)
{
	const struct model_process *process = thread->process;

	return process == ring->process && process->n_threads <= 1 && !process->forked && !model->lost &&
	       !ring->sqpoll_kept && !known_others_post(model, ring);
}

static bool waits_for_too_much(const struct model_thread *thread, uint64_t cell)
{
	const struct event_enter *enter = &thread->enter;
	uint32_t wanted = enter->min_complete;

	if (!(enter->flags & URING_ENTER_GETEVENTS) || !wanted || enter->timeout != UINT64_MAX)
		return false;
	if (thread->in_enter && wanted > thread->in_enter->cq_entries)
		wanted = thread->in_enter->cq_entries;
	return wanted > (cell & CELL_UNLIMITED);
}

/* The reason is that entries were not submitted, rather than that too little was asked for. */
static bool is_forgotten(const struct model_ring *ring, const struct model_thread *thread, uint64_t cell)
{
	const struct event_enter *enter = &thread->enter;

	if (enter->n_submit || enter->to_submit)
		return false;
	return enter->sq_tail != enter->sq_head || (cell & CELL_PREPARED) || ring->n_submitted == 0;
}

static void track(struct hazard_context *context, const struct moment *moment)
{
	uint64_t *cell;

	if (!moment->ring)
		return;
	cell = hazard_ring_cell(context, moment->ring);
	if (moment->kind == MOMENT_ENTER)
		count_possible(cell, moment);
	else if (moment->kind == MOMENT_SUBMIT && moment->request)
		add_possible(cell, completions_of(moment->request));
	else if (moment->kind == MOMENT_CONSUMED)
		*cell &= ~CELL_PREPARED;
	else if (moment->kind == MOMENT_SLOT_CHANGED) {
		const struct event_slot_changed *changed = (const struct event_slot_changed *)moment->event;
		uint32_t mask = moment->ring->sq_entries - 1;

		if (changed->slot == (changed->sq_tail & mask))
			*cell |= CELL_PREPARED;
	}
}

/* Entries that a call left behind are another story: see batch-aborted-at-bad-sqe and submit-failure-leaves-sqe-queued.
 */
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
			if (waits_for_too_much(thread, *hazard_ring_cell(context, ring)))
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
	uint64_t *cell;

	track(context, moment);
	if (moment->kind == MOMENT_TICK) {
		look_at_blocked(context, moment, report_forgotten);
		return;
	}
	/* A wait with a time limit ends; what it waited for was published all the same. */
	if (moment->kind != MOMENT_CALL || !moment->ring || !moment->thread ||
	    !known_sure(hazard_model(context), moment))
		return;
	cell = hazard_ring_cell(context, moment->ring);
	if (((const struct event_enter_return *)moment->event)->result != -62 /* ETIME */ || (*cell & CELL_UNLIMITED) ||
	    moment->process->n_threads > 1 || moment->thread->enter.to_submit)
		return;
	if (moment->thread->enter.sq_tail == moment->thread->enter.sq_head && !(*cell & CELL_PREPARED))
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
	       "in flight the wait does "
	       "not end.",
	.fix = "Call io_uring_submit() before waiting, or io_uring_submit_and_wait().",
	.wants = HAZARD_WANTS(ENTER) | HAZARD_WANTS(SUBMIT) | HAZARD_WANTS(CONSUMED) | HAZARD_WANTS(SLOT_CHANGED) |
		 HAZARD_WANTS(TICK) | HAZARD_WANTS(CALL),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_CQ_STATE,
	.look = look_forgotten_submit,
	.supersedes = forgotten_supersedes,
};

static void report_without_inflight(struct hazard_context *context, const struct moment *moment,
				    struct model_thread *thread, struct model_ring *ring, bool forgotten)
{
	uint32_t possible = (uint32_t)(*hazard_ring_cell(context, ring) & CELL_UNLIMITED);
	struct finding *finding;

	if (forgotten || !hazard_mark_ring(context, ring))
		return;
	finding = wait_finding(context, moment, thread, ring);
	if (possible)
		hazard_message(finding, "waits for %u completions, but at most %u can come", thread->enter.min_complete,
			       possible);
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
	       "there, and nobody will post "
	       "them.",
	.fix = "Count what is in flight and wait for no more than that, or give the wait a time limit.",
	.wants = HAZARD_WANTS(ENTER) | HAZARD_WANTS(SUBMIT) | HAZARD_WANTS(CONSUMED) | HAZARD_WANTS(SLOT_CHANGED) |
		 HAZARD_WANTS(TICK),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_CQ_STATE,
	.look = look_wait_without_inflight,
};
