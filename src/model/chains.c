/* SPDX-License-Identifier: MIT */
/* Chains: entries of one call joined by IOSQE_IO_LINK or IOSQE_IO_HARDLINK. A chain ends with the call that submits it. */
#include "model/inner.h"

enum { LINKS = URING_SQE_IO_LINK | URING_SQE_IO_HARDLINK };

void chain_add(struct model_ring *ring, struct model_request *request)
{
	struct model_request *before = ring->chain_open;

	request->chained = before || (request->sqe.flags & LINKS);
	if (before) {
		request->chain = before->chain;
		request->chain_prev = before;
		before->chain_next = request;
	} else if (request->sqe.flags & LINKS) {
		if (++ring->last_chain == 0)
			ring->last_chain = 1;
		request->chain = ring->last_chain;
	}
	ring->chain_open = request->sqe.flags & LINKS ? request : NULL;
}

void chain_leave(struct model_request *request)
{
	if (request->ring->chain_open == request)
		request->ring->chain_open = NULL;
	if (request->chain_prev)
		request->chain_prev->chain_next = request->chain_next;
	if (request->chain_next)
		request->chain_next->chain_prev = request->chain_prev;
	request->chain_prev = request->chain_next = NULL;
}

static bool is_short(const struct model_request *request, int32_t result)
{
	uint64_t wanted = 0;

	if (!(request->op->traits & ABI_SHORT_BREAKS_LINK))
		return false;
	for (const struct model_range *range = request->ranges; range; range = range->next)
		if (range->kind == ABI_DATA)
			wanted += range->length;
	return (uint64_t)result < wanted;
}

/* The request has ended: what came before it is over too, and a failure breaks what follows. */
void chain_settle(struct model_request *request, int32_t result)
{
	bool soft = !(request->sqe.flags & URING_SQE_IO_HARDLINK);

	if (!request->chain_next || !soft || (result >= 0 && !is_short(request, result)))
		return;
	for (struct model_request *later = request->chain_next; later; later = later->chain_next)
		later->link_broken = true;
}
