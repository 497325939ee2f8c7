/* SPDX-License-Identifier: MIT */
/* Chains that end differently than their builder expected: short transfers, and clean-up that did not run. */
#include "hazard/hazard.h"
#include "hazard/known.h"

enum { RESULT_ECANCELED = -125, MESSAGE_WAITALL = 0x100 };

/* What was asked for, 0 = not known: provided buffers say it only when one was taken. */
static uint64_t asked_bytes(const struct model_request *request)
{
	uint64_t sum = 0;

	if (request->sqe.flags & URING_SQE_BUFFER_SELECT)
		return 0;
	if (request->sqe.opcode == URING_OP_SPLICE || request->sqe.opcode == URING_OP_TEE ||
	    request->sqe.opcode == URING_OP_READ_FIXED || request->sqe.opcode == URING_OP_WRITE_FIXED)
		return request->sqe.len;
	for (const struct model_range *range = request->ranges; range; range = range->next)
		if (range->kind == ABI_DATA && !range->provided)
			sum += range->length;
	return sum;
}

/* ---- a thing the program may still put right: one per ring, as a cell ---- */

struct chance {
	uint32_t stack; /* of the submission, 24 bits */
	uint16_t fd;
	uint8_t opcode, other;
	uint8_t hash; /* of the offset */
};

static uint64_t chance_pack(struct chance chance)
{
	return (uint64_t)(chance.stack & 0xffffff) << 40 | (uint64_t)chance.fd << 24 | (uint64_t)chance.opcode << 16 |
	       (uint64_t)chance.other << 8 | chance.hash;
}

static struct chance chance_unpack(uint64_t cell)
{
	return (struct chance){ .stack = (uint32_t)(cell >> 40),
				.fd = (uint16_t)(cell >> 24),
				.opcode = (uint8_t)(cell >> 16),
				.other = (uint8_t)(cell >> 8),
				.hash = (uint8_t)cell };
}

