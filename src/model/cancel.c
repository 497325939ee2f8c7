/* SPDX-License-Identifier: MIT */
/* Which requests a cancellation names: by user_data, descriptor, opcode, or all. */
#include <string.h>

#include "model/inner.h"

struct target {
	uint64_t user_data;
	int32_t fd;
	uint32_t flags; /* enum uring_cancel_flag */
	uint8_t opcode;
};

/* Argument of URING_REG_SYNC_CANCEL (struct io_uring_sync_cancel_reg). */
struct sync_cancel {
	uint64_t user_data;
	int32_t fd;
	uint32_t flags;
	struct uring_timespec timeout;
	uint8_t opcode, pad[7];
	uint64_t pad2[3];
};

static bool target_of(const struct uring_sqe *sqe, struct target *ret)
{
	switch (sqe->opcode) {
	case URING_OP_ASYNC_CANCEL:
		*ret = (struct target){ sqe->addr, sqe->fd, sqe->op_flags, (uint8_t)sqe->len };
		return true;
	case URING_OP_TIMEOUT_REMOVE:
		*ret = (struct target){ .user_data = sqe->addr };
		return !(sqe->op_flags & (URING_TIMEOUT_UPDATE | URING_LINK_TIMEOUT_UPDATE));
	case URING_OP_POLL_REMOVE:
		*ret = (struct target){ .user_data = sqe->addr };
		return !(sqe->len & (URING_POLL_UPDATE_EVENTS | URING_POLL_UPDATE_USER_DATA));
	default:
		return false;
	}
}

static bool names(const struct target *target, const struct model_request *request)
{
	if (target->flags & URING_CANCEL_ANY)
		return true;
	if ((target->flags & URING_CANCEL_OP) && request->sqe.opcode != target->opcode)
		return false;
	if (target->flags & URING_CANCEL_FD) {
		bool fixed = target->flags & URING_CANCEL_FD_FIXED;

		if (request->sqe.fd != target->fd || fixed != !!(request->sqe.flags & URING_SQE_FIXED_FILE))
			return false;
		return !(target->flags & URING_CANCEL_USERDATA) || request->sqe.user_data == target->user_data;
	}
	if ((target->flags & URING_CANCEL_OP) && !(target->flags & URING_CANCEL_USERDATA))
		return true;
	return request->sqe.user_data == target->user_data;
}

static void mark(struct model_request *request, bool answered)
{
	if (answered)
		request->cancel_answered = request->cancel_requested;
	else
		request->cancel_requested = true;
}

static void mark_all(struct model_ring *ring, const struct target *target, const struct model_request *canceller,
		     bool answered)
{
	struct model_request *request;

	if (!(target->flags & (URING_CANCEL_ANY | URING_CANCEL_FD | URING_CANCEL_OP))) {
		for (request = model_same_user_data(ring, target->user_data); request; request = request->same_next)
			if (request != canceller)
				mark(request, answered);
		return;
	}
	for (request = ring->first; request; request = request->next)
		if (request != canceller && names(target, request))
			mark(request, answered);
}

void cancel_requested(struct model_request *canceller)
{
	struct target target;

	if (target_of(&canceller->sqe, &target))
		mark_all(canceller->ring, &target, canceller, false);
}

void cancel_answered(struct model_request *canceller)
{
	struct target target;

	if (target_of(&canceller->sqe, &target))
		mark_all(canceller->ring, &target, canceller, true);
}

void cancel_sync(struct model_ring *ring, const void *argument, bool answered)
{
	struct sync_cancel call;
	struct target target;

	memcpy(&call, argument, sizeof(call));
	target = (struct target){ call.user_data, call.fd, call.flags, call.opcode };
	mark_all(ring, &target, NULL, answered);
}
_Static_assert(sizeof(struct sync_cancel) == 64, "kernel ABI");
