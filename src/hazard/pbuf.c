/* SPDX-License-Identifier: MIT */
/* Provided buffers: who owns which. */
#include "hazard/hazard.h"
#include "hazard/known.h"

#define PLAIN_NS UINT64_C(500000000)

enum { ENOBUFS_RESULT = -105 };

/* ---- pbuf-exhausted: the cell is the stack of the request that found no buffer (32 bits), group (16), and PENDING
 * ---- */

#define CELL_PENDING (UINT64_C(1) << 48)
#define CELL_SAID (UINT64_C(1) << 49)
#define CELL_INDEX_SHIFT 50 /* low bits of its completion's index */
#define CELL_INDEX_MASK 0x3fffu

static uint16_t cell_group(uint64_t cell)
{
	return (uint16_t)(cell >> 32);
}

/* Every buffer of the group is with the program, as far as known; also true of a group nobody made. */
static bool group_is_empty(struct model_ring *ring, uint16_t id)
{
	const struct model_group *group = model_group_get(ring, id);

	return !group || (group->known && group->n_available == 0);
}

static void report_exhausted(struct hazard_context *context, const struct moment *moment, struct model_ring *ring,
			     const char *then)
{
	uint64_t *cell = hazard_ring_cell(context, ring);
	uint16_t id = cell_group(*cell);
	const struct model_group *group = model_group_get(ring, id);
	struct finding *finding = hazard_finding(context, moment, NULL);

	for (size_t i = 0; i < FINDING_STACKS; i++)
		finding->stacks[i] = (struct finding_stack){ NULL, 0, 0 };
	if (group)
		hazard_message(finding,
			       "a request found no buffer in group %u (ENOBUFS): the program holds all %u and gave "
			       "none back, %s",
			       id, group->n_consumed, then);
	else
		hazard_message(finding, "a request asked for a buffer of group %u, which has none (ENOBUFS), %s", id,
			       then);
	finding->ring = ring->id;
	finding->ring_fd = ring->fd;
	hazard_stack(finding, "submitted by", ring->process ? ring->process->pid : finding->pid, (uint32_t)*cell);
	hazard_report(context, finding);
	*cell = CELL_SAID;
}

static void note_no_buffer(struct hazard_context *context, const struct moment *moment)
{
	const struct event_complete *complete = (const struct event_complete *)moment->event;
	const struct model_request *request = moment->request;
	uint64_t *cell = hazard_ring_cell(context, moment->ring);

	if (!request || !moment->certain || complete->cqe.res != ENOBUFS_RESULT ||
	    !(request->sqe.flags & URING_SQE_BUFFER_SELECT) || (*cell & CELL_SAID) ||
	    !group_is_empty(moment->ring, request->sqe.buf_group))
		return;
	if ((*cell & CELL_PENDING) && cell_group(*cell) == request->sqe.buf_group)
		report_exhausted(context, moment, moment->ring, "not even after an earlier request had failed so");
	else
		*cell = request->stack | (uint64_t)request->sqe.buf_group << 32 | CELL_PENDING |
			(uint64_t)complete->cq_index << CELL_INDEX_SHIFT;
}

static bool gives_back(const struct moment *moment, uint64_t cell)
{
	if (moment->kind == MOMENT_BUFFERS)
		return ((const struct event_buffers *)moment->event)->group == cell_group(cell);
	return moment->request && moment->request->sqe.opcode == URING_OP_PROVIDE_BUFFERS &&
	       moment->request->sqe.buf_group == cell_group(cell);
}

/* Whoever closes the ring before having seen that completion had no chance to act on it. */
static bool was_looked_at(const struct moment *moment, uint64_t cell)
{
	const struct event_ring_state *state = (const struct event_ring_state *)moment->event;
	uint32_t ahead = (state->cq_head - (uint32_t)(cell >> CELL_INDEX_SHIFT)) & CELL_INDEX_MASK;

	return state->known && ahead && ahead < CELL_INDEX_MASK / 2;
}

static void look_at_waits(struct hazard_context *context, const struct moment *moment)
{
	MAP_FOR_EACH(&hazard_model(context)->processes, entry)
	{
		struct model_process *process = entry->value;

		MAP_FOR_EACH(&process->threads, inner)
		{
			struct model_thread *thread = inner->value;

			if (thread->in_enter && moment->time >= thread->enter.h.time + PLAIN_NS &&
			    (*hazard_ring_cell(context, thread->in_enter) & CELL_PENDING))
				report_exhausted(context, moment, thread->in_enter, "and waits on");
		}
	}
}