/* Only a regular file's requests are told apart by their offset. */
static uint8_t offset_hash(const struct model_request *request)
{
	if (request->object.type != EVENT_FD_FILE)
		return 0;
	return (uint8_t)((request->sqe.off * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

/* What no request is left to speak for. */
static struct finding *chance_finding(struct hazard_context *context, const struct moment *moment,
				      const struct model_ring *ring, struct chance chance)
{
	struct finding *finding = hazard_finding(context, moment, NULL);
	uint32_t pid = ring->process ? ring->process->pid : finding->pid;

	finding->ring = ring->id;
	finding->ring_fd = ring->fd;
	for (size_t i = 0; i < FINDING_STACKS; i++)
		finding->stacks[i] = (struct finding_stack){ NULL, 0, 0 };
	hazard_stack(finding, "submitted by", pid, chance.stack);
	return finding;
}

typedef void chance_report(struct hazard_context *, const struct moment *, struct model_ring *, struct chance);

/* The rings of a process that ends; else the ring that does. */
static void chance_over(struct hazard_context *context, const struct moment *moment, chance_report *report)
{
	if (moment->uncertain || hazard_model(context)->lost)
		return;
	/* A program that was killed might still have put it right. */
	if (moment->kind == MOMENT_PROCESS_EXIT && !((const struct event_exit *)moment->event)->clean)
		return;
	MAP_FOR_EACH(&hazard_model(context)->rings, entry)
	{
		struct model_ring *ring = entry->value;
		uint64_t *cell;

		if (moment->ring ? ring != moment->ring : ring->process != moment->process)
			continue;
		cell = hazard_ring_cell(context, ring);
		if (*cell && !ring->lost)
			report(context, moment, ring, chance_unpack(*cell));
		*cell = 0;
	}
}

/* ---- link-broken-by-short-io: the cell is the request that was cancelled ---- */

static bool breaks_by_being_short(const struct model_request *request, int32_t result)
{
	return known_trait(request, ABI_SHORT_BREAKS_LINK) && known_soft_link(request) && !request->multishot &&
	       result > 0 && (uint64_t)result < asked_bytes(request);
}

static void note_broken(struct hazard_context *context, const struct moment *moment, uint64_t *cell)
{
	const struct model_request *request = moment->request, *next;

	if (*cell || !known_end(hazard_model(context), moment) ||
	    !breaks_by_being_short(request, known_result(moment)) || !request->stack)
		return;
	next = request->chain_next;
	if (!next || !known_trait(next, ABI_READS_FILE | ABI_WRITES_FILE))
		return;
	*cell = chance_pack((struct chance){ request->stack, (uint16_t)next->sqe.fd, next->sqe.opcode,
					     request->sqe.opcode, offset_hash(next) });
}

static void report_broken(struct hazard_context *context, const struct moment *moment, struct model_ring *ring,
			  struct chance chance)
{
	struct finding *finding = chance_finding(context, moment, ring, chance);

	hazard_message(
		finding,
		"%s moved fewer bytes than it asked for and so broke its chain: the %s on fd %u linked behind it was "
		"cancelled and never submitted again",
		abi_op(chance.other)->name, abi_op(chance.opcode)->name, chance.fd);
	hazard_report(context, finding);
}

static void look_short_io(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request;
	struct chance chance;
	uint64_t *cell;

	if (moment->kind != MOMENT_CONSUMED && moment->kind != MOMENT_COMPLETE) {
		chance_over(context, moment, report_broken);
		return;
	}
	if (!moment->ring || !request)
		return;
	cell = hazard_ring_cell(context, moment->ring);
	chance = chance_unpack(*cell);
	if (moment->kind == MOMENT_COMPLETE)
		note_broken(context, moment, cell);
	else if (*cell && chance.opcode == request->sqe.opcode && chance.fd == (uint16_t)request->sqe.fd &&
		 chance.hash == offset_hash(request))
		*cell = 0;
}

const struct hazard hazard_link_broken_by_short_io = {
	.name = "link-broken-by-short-io",
	.family = "links",
	.level = HAZARD_WARNING,
	.why = "A read or write that moves fewer bytes than asked for counts as failed for a soft link, although its "
	       "result is positive: what is linked behind it is cancelled.",
	.fix = "Ask for what is there (the file's size), submit the rest of the chain again when -ECANCELED comes, or "
	       "link with IOSQE_IO_HARDLINK where the rest may run all the same.",
	.wants = HAZARD_WANTS(COMPLETE) | HAZARD_WANTS(CONSUMED) | HAZARD_WANTS(RING_UNMAPPED) |
		 HAZARD_WANTS(RING_CLOSED) | HAZARD_WANTS(PROCESS_EXIT),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_traits = ABI_READS_FILE | ABI_WRITES_FILE,
	.when = { .consumed = HAZARD_WHEN_CELL, .complete = HAZARD_WHEN_CHAINED },
	.look = look_short_io,
};

/* ---- link-short-send-continues ---- */

static bool is_send(const struct model_request *request)
{
	uint8_t opcode = request->sqe.opcode;

	return opcode == URING_OP_SEND || opcode == URING_OP_SENDMSG || opcode == URING_OP_SEND_ZC ||
	       opcode == URING_OP_SENDMSG_ZC;
}

/* A link that a short result does not stop, to something that relies on all bytes being out. */
static const struct model_request *relies_on(const struct model_request *request)
{
	const struct model_request *next = request->chain_next;

	if (!is_send(request) || request->object.type != EVENT_FD_STREAM || (request->sqe.op_flags & MESSAGE_WAITALL) ||
	    (request->sqe.ioprio & URING_RECVSEND_BUNDLE) || !asked_bytes(request))
		return NULL;
	if (next && next->sqe.opcode == URING_OP_LINK_TIMEOUT)
		next = next->chain_next;
	if (!next || !known_same_file(request, next))
		return NULL;
	return known_trait(next, ABI_STREAM_SEND) || next->sqe.opcode == URING_OP_SHUTDOWN ? next : NULL;
}

static void report_send(struct hazard_context *context, const struct moment *moment, const struct model_request *next,
			int32_t result)
{
	const struct model_request *request = moment->request;
	uint64_t asked = asked_bytes(request);
	bool was_short = result >= 0 && (uint64_t)result < asked;
	struct finding *finding;

	if (!was_short && next->sqe.opcode == URING_OP_SHUTDOWN)
		return;
	finding = hazard_finding(context, moment, request);
	finding->level = was_short ? HAZARD_ERROR : HAZARD_WARNING;
	if (was_short)
		hazard_message(finding,
			       "%s sent %d of %llu bytes, and the %s linked behind it went ahead: the rest is missing "
			       "from the stream",
			       request->op->name, result, (unsigned long long)asked, next->op->name);
	else
		hazard_message(finding,
			       "%s of %llu bytes without MSG_WAITALL is linked to another send on the stream: when it "
			       "is sent in part, the next one goes ahead all the same",
			       request->op->name, (unsigned long long)asked);
	hazard_report(context, finding);
}

static void look_short_send(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request, *next;

	if (!request || !known_sure(hazard_model(context), moment) || request->uncertain || request->refused)
		return;
	next = relies_on(request);
	if (!next || next->refused)
		return;
	/* The first completion of a zero-copy send carries the result. One that succeeds silently has none. */
	if (moment->kind == MOMENT_CONSUMED && (request->sqe.flags & URING_SQE_CQE_SKIP_SUCCESS))
		report_send(context, moment, next, -1);
	else if (moment->kind == MOMENT_COMPLETE && moment->certain && known_result(moment) >= 0 &&
		 !(((const struct event_complete *)moment->event)->cqe.flags & URING_CQE_F_NOTIF))
		report_send(context, moment, next, known_result(moment));
}

const struct hazard hazard_link_short_send_continues = {
	.name = "link-short-send-continues",
	.family = "links",
	.level = HAZARD_ERROR,
	.why = "A send that goes out in part does not break its chain (a write would): the next send follows at once, "
	       "and the stream has a hole that both results call success.",
	.fix = "Set MSG_WAITALL on every send of a chain: then the kernel sends the rest itself before the next one "
	       "starts.",
	.wants = HAZARD_WANTS(CONSUMED) | HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.only_ops = HAZARD_OP(SEND) | HAZARD_OP(SENDMSG) | HAZARD_OP(SEND_ZC) | HAZARD_OP(SENDMSG_ZC),
	.when = { .consumed = HAZARD_WHEN_CHAINED, .complete = HAZARD_WHEN_CHAINED },
	.look = look_short_send,
};

/* ---- link-cleanup-cancelled: the cell is a close that did not run ---- */

enum { CLOSE_FD, CLOSE_SLOT };

static void note_cancelled_close(struct hazard_context *context, const struct moment *moment, uint64_t *cell)
{
	const struct model_request *request = moment->request;
	bool slot = request->sqe.file_index;

	if (*cell || !known_end(hazard_model(context), moment) || known_result(moment) != RESULT_ECANCELED ||
	    !request->chained || request->sqe.opcode != URING_OP_CLOSE || request->cancel_requested ||
	    !request->stack || known_refused_member(moment->request))
		return;
	*cell = chance_pack((struct chance){ request->stack,
					     (uint16_t)(slot ? request->sqe.file_index - 1 : (uint32_t)request->sqe.fd),
					     URING_OP_CLOSE, slot ? CLOSE_SLOT : CLOSE_FD, 0 });
}

/* The program closed it some other way, or somebody did: there is no leak. */
static bool is_gone(const struct model_ring *ring, struct chance chance)
{
	const struct model_fd *fd;

	if (chance.other == CLOSE_SLOT)
		return chance.fd >= ring->n_slots || !ring->slots[chance.fd].used;
	fd = ring->process ? model_fd_get(ring->process, chance.fd) : NULL;
	return !fd || !fd->open;
}

static void report_leak(struct hazard_context *context, const struct moment *moment, struct model_ring *ring,
			struct chance chance)
{
	struct finding *finding;

	if (is_gone(ring, chance))
		return;
	finding = chance_finding(context, moment, ring, chance);
	hazard_message(
		finding,
		"CLOSE of %s %u was cancelled because a request before it in the chain failed or came back short, and "
		"%s was not closed since",
		chance.other == CLOSE_SLOT ? "fixed slot" : "fd", chance.fd,
		chance.other == CLOSE_SLOT ? "the slot" : "the descriptor");
	hazard_report(context, finding);
}

static void forget_close(struct hazard_context *context, const struct moment *moment)
{
	MAP_FOR_EACH(&hazard_model(context)->rings, entry)
	{
		struct model_ring *ring = entry->value;
		uint64_t *cell = hazard_ring_cell(context, ring);
		struct chance chance = chance_unpack(*cell);

		if (*cell && ring->process == moment->process && chance.other == CLOSE_FD &&
		    chance.fd == (uint16_t)moment->fd->fd)
			*cell = 0;
	}
}

static bool closes_it(const struct model_request *request, struct chance chance)
{
	if (request->sqe.opcode != URING_OP_CLOSE)
		return false;
	return chance.other == CLOSE_SLOT ? request->sqe.file_index == chance.fd + 1u
					  : !request->sqe.file_index && (uint16_t)request->sqe.fd == chance.fd;
}

static void look_cleanup(struct hazard_context *context, const struct moment *moment)
{
	uint64_t *cell;

	if (moment->kind == MOMENT_FD_CLOSE) {
		if (moment->fd)
			forget_close(context, moment);
		return;
	}
	if (moment->kind != MOMENT_CONSUMED && moment->kind != MOMENT_COMPLETE) {
		chance_over(context, moment, report_leak);
		return;
	}
	if (!moment->ring || !moment->request)
		return;
	cell = hazard_ring_cell(context, moment->ring);
	if (moment->kind == MOMENT_COMPLETE)
		note_cancelled_close(context, moment, cell);
	else if (*cell && closes_it(moment->request, chance_unpack(*cell)))
		*cell = 0;
}

static const char *const cleanup_supersedes[] = { "link-broken-by-short-io", NULL };

const struct hazard hazard_link_cleanup_cancelled = {
	.name = "link-cleanup-cancelled",
	.family = "links",
	.level = HAZARD_WARNING,
	.why = "A failed or short request cancels the rest of its soft chain, the clean-up included: the descriptor "
	       "stays open.",
	.fix = "Link the close with IOSQE_IO_HARDLINK on the request before it, or close when its -ECANCELED comes.",
	.wants = HAZARD_WANTS(COMPLETE) | HAZARD_WANTS(CONSUMED) | HAZARD_WANTS(FD_CLOSE) |
		 HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED) | HAZARD_WANTS(PROCESS_EXIT),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.only_ops = HAZARD_OP(CLOSE),
	.look = look_cleanup,
	.supersedes = cleanup_supersedes,
};
