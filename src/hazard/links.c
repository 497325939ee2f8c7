/* SPDX-License-Identifier: MIT */
/* Chains that are not what they look like: cut, cancelled or never started, by how they were built. */
#include "hazard/hazard.h"
#include "hazard/known.h"

enum { RESULT_EINVAL = -22, RESULT_ETIME = -62, RESULT_ECANCELED = -125 };

static bool links_any(const struct model_request *request)
{
	return request->sqe.flags & (URING_SQE_IO_LINK | URING_SQE_IO_HARDLINK);
}

static unsigned long long id(const struct model_request *request)
{
	return (unsigned long long)request->sqe.user_data;
}

static struct model_request *first_of(struct model_request *request)
{
	while (request->chain_prev)
		request = request->chain_prev;
	return request;
}

/* ---- link-invalid-member-cancels-all: the first completion of the chain tells it, while all members are still there
 * ---- */

static void list_members(struct finding *finding, const struct model_request *member, const char *field)
{
	bool before = true;

	for (; member && finding->n_steps < FINDING_STEPS; member = member->chain_next) {
		if (member->refused) {
			hazard_step(finding, "%s (user_data 0x%llx) is refused: its %s", member->op->name, id(member),
				    field);
			before = false;
		} else {
			hazard_step(finding, "%s (user_data 0x%llx), %s it, is cancelled", member->op->name, id(member),
				    before ? "before" : "behind");
		}
	}
}

static void look_invalid_member(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *refused;
	const char *field = NULL;
	struct finding *finding;
	uint32_t n = 0;
	int expected;

	if (!known_end(hazard_model(context), moment) || !moment->request->chained)
		return;
	refused = known_refused_member(moment->request);
	if (!refused || (!refused->chain_prev && !refused->chain_next))
		return;
	expected = model_refusal(refused, &field);
	if (!expected || !field || known_result(moment) != (moment->request == refused ? expected : RESULT_ECANCELED) ||
	    !hazard_mark_request(context, refused))
		return;
	for (const struct model_request *member = first_of(refused); member; member = member->chain_next)
		n += member != refused;
	finding = hazard_finding(context, moment, refused);
	hazard_message(
		finding,
		"the kernel refused %s (user_data 0x%llx) because of the entry's %s, and so cancelled the other %u "
		"member%s of its chain%s",
		refused->op->name, id(refused), field, n, n == 1 ? "" : "s",
		refused->chain_prev ? ", also what stands before it" : "");
	list_members(finding, first_of(refused), field);
	hazard_report(context, finding);
}

static const char *const invalid_member_supersedes[] = { "invalid-sqe-fields", NULL };

const struct hazard hazard_link_invalid_member_cancels_all = {
	.name = "link-invalid-member-cancels-all",
	.family = "links",
	.level = HAZARD_ERROR,
	.why = "The kernel looks at every entry of a chain before it starts the first: one entry that it refuses "
	       "cancels the whole chain, also the members before it and those behind a hard link.",
	.fix = "Let an io_uring_prep_* helper fill each entry, and set only fields and flags the operation knows; only "
	       "errors of running requests stop a chain in its middle.",
	.wants = HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_failures = true,
	.look = look_invalid_member,
	.supersedes = invalid_member_supersedes,
};

/* ---- link-split-by-submit ---- */

/* The cell: the linked entry that ended a call, while its completion has not been taken. */
enum split_state { SPLIT_NONE, SPLIT_IN_FLIGHT, SPLIT_COMPLETED };
enum { SPLIT_INDEX_MASK = 0x1fffffff, SPLIT_NO_FD = 0xff };

struct split {
	uint32_t stack; /* of its submission, 24 bits */
	uint8_t fd;     /* the lower bits of its descriptor */
	uint32_t index; /* 29 bits of where it is in the submission queue, then of where its completion is */
	bool full;      /* the submission queue was: there was no room for the rest */
	enum split_state state;
};

