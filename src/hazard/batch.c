/* SPDX-License-Identifier: MIT */
/* Submissions of which the kernel took only a part, and entries it refuses. */
#include "hazard/hazard.h"
#include "hazard/known.h"

static struct model_request *first_left(const struct model_ring *ring)
{
	struct model_request *request;

	for (request = ring->first; request; request = request->next)
		if (request->state == REQUEST_QUEUED)
			return request;
	return NULL;
}

static uint32_t count_left(const struct model_ring *ring)
{
	uint32_t n = 0;

	for (const struct model_request *request = ring->first; request; request = request->next)
		n += request->state == REQUEST_QUEUED;
	return n;
}

/* ---- batch-aborted-at-bad-sqe: the cell is 1 while entries lie behind a refused one ---- */

/* Entries that could be read were left behind others that were taken: the kernel does so only where it refused one. */
static bool call_was_cut(const struct moment *moment)
{
	const struct event_enter_return *end = (const struct event_enter_return *)moment->event;
	const struct event_enter *begin = &moment->thread->enter;

	return end->result > 0 && end->consumed != UINT32_MAX && end->consumed > 0 && end->consumed < begin->n_submit &&
	       end->consumed < begin->to_submit && end->sq_dropped == begin->sq_dropped &&
	       !(moment->ring->setup_flags & (URING_SETUP_SUBMIT_ALL | URING_SETUP_SQPOLL));
}

static void report_aborted(struct hazard_context *context, const struct moment *moment, enum hazard_level level,
			   const char *then)
{
	const struct model_request *left = first_left(moment->ring);
	struct finding *finding;

	if (!left)
		return;
	finding = hazard_finding(context, moment, left);
	finding->level = level;
	hazard_message(finding,
		       "the kernel refused an entry and stopped there: %u entr%s behind it, the first a %s, stayed in "
		       "the submission queue, %s",
		       count_left(moment->ring), count_left(moment->ring) == 1 ? "y" : "ies", left->op->name, then);
	hazard_report(context, finding);
}

static void look_batch_aborted(struct hazard_context *context, const struct moment *moment)
{
	const struct event_enter *enter = (const struct event_enter *)moment->event;
	uint64_t *cell;

	if (!moment->ring)
		return;
	cell = hazard_ring_cell(context, moment->ring);
	if (moment->kind == MOMENT_CALL) {
		if (known_sure(hazard_model(context), moment) && moment->thread && call_was_cut(moment))
			*cell = 1;
		return;
	}
	if (!*cell || !known_sure(hazard_model(context), moment))
		return;
	if (moment->kind != MOMENT_ENTER) {
		report_aborted(context, moment, HAZARD_WARNING, "and were never submitted");
		*cell = 0;
	} else if (enter->to_submit) {
		*cell = 0;
	} else if ((enter->flags & URING_ENTER_GETEVENTS) &&
		   enter->min_complete > enter->cq_tail - enter->cq_head + moment->ring->n_inflight) {
		report_aborted(context, moment, HAZARD_ERROR,
			       "and the program now waits for more completions than can come");
		*cell = 0;
	}
}

static const char *const aborted_supersedes[] = { "wait-without-inflight", "forgotten-submit", NULL };

const struct hazard hazard_batch_aborted_at_bad_sqe = {
	.name = "batch-aborted-at-bad-sqe",
	.family = "submission",
	.level = HAZARD_ERROR,
	.why = "Without IORING_SETUP_SUBMIT_ALL the kernel stops at the first entry it refuses. io_uring_submit() then "
	       "returns less than was prepared, does not wait, and the entries behind are not submitted.",
	.fix = "Compare io_uring_submit()'s result with what was prepared and submit again, or set "
	       "IORING_SETUP_SUBMIT_ALL.",
	.wants = HAZARD_WANTS(CALL) | HAZARD_WANTS(ENTER) | HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED),
	.needs = SOURCE_SQES,
	.look = look_batch_aborted,
	.supersedes = aborted_supersedes,
};

/* ---- submit-failure-leaves-sqe-queued ---- */

struct release {
	struct hazard_context *context;
	const struct moment *moment;
};

static void report_left(struct hazard_context *context, const struct moment *moment, struct model_request *request,
			const char *what)
{
	struct finding *finding;

	if (request->state != REQUEST_QUEUED || request->uncertain || !hazard_mark_request(context, request))
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(finding,
		       "%s (user_data 0x%llx) was not taken by the call that failed and still lies in the submission "
		       "queue, and %s",
		       request->op->name, (unsigned long long)request->sqe.user_data, what);
	hazard_stack(finding, "given up by", moment->event ? moment->event->pid : 0,
		     moment->event ? moment->event->stack : 0);
	hazard_report(context, finding);
}

static bool each_released(void *context, struct model_range *range)
{
	struct release *release = context;

	report_left(release->context, release->moment, range->request,
		    "its memory is released now: the next submit runs it");
	return true;
}

static bool same_request(const struct model_request *a, const struct model_request *b)
{
	return a->sqe.opcode == b->sqe.opcode && a->sqe.fd == b->sqe.fd && a->sqe.addr == b->sqe.addr &&
	       a->sqe.len == b->sqe.len && a->sqe.off == b->sqe.off && a->sqe.user_data == b->sqe.user_data;
}

