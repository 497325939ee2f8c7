/* SPDX-License-Identifier: MIT */
/* Entries that are not what the program believes it submitted. */
#include "hazard/hazard.h"
#include "hazard/known.h"

enum { MAX_SLOTS_SCANNED = 256, MAX_ALIKE = 16, STALE_LOOK = 256 };

/* Operations whose repetition does something again. */
static bool repeats_badly(const struct model_request *request)
{
	return known_trait(request, ABI_STREAM_SEND | ABI_WRITES_FILE) || request->sqe.opcode == URING_OP_SPLICE;
}

static bool same_operation(const struct uring_sqe *a, const struct uring_sqe *b)
{
	return a->opcode == b->opcode && a->fd == b->fd && a->off == b->off && a->addr == b->addr && a->len == b->len &&
	       a->user_data == b->user_data;
}

/* What io_uring_get_sqe() resets (liburing 2.4 and later). */
static bool looks_reset(const struct uring_sqe *sqe)
{
	return !sqe->flags && !sqe->ioprio && !sqe->op_flags && !sqe->buf_index && !sqe->personality &&
	       !sqe->file_index && !sqe->addr3;
}

/*
 * A ring's habits, kept in the rule's cell: a program that uses a user_data again on purpose (constant tags, pooled
 * requests) shows the same value in several slots, or takes whole rounds of entries through the same slots again.
 */
enum {
	HABIT_BATCHES = 1u << 0, /* a call submitted several entries */
	HABIT_REPEATS = 1u << 1, /* an innocent entry came through its slot unchanged */
	SEEN_SUSPECT = 1u << 2,  /* an entry of a batch that is not judged yet might be a replay */
};

/* Whether the program has never been seen to use a user_data twice. */
static bool habit_unique(const struct model_request *request)
{
	const struct model_ring *ring = request->ring;

	return ring->tags && ring->n_shadow >= 2 && !ring->tags_reused &&
	       !model_tag_elsewhere(ring, request->sqe.user_data, request->slot);
}

static const struct model_slot_shadow *former_entry(const struct model_request *request)
{
	const struct model_ring *ring = request->ring;

	if (!ring->shadow || request->slot >= ring->n_shadow || !ring->shadow[request->slot].valid)
		return NULL;
	return &ring->shadow[request->slot];
}

/* Field by field what the slot held before, so that nobody can have prepared it anew for another purpose. */
static bool is_repetition(const struct model_request *request)
{
	const struct model_slot_shadow *former = former_entry(request);

	return former && former->sqe.user_data == request->sqe.user_data && request->sqe.user_data && !former->failed &&
	       looks_reset(&request->sqe) && same_operation(&former->sqe, &request->sqe);
}

static bool is_suspect(const struct model_request *request)
{
	bool file_read = request->object.type == EVENT_FD_FILE && known_trait(request, ABI_READS_FILE);

	return (repeats_badly(request) || file_read) && is_repetition(request);
}

static void report_replay(struct hazard_context *context, const struct moment *moment, struct model_request *request)
{
	struct finding *finding;

	if (!hazard_mark_request(context, request))
		return;
	finding = hazard_finding(context, moment, request);
	if (!repeats_badly(request))
		finding->level = HAZARD_WARNING;
	hazard_message(
		finding,
		"%s on fd %d in slot %u is, field by field, the entry this slot held before (user_data 0x%llx), while "
		"the program's other requests each have a user_data of their own: it is executed a second time",
		request->op->name, request->sqe.fd, request->slot, (unsigned long long)request->sqe.user_data);
	hazard_report_after_call(context, finding, true);
}

/*
 * In a call that submits several entries, a repetition beside entries that are new is no round taken through the ring
 * again. Judged once, when the call's last entry is told.
 */
static void judge_batch(struct hazard_context *context, const struct moment *moment, uint64_t *cell)
{
	struct model_request *other;
	bool any_fresh = false, any_suspect = false, alone = true;

	/* The last entry is new, and no other can be a replay: so it goes with most batches. */
	if (!(*cell & SEEN_SUSPECT) && !is_repetition(moment->request))
		return;
	for (other = moment->ring->staged_first; other; other = other->next) {
		if (other->call != moment->request->call || other->state != REQUEST_STAGED) {
			alone = false;
			continue;
		}
		any_fresh |= !is_repetition(other);
		any_suspect |= is_suspect(other);
	}
	if (alone)
		*cell &= ~(uint64_t)SEEN_SUSPECT;
	if (!any_fresh)
		*cell |= HABIT_REPEATS;
	if (!any_fresh || !any_suspect || (*cell & HABIT_REPEATS) || !habit_unique(moment->request))
		return;
	for (other = moment->ring->staged_first; other; other = other->next)
		if (other->call == moment->request->call && other->state == REQUEST_STAGED && is_suspect(other))
			report_replay(context, moment, other);
}