static uint64_t split_pack(struct split split)
{
	return (uint64_t)(split.stack & 0xffffff) << 40 | (uint64_t)split.fd << 32 |
	       (uint64_t)(split.index & SPLIT_INDEX_MASK) << 3 | (uint64_t)split.full << 2 | (uint64_t)split.state;
}

static struct split split_unpack(uint64_t cell)
{
	return (struct split){ .stack = (uint32_t)(cell >> 40),
			       .fd = (uint8_t)(cell >> 32),
			       .index = (uint32_t)(cell >> 3) & SPLIT_INDEX_MASK,
			       .full = cell >> 2 & 1,
			       .state = (enum split_state)(cell & 3) };
}

static uint8_t split_fd(const struct model_request *request)
{
	return known_trait(request, ABI_FD) && request->sqe.fd >= 0 ? (uint8_t)request->sqe.fd : SPLIT_NO_FD;
}

static const struct model_request *last_taken(const struct moment *moment)
{
	const struct event_enter_return *end = (const struct event_enter_return *)moment->event;

	for (const struct model_request *request = moment->ring->last; request; request = request->prev)
		if (request->call == moment->thread->enter.call && request->sq_index == end->sq_head - 1)
			return request;
	return NULL;
}

static void report_cut(struct hazard_context *context, const struct moment *moment, const struct model_request *last,
		       uint32_t n_left)
{
	struct finding *finding;

	finding = hazard_finding(context, moment, last);
	finding->level = HAZARD_ERROR;
	hazard_message(
		finding,
		"the call took entries up to %s (user_data 0x%llx), which links to the next one, and left %u in the "
		"submission queue: the chain ends there, and what follows will start without waiting for it",
		last->op->name, id(last), n_left);
	hazard_report(context, finding);
}

static void note_last(struct hazard_context *context, const struct moment *moment, uint64_t *cell)
{
	const struct event_enter_return *end = (const struct event_enter_return *)moment->event;
	const struct model_request *last;
	uint32_t n_left = end->sq_tail - end->sq_head;

	if (!moment->thread || !end->consumed || end->consumed == UINT32_MAX ||
	    (moment->ring->setup_flags & URING_SETUP_SQ_REWIND))
		return;
	*cell = 0;
	last = last_taken(moment);
	if (!last || !links_any(last) || last->refused || last->uncertain || moment->ring->sqpoll_kept)
		return;
	if (n_left && n_left <= moment->ring->sq_entries)
		report_cut(context, moment, last, n_left);
	else if (!(last->sqe.flags & URING_SQE_CQE_SKIP_SUCCESS))
		*cell = split_pack((struct split){ .stack = last->stack,
						   .fd = split_fd(last),
						   .index = last->sq_index,
						   .full = end->consumed == moment->ring->sq_entries,
						   .state = SPLIT_IN_FLIGHT });
}

/* The completion was taken before the next entries were submitted: the program keeps the order itself. */
static bool was_reaped(struct split split, const struct model_thread *thread)
{
	return split.state == SPLIT_COMPLETED &&
	       ((thread->enter.cq_head - split.index) & SPLIT_INDEX_MASK) - 1 < SPLIT_INDEX_MASK / 2;
}

/* Whether it looks like the rest of the chain, rather than like a link flag that is set out of habit. */
static bool is_related(struct split split, const struct model_request *request)
{
	return split.full || (split.fd != SPLIT_NO_FD && split.fd == split_fd(request));
}

static void look_at_follower(struct hazard_context *context, const struct moment *moment, uint64_t *cell)
{
	struct split split = split_unpack(*cell);
	struct finding *finding;

	if (split.state == SPLIT_NONE || !moment->request->event || moment->request->event->position || !moment->thread)
		return;
	*cell = 0;
	/* A drain waits all the same; a time limit has a finding of its own. */
	if (was_reaped(split, moment->thread) || (moment->request->sqe.flags & URING_SQE_IO_DRAIN) ||
	    moment->request->sqe.opcode == URING_OP_LINK_TIMEOUT)
		return;
	finding = hazard_finding(context, moment, moment->request);
	finding->level = is_related(split, moment->request) ? HAZARD_WARNING : HAZARD_NOTE;
	hazard_message(finding,
		       "the last entry of the call before linked to the next one, but a chain ends with its call: %s "
		       "(user_data 0x%llx) starts without waiting for it",
		       moment->request->op->name, id(moment->request));
	hazard_stack(finding, "chain begun by", moment->process ? moment->process->pid : 0, split.stack);
	hazard_report_after_call(context, finding, true);
}