/* An entry prepared once more while its first copy, left by a failed call, is submitted beside it. */
static void look_for_copy(struct hazard_context *context, const struct moment *moment, uint64_t *cell)
{
	struct model_request *request = moment->request;
	uint32_t first_left_index = (uint32_t)*cell, end_left_index = (uint32_t)(*cell >> 32);

	if (first_left_index == end_left_index || !known_trait(request, ABI_WRITES_FILE | ABI_STREAM_SEND))
		return;
	if ((int32_t)(request->sq_index - end_left_index) < 0)
		return;
	for (const struct model_request *other = request->ring->first; other; other = other->next) {
		struct finding *finding;

		if (other == request || !same_request(other, request) ||
		    (int32_t)(other->sq_index - first_left_index) < 0 ||
		    (int32_t)(other->sq_index - end_left_index) >= 0)
			continue;
		finding = hazard_finding(context, moment, request);
		hazard_message(finding,
			       "%s (user_data 0x%llx) is submitted twice: an earlier call failed and left its entry in "
			       "the submission queue, and the program prepared it again",
			       request->op->name, (unsigned long long)request->sqe.user_data);
		hazard_report_after_call(context, finding, false);
		return;
	}
}

static void note_failed_call(const struct moment *moment, uint64_t *cell)
{
	const struct event_enter_return *end = (const struct event_enter_return *)moment->event;

	if (end->result < 0 && end->consumed == 0 && moment->thread && moment->thread->enter.n_submit)
		*cell = end->sq_head | (uint64_t)(end->sq_head + moment->thread->enter.n_submit) << 32;
	else if (end->consumed && end->consumed != UINT32_MAX)
		*cell = 0;
}

static void look_submit_failure(struct hazard_context *context, const struct moment *moment)
{
	const struct event_release *release = (const struct event_release *)moment->event;
	struct release visitor = { context, moment };

	if (!known_sure(hazard_model(context), moment))
		return;
	if (moment->kind == MOMENT_CALL && moment->ring) {
		note_failed_call(moment, hazard_ring_cell(context, moment->ring));
	} else if (moment->kind == MOMENT_SUBMIT && moment->request) {
		look_for_copy(context, moment, hazard_ring_cell(context, moment->ring));
	} else if (moment->kind == MOMENT_RELEASE && moment->process && release->how != EVENT_FRAME) {
		model_overlaps(moment->process, release->address, release->length, each_released, &visitor);
	} else if (moment->kind == MOMENT_FD_CLOSE && moment->fd) {
		MAP_FOR_EACH(&hazard_model(context)->rings, entry)
		{
			struct model_ring *ring = entry->value;

			for (struct model_request *request = ring->first; request; request = request->next)
				if (request->fd == moment->fd && request->fd_generation == moment->fd->generation)
					report_left(context, moment, request,
						    "its file is closed now: the next submit runs it");
		}
	}
}

static const char *const left_supersedes[] = {
	"buffer-freed-in-flight",  "indirect-argument-freed", "close-does-not-cancel", "fd-recycled", "bad-fd",
	"ordering-assumed-stream", "offset-misuse",           "user-data-collision",   NULL
};

const struct hazard hazard_submit_failure_leaves_sqe_queued = {
	.name = "submit-failure-leaves-sqe-queued",
	.family = "submission",
	.level = HAZARD_ERROR,
	.why = "A failed io_uring_submit() takes nothing back: the entries stay published and the next successful "
	       "submit runs them.",
	.fix = "After a failure submit again and keep everything the entries use, or turn them into NOPs before giving "
	       "up.",
	.wants = HAZARD_WANTS(RELEASE) | HAZARD_WANTS(FD_CLOSE) | HAZARD_WANTS(CALL) | HAZARD_WANTS(SUBMIT),
	.needs = SOURCE_SQES,
	.when = { .submit = HAZARD_WHEN_CELL },
	.look = look_submit_failure,
	.supersedes = left_supersedes,
};

/* ---- invalid-sqe-fields ---- */

/* The finding about the entries left behind says it better; a chain cancelled whole has its own name too. */
static bool has_worse_consequence(const struct model_request *request)
{
	if (request->chained)
		return true;
	for (const struct model_request *other = request->ring->first; other; other = other->next)
		if (other->call == request->call && other->state == REQUEST_QUEUED)
			return true;
	return false;
}

static void look_invalid_sqe_fields(struct hazard_context *context, const struct moment *moment)
{
	const struct event_complete *complete = (const struct event_complete *)moment->event;
	const struct model_request *request = moment->request;
	struct finding *finding;
	const char *field = NULL;

	if (!request || !moment->certain || !moment->final || !request->refused ||
	    !known_sure(hazard_model(context), moment))
		return;
	if (complete->cqe.res >= 0 || has_worse_consequence(request))
		return;
	if (model_refusal(request, &field) != complete->cqe.res || !field)
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(finding, "the kernel refused %s with %s (%d) because of the entry's %s", request->op->name,
		       complete->cqe.res == -22   ? "EINVAL"
		       : complete->cqe.res == -95 ? "EOPNOTSUPP"
						  : "an error",
		       complete->cqe.res, field);
	hazard_report(context, finding);
}

const struct hazard hazard_invalid_sqe_fields = {
	.name = "invalid-sqe-fields",
	.family = "submission",
	.level = HAZARD_ERROR,
	.why = "The kernel checks every field of an entry that the operation does not use, and refuses the entry "
	       "before running it. A chain with such a member is cancelled whole, and a batch stops there.",
	.fix = "Let an io_uring_prep_* helper fill the entry, and set only fields and flags this operation knows.",
	.wants = HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_failures = true,
	.look = look_invalid_sqe_fields,
};
