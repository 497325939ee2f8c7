/* SPDX-License-Identifier: MIT */
/* Multishot requests that ended, or run twice. */
#include "hazard/hazard.h"
#include "hazard/known.h"

/* So long must the program have been waiting after the end before it is plain that it does not arm again. */
#define PLAIN_NS UINT64_C(500000000)

enum { ENOBUFS_RESULT = -105, ECANCELED_RESULT = -125, EMFILE_RESULT = -24, ENFILE_RESULT = -23 };

/*
 * The cell holds the newest multishot request that ended and was not armed again: stack (32 bits), descriptor + 1 (16),
 * opcode (8), why it ended (8).
 */
enum why { WHY_NONE, WHY_NO_BUFFERS, WHY_ERROR, WHY_SUCCESS };

struct deaf {
	uint32_t stack;
	uint16_t fd1;
	uint8_t opcode, why;
};

/* The completion ring has been full or overflowing: that explains a success without F_MORE, also a late one. */
#define CELL_WAS_FULL (UINT64_C(1) << 63)

static struct deaf deaf_get(uint64_t cell)
{
	cell &= ~CELL_WAS_FULL;
	return (struct deaf){ (uint32_t)cell, (uint16_t)(cell >> 32), (uint8_t)(cell >> 48), (uint8_t)(cell >> 56) };
}

static void deaf_forget(uint64_t *cell)
{
	*cell &= CELL_WAS_FULL;
}

static uint64_t deaf_put(struct deaf d)
{
	return d.stack | (uint64_t)d.fd1 << 32 | (uint64_t)d.opcode << 48 | (uint64_t)d.why << 56;
}

/* Why a multishot request ended, WHY_NONE where its file is done with or the program ended it itself. */
static enum why end_of(const struct model_request *request, int32_t result)
{
	if (request->cancel_requested || request->refused || result == ECANCELED_RESULT)
		return WHY_NONE;
	/* Out of descriptors is no fault of the request's: it ran, and would go on. */
	if (request->sqe.opcode == URING_OP_ACCEPT && (result == EMFILE_RESULT || result == ENFILE_RESULT))
		return WHY_ERROR;
	if (request->n_cqes == 0)
		return WHY_NONE;
	switch (request->sqe.opcode) {
	case URING_OP_ACCEPT:
		return result >= 0 ? WHY_SUCCESS : WHY_NONE;
	case URING_OP_POLL_ADD:
		/* POLLERR, POLLHUP, POLLNVAL: nothing more to come. */
		return result > 0 && !(result & 0x38) ? WHY_SUCCESS : WHY_NONE;
	case URING_OP_RECV:
	case URING_OP_RECVMSG:
	case URING_OP_READ_MULTISHOT:
		if (result == ENOBUFS_RESULT)
			return WHY_NO_BUFFERS;
		return result > 0 ? WHY_SUCCESS : WHY_NONE;
	default:
		return WHY_NONE;
	}
}

static void remember_end(uint64_t *cell, const struct moment *moment)
{
	const struct event_complete *complete = (const struct event_complete *)moment->event;
	const struct model_request *request = moment->request;
	enum why why;

	if (!request || !request->multishot || !moment->final || !moment->certain ||
	    (request->sqe.flags & URING_SQE_FIXED_FILE) || request->sqe.fd < 0 || request->sqe.fd >= UINT16_MAX)
		return;
	why = end_of(request, complete->cqe.res);
	if (why != WHY_NONE)
		*cell = (*cell & CELL_WAS_FULL) |
			deaf_put((struct deaf){ request->stack, (uint16_t)(request->sqe.fd + 1), request->sqe.opcode,
						why });
}

static bool is_last_descriptor(const struct moment *moment, struct deaf d)
{
	return moment->fd && moment->fd->fd == (int32_t)d.fd1 - 1;
}

/* Any new request on the file shows that the program has noticed. */
static void track(uint64_t *cell, const struct moment *moment)
{
	struct deaf d = deaf_get(*cell);

	if (moment->kind == MOMENT_COMPLETE)
		remember_end(cell, moment);
	else if (moment->kind == MOMENT_SUBMIT && d.fd1 && moment->request &&
		 moment->request->sqe.fd == (int32_t)d.fd1 - 1)
		deaf_forget(cell);
}

static void forget_closed(struct hazard_context *context, const struct moment *moment)
{
	MAP_FOR_EACH(&hazard_model(context)->rings, entry)
	{
		uint64_t *cell = hazard_ring_cell(context, entry->value);

		if (is_last_descriptor(moment, deaf_get(*cell)))
			deaf_forget(cell);
	}
}