static void note_completion(const struct moment *moment, uint64_t *cell)
{
	struct split split = split_unpack(*cell);

	if (split.state != SPLIT_IN_FLIGHT || split.index != (moment->request->sq_index & SPLIT_INDEX_MASK))
		return;
	split.state = SPLIT_COMPLETED;
	split.index = ((const struct event_complete *)moment->event)->cq_index;
	*cell = split_pack(split);
}

static void look_split(struct hazard_context *context, const struct moment *moment)
{
	uint64_t *cell;

	if (!moment->ring)
		return;
	cell = hazard_ring_cell(context, moment->ring);
	if (moment->kind == MOMENT_CALL && known_sure(hazard_model(context), moment))
		note_last(context, moment, cell);
	else if (!*cell)
		return;
	else if (!known_sure(hazard_model(context), moment))
		*cell = 0;
	else if (moment->kind == MOMENT_SUBMIT && moment->request)
		look_at_follower(context, moment, cell);
	else if (moment->kind == MOMENT_COMPLETE && moment->request && moment->final)
		note_completion(moment, cell);
}

const struct hazard hazard_link_split_by_submit = {
	.name = "link-split-by-submit",
	.family = "links",
	.level = HAZARD_ERROR,
	.why = "A chain ends where the kernel stops taking entries, whatever the last one's flags say: what is "
	       "submitted next starts at once, also when the first part fails.",
	.fix = "Make sure that a chain fits (io_uring_sq_space_left()) before preparing its first entry, submit it in "
	       "one call, and leave the link flag off its last member.",
	.wants = HAZARD_WANTS(CALL) | HAZARD_WANTS(SUBMIT) | HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_CQ_STATE,
	.when = { .submit = HAZARD_WHEN_CELL, .complete = HAZARD_WHEN_CELL },
	.look = look_split,
};

/* ---- link-timeout-misplaced: a well placed one is marked, so that only the others are left when -EINVAL comes ---- */

static bool guards_something(const struct model_request *request)
{
	const struct model_request *before = request->chain_prev;

	return before && links_any(before) && before->sqe.opcode != URING_OP_LINK_TIMEOUT;
}

static void look_link_timeout(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request;
	struct finding *finding;
	uint64_t *cell;

	if (!request || request->sqe.opcode != URING_OP_LINK_TIMEOUT || !moment->ring)
		return;
	cell = hazard_ring_cell(context, moment->ring);
	if (moment->kind == MOMENT_CONSUMED) {
		if (guards_something(request) || request->refused || !known_sure(hazard_model(context), moment))
			hazard_mark_request(context, request);
		*cell = request->chain_prev != NULL;
		return;
	}
	if (!known_end(hazard_model(context), moment) || known_result(moment) != RESULT_EINVAL ||
	    !hazard_mark_request(context, request))
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(finding, "LINK_TIMEOUT (user_data 0x%llx) was refused: %s", id(request),
		       *cell ? "it stands behind another LINK_TIMEOUT, so the whole chain was cancelled"
			     : "no entry of the same call links to it, so nothing has a time limit");
	hazard_report(context, finding);
}

static const char *const misplaced_supersedes[] = { "link-split-by-submit", "invalid-sqe-fields", NULL };

