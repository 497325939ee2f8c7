/* SPDX-License-Identifier: MIT */
/*
 * Provided buffers: which ids the kernel owns. Additions to a ring of buffers are memory writes and completions are seen late, so the two are not
 * told in the order in which they happened: an id that comes back before its addition was told is remembered as handed out early.
 */
#include <errno.h>
#include <stdlib.h>

#include "model/inner.h"

enum { WORDS = MODEL_PBUF_IDS / 64 };

struct model_group *model_group_get(struct model_ring *ring, uint16_t id)
{
	return map_get(&ring->groups, id);
}

static bool test(const uint64_t *bits, uint16_t id)
{
	return bits[id / 64] >> (id % 64) & 1;
}

static void set(uint64_t *bits, uint16_t id, bool value)
{
	uint64_t mask = UINT64_C(1) << (id % 64);

	bits[id / 64] = value ? bits[id / 64] | mask : bits[id / 64] & ~mask;
}

void pbuf_group_deinit(struct model *model, struct model_group *group)
{
	model_give_bytes(model, group->owned, 3 * WORDS, sizeof(uint64_t));
	free(group);
}

void pbuf_group_drop(struct model *model, struct model_ring *ring, uint16_t id)
{
	struct model_group *group = map_remove(&ring->groups, id);

	if (group)
		pbuf_group_deinit(model, group);
}

struct model_group *pbuf_group_new(struct model *model, struct model_ring *ring, uint16_t id)
{
	struct model_group *group;

	pbuf_group_drop(model, ring, id);
	if (ring->groups.n_used >= MODEL_GROUPS)
		return NULL;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->id = id;
	group->known = true;
	group->owned = model_take_bytes(model, 3 * WORDS, sizeof(uint64_t));
	if (!group->owned || map_put(&ring->groups, id, group) < 0) {
		pbuf_group_deinit(model, group);
		return NULL;
	}
	group->seen = group->owned + WORDS;
	group->early = group->seen + WORDS;
	return group;
}

static void add_one(struct model_group *group, uint16_t id)
{
	if (test(group->early, id)) {
		set(group->early, id, false);
		set(group->seen, id, true);
		return;
	}
	if (!test(group->owned, id)) {
		group->n_available++;
		if (test(group->seen, id) && group->n_consumed)
			group->n_consumed--;
	}
	set(group->owned, id, true);
	set(group->seen, id, true);
}

int pbufs_added(struct step *step)
{
	const struct event_buffers *event = (const struct event_buffers *)step->event;
	const struct uring_buf *list = (const struct uring_buf *)(event + 1);
	struct model_group *group = model_group_get(step->ring, event->group);
	size_t n = (event->h.size - sizeof(*event)) / sizeof(*list);

	model_tell(step, MOMENT_BUFFERS, NULL);
	if (!group)
		return -EBADMSG;
	for (size_t i = 0; i < n && i < event->n; i++)
		add_one(group, list[i].bid);
	return 0;
}

static void hand_out(struct model_group *group, uint16_t id)
{
	group->n_consumed++;
	if (!test(group->owned, id)) {
		set(group->early, id, true);
		return;
	}
	set(group->owned, id, false);
	if (group->n_available)
		group->n_available--;
}

/* PROVIDE_BUFFERS makes its group; what REMOVE_BUFFERS takes away has no names. */
static void provided(struct model *model, const struct model_request *request, int32_t result)
{
	const struct uring_sqe *sqe = &request->sqe;
	struct model_group *group = model_group_get(request->ring, sqe->buf_group);

	if (result < 0)
		return;
	if (!group && sqe->opcode == URING_OP_PROVIDE_BUFFERS)
		group = pbuf_group_new(model, request->ring, sqe->buf_group);
	if (!group)
		return;
	if (sqe->opcode == URING_OP_REMOVE_BUFFERS) {
		group->known = false;
		return;
	}
	for (uint64_t i = 0; i < (uint64_t)(sqe->fd > 0 ? sqe->fd : 0) && i + sqe->off < MODEL_PBUF_IDS; i++)
		add_one(group, (uint16_t)(sqe->off + i));
}

void pbufs_completed(struct model *model, const struct model_request *request, const struct uring_cqe *cqe)
{
	struct model_group *group;

	if (!request)
		return;
	if (request->sqe.opcode == URING_OP_PROVIDE_BUFFERS || request->sqe.opcode == URING_OP_REMOVE_BUFFERS) {
		provided(model, request, cqe->res);
		return;
	}
	if (!(cqe->flags & URING_CQE_F_BUFFER) || !(request->sqe.flags & URING_SQE_BUFFER_SELECT))
		return;
	group = model_group_get(request->ring, request->sqe.buf_group);
	if (!group)
		return;
	/* A bundle names only the first of its buffers; a ring used in pieces hands one out many times. */
	if ((request->sqe.ioprio & URING_RECVSEND_BUNDLE) || (group->flags & URING_PBUF_RING_INC) || request->ambiguous)
		group->known = false;
	hand_out(group, (uint16_t)(cqe->flags >> URING_CQE_BUFFER_SHIFT));
}