/* Whether this moment shows a completion ring without room. */
static bool shows_full(const struct moment *moment)
{
	const struct model_ring *ring = moment->ring;

	if (moment->kind == MOMENT_OVERFLOW)
		return true;
	if (moment->kind == MOMENT_ENTER) {
		const struct event_enter *enter = (const struct event_enter *)moment->event;

		return (enter->sq_flags & URING_SQ_CQ_OVERFLOW) || enter->cq_tail - enter->cq_head == ring->cq_entries;
	}
	if (moment->kind == MOMENT_CALL) {
		const struct event_enter_return *end = (const struct event_enter_return *)moment->event;

		return (end->sq_flags & URING_SQ_CQ_OVERFLOW) || end->cq_tail - end->cq_head == ring->cq_entries;
	}
	return (ring->sq_flags & URING_SQ_CQ_OVERFLOW) || ring->cq_tail - ring->cq_head == ring->cq_entries;
}

typedef bool wanted_end(struct hazard_context *context, struct model_ring *ring, struct deaf d);

static void report_deaf(struct hazard_context *context, const struct moment *moment, const struct model_thread *thread,
			struct model_ring *ring, const char *how)
{
	uint64_t *cell = hazard_ring_cell(context, ring);
	struct deaf d = deaf_get(*cell);
	struct finding *finding = hazard_finding(context, moment, NULL);

	for (size_t i = 0; i < FINDING_STACKS; i++)
		finding->stacks[i] = (struct finding_stack){ NULL, 0, 0 };
	finding->pid = thread->process->pid;
	finding->tid = thread->tid;
	finding->ring = ring->id;
	finding->ring_fd = ring->fd;
	hazard_message(finding, "the multishot %s on fd %d ended (%s), was not armed again, and the program waits on",
		       abi_op(d.opcode)->name, (int)d.fd1 - 1, how);
	hazard_stack(finding, "armed by", thread->process->pid, d.stack);
	hazard_stack(finding, "waits at", thread->process->pid, thread->enter.h.stack);
	hazard_report(context, finding);
	deaf_forget(cell);
}

static const char *how_it_ended(struct deaf d)
{
	static const char *const texts[] = { [WHY_NONE] = "",
					     [WHY_NO_BUFFERS] = "with ENOBUFS",
					     [WHY_ERROR] = "with an error",
					     [WHY_SUCCESS] = "with a result that lacks F_MORE" };

	return texts[d.why <= WHY_SUCCESS ? d.why : 0];
}

static bool overdue(const struct moment *moment, const struct model_thread *thread)
{
	return moment->time >= thread->enter.h.time + PLAIN_NS;
}

static void look_at_waits(struct hazard_context *context, const struct moment *moment, wanted_end *wanted,
			  const char *how)
{
	MAP_FOR_EACH(&hazard_model(context)->processes, entry)
	{
		struct model_process *process = entry->value;

		MAP_FOR_EACH(&process->threads, inner)
		{
			struct model_thread *thread = inner->value;
			struct model_ring *ring = thread->in_enter;
			struct deaf d;

			if (!ring || !overdue(moment, thread))
				continue;
			d = deaf_get(*hazard_ring_cell(context, ring));
			if (d.why && wanted(context, ring, d))
				report_deaf(context, moment, thread, ring, how ? how : how_it_ended(d));
		}
	}
}

/* A wait with a time limit that began after the end and ran out. */
static void look_at_return(struct hazard_context *context, const struct moment *moment, wanted_end *wanted,
			   const char *how)
{
	const struct event_enter_return *end = (const struct event_enter_return *)moment->event;
	struct deaf d;

	if (!moment->ring || !moment->thread || end->result != -62 /* ETIME */ ||
	    end->h.time < moment->thread->enter.h.time + PLAIN_NS / 5)
		return;
	d = deaf_get(*hazard_ring_cell(context, moment->ring));
	if (d.why && wanted(context, moment->ring, d))
		report_deaf(context, moment, moment->thread, moment->ring, how ? how : how_it_ended(d));
}

static void look_for_deaf(struct hazard_context *context, const struct moment *moment, wanted_end *wanted,
			  const char *how)
{
	if (moment->kind == MOMENT_FD_CLOSE) {
		forget_closed(context, moment);
	} else if (moment->ring) {
		uint64_t *cell = hazard_ring_cell(context, moment->ring);

		if (shows_full(moment))
			*cell |= CELL_WAS_FULL;
		track(cell, moment);
	}
	if (!known_sure(hazard_model(context), moment))
		return;
	if (moment->kind == MOMENT_TICK)
		look_at_waits(context, moment, wanted, how);
	else if (moment->kind == MOMENT_CALL)
		look_at_return(context, moment, wanted, how);
}

/* Buffers all gone is pbuf-exhausted's word; a success that met a full ring is multishot-killed-by-overflow's. */
static bool ended_in_sight(struct hazard_context *context, struct model_ring *ring, struct deaf d)
{
	bool any_available = false;

	if (d.why == WHY_SUCCESS)
		return !(*hazard_ring_cell(context, ring) & CELL_WAS_FULL);
	if (d.why != WHY_NO_BUFFERS)
		return true;
	MAP_FOR_EACH(&ring->groups, entry)
	{
		const struct model_group *group = entry->value;

		any_available |= group->n_available > 0;
	}
	return any_available;
}

static void look_multishot_more_ignored(struct hazard_context *context, const struct moment *moment)
{
	look_for_deaf(context, moment, ended_in_sight, NULL);
}