const struct hazard hazard_link_timeout_misplaced = {
	.name = "link-timeout-misplaced",
	.family = "links",
	.level = HAZARD_ERROR,
	.why = "A LINK_TIMEOUT limits the request right before it, which must carry the link flag and go in the same "
	       "call; elsewhere it is refused and the request runs without a limit.",
	.fix = "Set IOSQE_IO_LINK on the request to be limited and prepare the LINK_TIMEOUT right behind it, one for "
	       "each.",
	.wants = HAZARD_WANTS(CONSUMED) | HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_ops = HAZARD_OP(LINK_TIMEOUT),
	.only_failures = true,
	.look = look_link_timeout,
	.supersedes = misplaced_supersedes,
};

/* ---- timeout-as-delay ---- */

/* What is linked behind it, past its own time limit. NULL = nothing. */
static const struct model_request *what_waits(const struct model_request *request)
{
	const struct model_request *next = request->chain_next;

	return next && next->sqe.opcode == URING_OP_LINK_TIMEOUT ? next->chain_next : next;
}

static bool fails_when_it_fires(const struct model_request *request)
{
	uint32_t flags = request->sqe.op_flags;

	return request->sqe.opcode == URING_OP_TIMEOUT && !request->sqe.off &&
	       !(flags & (URING_TIMEOUT_ETIME_SUCCESS | URING_TIMEOUT_MULTISHOT));
}

static void look_timeout_as_delay(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request, *next;
	struct finding *finding;

	if (!known_end(hazard_model(context), moment) || !fails_when_it_fires(request) || !known_soft_link(request) ||
	    known_result(moment) != RESULT_ETIME)
		return;
	next = what_waits(request);
	if (!next)
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(
		finding,
		"%s (user_data 0x%llx) is linked behind a TIMEOUT: that completes with -ETIME, which counts as a "
		"failure, so %s never runs",
		next->op->name, id(next), next->op->name);
	hazard_report(context, finding);
}

static const char *const delay_supersedes[] = { "link-cleanup-cancelled", NULL };

const struct hazard hazard_timeout_as_delay = {
	.name = "timeout-as-delay",
	.family = "links",
	.level = HAZARD_ERROR,
	.why = "A timeout that runs out completes with -ETIME, and for a soft link that is a failure: what is linked "
	       "behind it is always cancelled.",
	.fix = "Set IORING_TIMEOUT_ETIME_SUCCESS on the timeout (Linux 5.16), or link with IOSQE_IO_HARDLINK.",
	.wants = HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_ops = HAZARD_OP(TIMEOUT),
	.only_failures = true,
	.look = look_timeout_as_delay,
	.supersedes = delay_supersedes,
};

/* ---- link-on-multishot ---- */

/* Ends by failing only. A receive ends at the stream's end as well, and then what is linked to it does run. */
static bool ends_by_failing(const struct model_request *request)
{
	uint8_t opcode = request->sqe.opcode;

	if (opcode == URING_OP_TIMEOUT)
		return !(request->sqe.op_flags & URING_TIMEOUT_ETIME_SUCCESS);
	return opcode == URING_OP_POLL_ADD || opcode == URING_OP_ACCEPT;
}

static void look_link_on_multishot(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request;
	const struct model_request *next;
	struct finding *finding;

	if (!request || !request->multishot || !known_soft_link(request) || !ends_by_failing(request) ||
	    request->uncertain || !known_sure(hazard_model(context), moment) || known_refused_member(request))
		return;
	next = what_waits(request);
	if (!next)
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(finding,
		       "%s (user_data 0x%llx) is linked behind a multishot %s: it waits until that ends, and is "
		       "cancelled then",
		       next->op->name, id(next), request->op->name);
	hazard_report(context, finding);
}

const struct hazard hazard_link_on_multishot = {
	.name = "link-on-multishot",
	.family = "links",
	.level = HAZARD_ERROR,
	.why = "What is linked behind a multishot request starts when that has ended, not at each of its completions; "
	       "and it ends by failing or being cancelled, which cancels the rest of the chain.",
	.fix = "Submit the follow-up when a completion of the multishot request comes, or link it to a one-shot "
	       "request.",
	.wants = HAZARD_WANTS(CONSUMED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_traits = ABI_MULTISHOT,
	.look = look_link_on_multishot,
};