static void judge_alone(struct hazard_context *context, const struct moment *moment, uint64_t *cell)
{
	struct model_request *request = moment->request;

	if (!is_repetition(request))
		return;
	if (repeats_badly(request) && request->ring->sq_entries >= 4 && !(*cell & (HABIT_BATCHES | HABIT_REPEATS)) &&
	    habit_unique(request))
		report_replay(context, moment, request);
	else
		*cell |= HABIT_REPEATS;
}

static void look_sqe_abandoned_replay(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request;
	uint32_t n_submit;
	uint64_t *cell;

	if (!request || !known_sure(hazard_model(context), moment) || !moment->thread || !request->event)
		return;
	cell = hazard_ring_cell(context, request->ring);
	n_submit = moment->thread->enter.n_submit;
	if (is_suspect(request))
		*cell |= SEEN_SUSPECT;
	/* Flags gone, all else the same: only io_uring_get_sqe() does that. */
	if (is_repetition(request) && !looks_reset(&former_entry(request)->sqe))
		report_replay(context, moment, request);
	else if (n_submit > 1)
		*cell |= HABIT_BATCHES;
	if (n_submit <= 1)
		judge_alone(context, moment, cell);
	else if (request->event->position + 1 == n_submit)
		judge_batch(context, moment, cell);
}

static const char *const replay_supersedes[] = { "stale-user-data", "user-data-collision", NULL };

const struct hazard hazard_sqe_abandoned_replay = {
	.name = "sqe-abandoned-replay",
	.family = "submission",
	.level = HAZARD_ERROR,
	.why = "io_uring_get_sqe() hands out the slot for good: the next submit runs whatever lies in it. It still "
	       "holds the operation it was last used for.",
	.fix = "Check what can fail before taking an entry, or turn an entry that is not needed into a NOP "
	       "(io_uring_prep_nop).",
	.wants = HAZARD_WANTS(SUBMIT),
	.needs = SOURCE_SQES,
	.look = look_sqe_abandoned_replay,
	.supersedes = replay_supersedes,
};

static bool is_stale(const struct model_request *request, const struct uring_sqe *former)
{
	if (!request->sqe.user_data || request->sqe.user_data != former->user_data)
		return false;
	if (former->opcode == request->sqe.opcode || request->chained)
		return false;
	if (former->fd == request->sqe.fd || (former->addr && former->addr == request->sqe.addr))
		return false;
	return request->ring->n_submitted >= 1;
}

/*
 * A request object that was freed and made again can come to the same slot by chance. Where that happens, others come
 * to other slots before long (Node's do, after a garbage collection): the finding waits for as many submissions as
 * would show it.
 */
static enum hazard_decision decide_stale(struct finding *finding, const void *opaque)
{
	const struct moment *moment = opaque;

	if (finding->ring != moment->ring->id)
		return HAZARD_KEEP;
	if (moment->ring->tags_reused)
		return HAZARD_DROP;
	return moment->ring->n_submitted > finding->held_for ? HAZARD_TELL : HAZARD_KEEP;
}

static void look_stale_user_data(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request;
	const struct model_slot_shadow *former;
	struct finding *finding;
	uint64_t *held;

	if (!request || !known_sure(hazard_model(context), moment))
		return;
	held = hazard_ring_cell(context, request->ring);
	if (*held)
		hazard_decide_held(context, decide_stale, moment);
	former = former_entry(request);
	if (!former || !is_stale(request, &former->sqe) || !habit_unique(request))
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(finding,
		       "%s carries user_data 0x%llx, which is what the %s that used slot %u before it left there: its "
		       "completion will be taken for that request's",
		       request->op->name, (unsigned long long)request->sqe.user_data, abi_op(former->sqe.opcode)->name,
		       request->slot);
	finding->held_for = request->ring->n_submitted + STALE_LOOK;
	*held = 1;
	hazard_hold(context, finding, HAZARD_SECOND);
}

static const char *const stale_supersedes[] = { "user-data-collision", NULL };

const struct hazard hazard_stale_user_data = {
	.name = "stale-user-data",
	.family = "submission",
	.level = HAZARD_ERROR,
	.why = "Neither io_uring_get_sqe() nor the prep helpers set user_data: an entry keeps the value its slot was "
	       "last used with, and its completion is handed to that older request's owner.",
	.fix = "Call io_uring_sqe_set_data() (or set_data64) for every entry, also for those whose completion does not "
	       "matter.",
	.wants = HAZARD_WANTS(SUBMIT),
	.needs = SOURCE_SQES,
	.look = look_stale_user_data,
	.supersedes = stale_supersedes,
};