#define DEAF_WANTS                                                                                                     \
	(HAZARD_WANTS(COMPLETE) | HAZARD_WANTS(SUBMIT) | HAZARD_WANTS(FD_CLOSE) | HAZARD_WANTS(CALL) |                 \
	 HAZARD_WANTS(TICK) | HAZARD_WANTS(ENTER) | HAZARD_WANTS(OVERFLOW))

static const char *const ignored_supersedes[] = { "wait-without-inflight", NULL };

const struct hazard hazard_multishot_more_ignored = {
	.name = "multishot-more-ignored",
	.family = "multishot",
	.level = HAZARD_ERROR,
	.why = "A completion without IORING_CQE_F_MORE is the last one: the request is gone, and new data or clients "
	       "produce no completion.",
	.fix = "Test IORING_CQE_F_MORE in each completion of a multishot request and submit it again when it is "
	       "missing.",
	.wants = DEAF_WANTS,
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.when = { .submit = HAZARD_WHEN_CELL, .complete = HAZARD_WHEN_MULTISHOT },
	.look = look_multishot_more_ignored,
	.supersedes = ignored_supersedes,
};

/* ---- multishot-killed-by-overflow ---- */

static bool ended_when_full(struct hazard_context *context, struct model_ring *ring, struct deaf d)
{
	return d.why == WHY_SUCCESS && (*hazard_ring_cell(context, ring) & CELL_WAS_FULL);
}

static void look_multishot_killed(struct hazard_context *context, const struct moment *moment)
{
	look_for_deaf(context, moment, ended_when_full,
		      "a success without F_MORE, because its completion met a full completion ring");
}

static const char *const killed_supersedes[] = { "multishot-more-ignored", "cq-overflow-unflushed",
						 "wait-without-inflight", NULL };

const struct hazard hazard_multishot_killed_by_overflow = {
	.name = "multishot-killed-by-overflow",
	.family = "multishot",
	.level = HAZARD_ERROR,
	.why = "When a multishot completion meets a full completion ring, the kernel delivers it late and without "
	       "F_MORE and ends the request, although the result is a success.",
	.fix = "Make the completion ring large enough for bursts (IORING_SETUP_CQSIZE), and arm again whenever F_MORE "
	       "is missing.",
	.wants = DEAF_WANTS,
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.when = { .submit = HAZARD_WHEN_CELL, .complete = HAZARD_WHEN_MULTISHOT },
	.look = look_multishot_killed,
	.supersedes = killed_supersedes,
};

/* ---- multishot-double-arm ---- */

/* So many requests in flight on the file are looked at, the newest first. */
enum { NEIGHBOURS = 64 };

static bool same_arm(const struct model_request *a, const struct model_request *b)
{
	return a->sqe.opcode == b->sqe.opcode && a->sqe.fd == b->sqe.fd && a->fd == b->fd &&
	       a->fd_generation == b->fd_generation && !((a->sqe.flags ^ b->sqe.flags) & URING_SQE_FIXED_FILE) &&
	       (a->sqe.opcode != URING_OP_POLL_ADD || a->sqe.poll32_events == b->sqe.poll32_events);
}

static void report_double_arm(struct hazard_context *context, const struct moment *moment,
			      const struct model_request *other)
{
	const struct model_request *request = moment->request;
	struct finding *finding;

	finding = hazard_finding(context, moment, request);
	hazard_message(finding,
		       "a multishot %s on fd %d is armed while another one on it (user_data 0x%llx) still runs: either "
		       "may get each event",
		       request->op->name, request->sqe.fd, (unsigned long long)other->sqe.user_data);
	hazard_stack(finding, "the other armed by", other->process->pid, other->stack);
	hazard_report(context, finding);
}

static void look_multishot_double_arm(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request, *other;

	if (!request || !request->multishot || request->refused || !known_sure(hazard_model(context), moment) ||
	    request->sqe.fd < 0 || request->sqe.opcode == URING_OP_TIMEOUT)
		return;
	other = model_on_file(request);
	for (unsigned n = 0; other && n < NEIGHBOURS; other = other->file_next, n++)
		if (other != request && other->multishot && other->seq < request->seq && known_inflight(other) &&
		    !other->chained && same_arm(other, request)) {
			report_double_arm(context, moment, other);
			return;
		}
}

static const char *const double_supersedes[] = { "ordering-assumed-stream", "user-data-collision", NULL };

const struct hazard hazard_multishot_double_arm = {
	.name = "multishot-double-arm",
	.family = "multishot",
	.level = HAZARD_ERROR,
	.why = "A multishot request runs until a completion without F_MORE. A second one on the same file does not "
	       "replace it: both run, and each event goes to either.",
	.fix = "Arm again only when F_MORE is missing, or cancel the first and wait for its last completion.",
	.wants = HAZARD_WANTS(CONSUMED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_traits = ABI_MULTISHOT,
	.look = look_multishot_double_arm,
	.supersedes = double_supersedes,
};