static void look_pbuf_exhausted(struct hazard_context *context, const struct moment *moment)
{
	uint64_t *cell;

	if (!known_sure(hazard_model(context), moment))
		return;
	if (moment->kind == MOMENT_TICK) {
		look_at_waits(context, moment);
		return;
	}
	if (!moment->ring)
		return;
	cell = hazard_ring_cell(context, moment->ring);
	if (moment->kind == MOMENT_COMPLETE)
		note_no_buffer(context, moment);
	else if (!(*cell & CELL_PENDING))
		return;
	else if (moment->kind == MOMENT_BUFFERS || moment->kind == MOMENT_SUBMIT)
		*cell = gives_back(moment, *cell) ? 0 : *cell;
	else if (was_looked_at(moment, *cell))
		report_exhausted(context, moment, moment->ring, "and the ring was closed so");
}

static const char *const exhausted_supersedes[] = { "multishot-more-ignored", "wait-without-inflight", NULL };

const struct hazard hazard_pbuf_exhausted = {
	.name = "pbuf-exhausted",
	.family = "provided-buffers",
	.level = HAZARD_WARNING,
	.why = "A request that finds its buffer group empty fails with ENOBUFS at once, even where it would have "
	       "waited for data, and a multishot request ends.",
	.fix = "Give each buffer back when its data is used, on every path (end of file and errors too), and arm again "
	       "after that.",
	.wants = HAZARD_WANTS(COMPLETE) | HAZARD_WANTS(BUFFERS) | HAZARD_WANTS(SUBMIT) | HAZARD_WANTS(TICK) |
		 HAZARD_WANTS(RING_CLOSED) | HAZARD_WANTS(RING_UNMAPPED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_PBUFS,
	.only_traits = ABI_BUFFER_SELECT,
	.only_ops = HAZARD_OP(PROVIDE_BUFFERS),
	.only_failures = true,
	.look = look_pbuf_exhausted,
	.supersedes = exhausted_supersedes,
};

/* ---- pbuf-double-recycle ---- */

static bool kernel_owns(const struct model_group *group, uint16_t id)
{
	return group->known && group->owned && (group->owned[id / 64] >> (id % 64) & 1);
}

static void report_double(struct hazard_context *context, const struct moment *moment, uint16_t group, uint16_t id)
{
	struct finding *finding = hazard_finding(context, moment, moment->request);

	hazard_message(
		finding,
		"buffer %u of group %u is given to the kernel, which owns it already: it will be handed out twice", id,
		group);
	hazard_report(context, finding);
}

static bool earlier_in_list(const struct uring_buf *list, uint32_t n, uint16_t id)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i].bid == id)
			return true;
	return false;
}

static void look_at_added(struct hazard_context *context, const struct moment *moment)
{
	const struct event_buffers *added = (const struct event_buffers *)moment->event;
	const struct model_group *group = model_group_get(moment->ring, added->group);
	const struct uring_buf *list = (const struct uring_buf *)(added + 1);
	uint32_t n = added->n;

	if (!group || (group->flags & URING_PBUF_RING_INC) || added->h.size < sizeof(*added))
		return;
	if (n > (added->h.size - sizeof(*added)) / sizeof(*list))
		n = (uint32_t)((added->h.size - sizeof(*added)) / sizeof(*list));
	for (uint32_t i = 0; i < n; i++)
		if (kernel_owns(group, list[i].bid) || earlier_in_list(list, i, list[i].bid)) {
			report_double(context, moment, added->group, list[i].bid);
			return;
		}
}

static void look_at_provided(struct hazard_context *context, const struct moment *moment)
{
	const struct uring_sqe *sqe = &moment->request->sqe;
	const struct model_group *group;
	uint64_t n = sqe->fd > 0 ? (uint64_t)sqe->fd : 0;

	if (sqe->opcode != URING_OP_PROVIDE_BUFFERS || n > MODEL_PBUF_IDS || sqe->off >= MODEL_PBUF_IDS)
		return;
	group = model_group_get(moment->ring, sqe->buf_group);
	if (!group || group->is_ring)
		return;
	for (uint64_t id = sqe->off; id < sqe->off + n && id < MODEL_PBUF_IDS; id++)
		if (kernel_owns(group, (uint16_t)id)) {
			report_double(context, moment, sqe->buf_group, (uint16_t)id);
			return;
		}
}

static void look_pbuf_double_recycle(struct hazard_context *context, const struct moment *moment)
{
	if (!moment->ring || !known_sure(hazard_model(context), moment))
		return;
	if (moment->kind == MOMENT_BUFFERS)
		look_at_added(context, moment);
	else if (moment->request)
		look_at_provided(context, moment);
}

const struct hazard hazard_pbuf_double_recycle = {
	.name = "pbuf-double-recycle",
	.family = "provided-buffers",
	.level = HAZARD_ERROR,
	.why = "The kernel keeps no record of buffer ids: an id added twice is handed out twice, and the second "
	       "request writes over data that is still in use.",
	.fix = "Give a buffer back exactly once for each completion with IORING_CQE_F_BUFFER that names it.",
	.wants = HAZARD_WANTS(BUFFERS) | HAZARD_WANTS(SUBMIT),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_PBUFS,
	.only_ops = HAZARD_OP(PROVIDE_BUFFERS),
	.look = look_pbuf_double_recycle,
};