/* Whether the requests now open use user_data as identities (each another one) rather than as tags. */
static bool others_are_identities(const struct model_ring *ring, uint64_t user_data)
{
	const struct model_request *request, *other;
	uint32_t n_same = 0, n_others = 0;

	if (ring->n_open > MAX_SLOTS_SCANNED)
		return false;
	for (request = ring->first; request; request = request->next) {
		uint64_t value = request->sqe.user_data;

		if (value == user_data) {
			n_same++;
			continue;
		}
		if (!value)
			continue;
		n_others++;
		for (other = ring->first; other != request; other = other->next)
			if (other->sqe.user_data == value)
				return false;
	}
	return n_same == 2 && n_others >= 2;
}

/* Requests that move data; helpers (cancel, timeout, poll removal) often borrow the user_data of what they serve. */
static bool moves_data(const struct model_request *request)
{
	return known_trait(request, ABI_READS_FILE | ABI_WRITES_FILE | ABI_STREAM_SEND | ABI_STREAM_RECV);
}

/*
 * A ring whose user_data counts up, from the rule's cell: the newest value (48 bits) and how often in a row a value was
 * the one before plus one. Starting again from 0 or 1 is a counter's way too.
 */
enum { COUNTS_UP = 16, COUNT_SHIFT = 48 };
static const uint64_t count_mask = (UINT64_C(1) << COUNT_SHIFT) - 1;

static bool habit_counts(uint64_t *cell, uint64_t user_data)
{
	uint64_t last = *cell & count_mask, run = *cell >> COUNT_SHIFT;
	bool counts = run >= COUNTS_UP;

	if (user_data == last + 1)
		run += run < UINT16_MAX;
	else if (!counts || user_data > 1)
		run = 0;
	*cell = run << COUNT_SHIFT | (user_data & count_mask);
	return counts && run;
}

enum { OBJECT_BYTES = 65536 };

/* user_data is the object that the request's buffer is part of: each such object stands for one thing. */
static bool names_owner(const struct model_request *request)
{
	uint64_t object = request->sqe.user_data;

	return object >= OBJECT_BYTES && request->sqe.addr > object && request->sqe.addr - object < OBJECT_BYTES;
}

/* Not what a join of several requests looks like, which may share a value on purpose. */
static bool different_things(const struct model_request *a, const struct model_request *b)
{
	return a->sqe.opcode != b->sqe.opcode && a->sqe.fd != b->sqe.fd && a->call != b->call && !b->multishot;
}

static void report_collision(struct hazard_context *context, const struct moment *moment,
			     const struct model_request *other)
{
	const struct model_request *request = moment->request;
	struct finding *finding;

	finding = hazard_finding(context, moment, request);
	hazard_message(finding, "%s on fd %d and %s on fd %d are in flight under the same user_data 0x%llx",
		       other->op->name, other->sqe.fd, request->op->name, request->sqe.fd,
		       (unsigned long long)request->sqe.user_data);
	hazard_stack(finding, "the other submitted by", other->process->pid, other->stack);
	hazard_report(context, finding);
}

static void look_user_data_collision(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request, *other;
	bool counts;

	if (!request)
		return;
	counts = habit_counts(hazard_ring_cell(context, request->ring), request->sqe.user_data);
	if ((!request->same_prev && !request->same_next) || !known_sure(hazard_model(context), moment) ||
	    !request->sqe.user_data || request->sqe.user_data == UINT64_MAX || !moves_data(request) ||
	    request->multishot)
		return;
	other = model_same_user_data(request->ring, request->sqe.user_data);
	for (unsigned n = 0; other && n < MAX_ALIKE; other = other->same_next, n++) {
		if (other == request || !known_inflight(other) || other->seq > request->seq)
			continue;
		if ((!moves_data(other) && other->sqe.opcode != URING_OP_POLL_ADD) ||
		    other->sqe.addr == request->sqe.addr || (other->chain && other->chain == request->chain))
			continue;
		if (other->sqe.fd == request->sqe.fd && other->sqe.opcode != request->sqe.opcode)
			continue;
		if (!counts && !(names_owner(request) && different_things(request, other)) &&
		    !(moves_data(other) && others_are_identities(request->ring, request->sqe.user_data)))
			continue;
		report_collision(context, moment, other);
		return;
	}
}

const struct hazard hazard_user_data_collision = {
	.name = "user-data-collision",
	.family = "submission",
	.level = HAZARD_WARNING,
	.why = "A completion names its request by user_data alone. Two requests in flight under one value cannot be "
	       "told apart, and a cancel by user_data hits either.",
	.fix = "Give every request in flight a user_data of its own; free the slot or pointer behind it only at its "
	       "last completion.",
	.wants = HAZARD_WANTS(CONSUMED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.look = look_user_data_collision,
};
