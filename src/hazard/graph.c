/* SPDX-License-Identifier: MIT */
/* Who waits for whom: see the header. */
#include <stdio.h>
#include <string.h>

#include "hazard/graph.h"
#include "hazard/known.h"

enum { FUTEX_PRIVATE = 128, OPEN_NONBLOCK = 04000, MESSAGE_DONTWAIT = 0x40, RW_NOWAIT = 8 };
enum { POLL_READABLE = 0x41 /* POLLIN | POLLRDNORM */, POLL_WRITABLE = 0x104 /* POLLOUT | POLLWRNORM */ };

enum thing_kind { THING_NONE, THING_PIPE, THING_SOCKET, THING_EVENTFD, THING_FUTEX };

/* Something in the process that one request waits on and another one feeds. */
struct thing {
	enum thing_kind kind;
	uint64_t key;    /* inode, or address of the futex */
	uint64_t feeder; /* inode on which a write feeds it */
};

/* ---- things ---- */

static bool made_here(const struct model_process *process, const struct model_object *object)
{
	MAP_FOR_EACH(&process->fds, entry)
	{
		const struct model_fd *fd = entry->value;

		if (fd->private_pair && fd->object.type == object->type && fd->object.inode == object->inode)
			return true;
	}
	return false;
}

/* The kernel itself writes to an eventfd that is registered with a ring. */
static bool is_notified(const struct model *model, const struct model_object *object)
{
	MAP_FOR_EACH(&model->rings, entry)
	{
		const struct model_ring *ring = entry->value;
		const struct model_fd *fd = NULL;

		if (ring->eventfd_registered && ring->process)
			fd = model_fd_get(ring->process, ring->eventfd);
		if (ring->eventfd_registered && (!fd || fd->object.inode == object->inode))
			return true;
	}
	return false;
}

static bool waits_to_read(const struct model_request *request)
{
	const struct uring_sqe *sqe = &request->sqe;

	switch (sqe->opcode) {
	case URING_OP_POLL_ADD:
		return (sqe->poll32_events & POLL_READABLE) && !(sqe->poll32_events & POLL_WRITABLE);
	case URING_OP_RECV:
	case URING_OP_RECVMSG:
		return !(sqe->op_flags & MESSAGE_DONTWAIT) && !(request->object.open_flags & OPEN_NONBLOCK);
	case URING_OP_READ:
	case URING_OP_READ_FIXED:
		return sqe->len && !(sqe->op_flags & RW_NOWAIT) && !(request->object.open_flags & OPEN_NONBLOCK);
	case URING_OP_READV:
		return !(sqe->op_flags & RW_NOWAIT) && !(request->object.open_flags & OPEN_NONBLOCK);
	default:
		return sqe->opcode == URING_OP_READ_MULTISHOT;
	}
}

static struct thing thing_of_file(const struct model *model, const struct model_request *request)
{
	const struct model_object *object = &request->object;
	struct thing thing = { THING_NONE, object->inode, object->inode };

	if (!object->inode || !waits_to_read(request))
		return thing;
	if (object->type == EVENT_FD_EVENTFD) {
		thing.kind = is_notified(model, object) ? THING_NONE : THING_EVENTFD;
	} else if (!made_here(request->process, object)) {
		return thing;
	} else if (object->type == EVENT_FD_PIPE) {
		thing.kind = object->access == 1 ? THING_NONE : THING_PIPE;
	} else if (object->type == EVENT_FD_STREAM || object->type == EVENT_FD_DGRAM) {
		thing.kind = object->peer_inode ? THING_SOCKET : THING_NONE;
		thing.feeder = object->peer_inode;
	}
	return thing;
}

/* What the request waits on; THING_NONE: it ends by itself, or by something that cannot be known. */
static struct thing thing_of(const struct model *model, const struct model_request *request)
{
	if (request->sqe.opcode == URING_OP_FUTEX_WAIT && ((uint32_t)request->sqe.fd & FUTEX_PRIVATE))
		return (struct thing){ THING_FUTEX, request->sqe.addr, 0 };
	return thing_of_file(model, request);
}

/* May end any other: by cancelling it, or in a way that is not looked into. */
static bool is_wild(const struct model_request *request)
{
	uint8_t opcode = request->sqe.opcode;

	return opcode == URING_OP_ASYNC_CANCEL || opcode == URING_OP_POLL_REMOVE || opcode >= URING_OP_LAST ||
	       (opcode == URING_OP_CLOSE && request->sqe.file_index);
}

static bool feeds(const struct model_request *request, const struct thing *thing)
{
	uint8_t opcode = request->sqe.opcode;
	uint64_t inode = request->object.inode;

	if (is_wild(request))
		return true;
	if (thing->kind == THING_FUTEX)
		return opcode == URING_OP_FUTEX_WAKE && request->sqe.addr == thing->key;
	if (opcode == URING_OP_CLOSE || opcode == URING_OP_SHUTDOWN)
		return inode == thing->key || inode == thing->feeder || request->object.type == EVENT_FD_UNKNOWN;
	if (!known_trait(request, ABI_WRITES_FILE))
		return false;
	return request->object.type == EVENT_FD_UNKNOWN || inode == thing->feeder;
}

/* ---- the order ---- */

static int index_of(const struct graph *graph, const struct model_request *request)
{
	for (unsigned i = 0; i < graph->n; i++)
		if (graph->nodes[i].request == request)
			return (int)i;
	return -1;
}

static const struct graph_node *node_before(const struct graph *graph, const struct model_request *request)
{
	int at = request->chain_prev ? index_of(graph, request->chain_prev) : -1;

	return at < 0 ? NULL : &graph->nodes[at];
}

/* A drain in the middle of a chain holds its head. */
static bool chain_drains(const struct model_request *request)
{
	for (; request; request = request->chain_next)
		if (request->sqe.flags & URING_SQE_IO_DRAIN)
			return true;
	return false;
}

static bool same_chain(const struct model_request *a, const struct model_request *b)
{
	return a == b || (a->chain && a->chain == b->chain && a->ring == b->ring);
}

/* The older request that keeps a chain's first member, or a single request, from starting. */
static const struct graph_node *barrier(const struct graph *graph, const struct model_request *request)
{
	bool drains = chain_drains(request);

	for (unsigned i = 0; i < graph->n; i++) {
		const struct graph_node *older = &graph->nodes[i];

		if (older->request->ring != request->ring || older->request->seq >= request->seq ||
		    same_chain(older->request, request))
			continue;
		if (drains && !older->ends)
			return older;
		if (!drains && !older->starts && !older->request->chain_prev && chain_drains(older->request))
			return older;
	}
	return NULL;
}

static bool can_start(const struct graph *graph, const struct model_request *request)
{
	const struct graph_node *before = node_before(graph, request);

	return before ? before->ends : !barrier(graph, request);
}

static const struct graph_node *producer(const struct graph *graph, const struct model_request *request,
					 const struct thing *thing, bool that_starts)
{
	for (unsigned i = 0; i < graph->n; i++)
		if (graph->nodes[i].request != request && graph->nodes[i].starts == that_starts &&
		    feeds(graph->nodes[i].request, thing))
			return &graph->nodes[i];
	return NULL;
}

static bool has_limit(const struct model_request *request)
{
	return request->chain_next && request->chain_next->sqe.opcode == URING_OP_LINK_TIMEOUT;
}

static bool is_told(const struct model_request *request)
{
	return (request->state == REQUEST_INFLIGHT || request->state == REQUEST_STAGED) && !request->ambiguous &&
	       !request->uncertain && !request->cancel_requested && !request->awaiting_notif && !request->sq_kept &&
	       !request->refused;
}

static bool can_end(const struct graph *graph, const struct model *model, const struct model_request *request)
{
	struct thing thing = thing_of(model, request);

	if (thing.kind == THING_NONE || has_limit(request) || producer(graph, request, &thing, true))
		return true;
	/* With no producer at all among the requests it is somebody else's: a signal handler's, say. */
	return !producer(graph, request, &thing, false);
}

static bool improve(struct graph *graph, const struct model *model, struct graph_node *node)
{
	bool better = false;

	if (!node->starts && can_start(graph, node->request)) {
		node->starts = true;
		better = true;
	}
	if (node->starts && !node->ends && can_end(graph, model, node->request)) {
		node->ends = true;
		better = true;
	}
	return better;
}

static bool add_ring(struct graph *graph, struct model_ring *ring)
{
	if (ring->lost)
		return false;
	for (struct model_request *request = ring->first; request; request = request->next) {
		/* What was left in the queue is submitted by the program alone. */
		if (request->state == REQUEST_QUEUED)
			continue;
		if (graph->n == GRAPH_NODES || !is_told(request) || known_refused_member(request))
			return false;
		graph->nodes[graph->n++] = (struct graph_node){ request, false, false };
	}
	return true;
}

bool graph_solve(struct graph *graph, const struct model *model, const struct model_process *process)
{
	bool better = true;

	graph->n = 0;
	MAP_FOR_EACH(&model->rings, entry)
	{
		struct model_ring *ring = entry->value;

		if (ring->process == process && !ring->closed && !add_ring(graph, ring))
			return false;
	}
	while (better) {
		better = false;
		for (unsigned i = 0; i < graph->n; i++)
			better |= improve(graph, model, &graph->nodes[i]);
	}
	return true;
}

/* ---- the circle ---- */

/* The first member of the chain that does not end: all behind it wait for it. */
static const struct graph_node *holder(const struct graph *graph, const struct model_request *request)
{
	const struct graph_node *found = NULL;

	for (const struct graph_node *node = node_before(graph, request); node && !node->ends;
	     node = node_before(graph, node->request))
		found = node;
	return found;
}

static bool next_step(const struct graph *graph, const struct model *model, const struct model_request *from,
		      struct graph_step *ret_step)
{
	int at = index_of(graph, from);
	const struct graph_node *to = NULL;
	struct graph_step step = { .from = from };

	if (at < 0)
		return false;
	if (graph->nodes[at].starts) {
		struct thing thing = thing_of(model, from);

		to = thing.kind == THING_NONE ? NULL : producer(graph, from, &thing, false);
		step.why = GRAPH_PRODUCT;
	} else if (from->chain_prev) {
		to = holder(graph, from);
		step.why = GRAPH_LINK;
	} else {
		to = barrier(graph, from);
		step.why = GRAPH_DRAIN;
	}
	if (!to)
		return false;
	step.to = to->request;
	*ret_step = step;
	return true;
}

/* Keeps steps [first, n), turned so that a product comes first. */
static bool close_circle(struct graph_cycle *cycle, const struct graph_step *steps, unsigned first, unsigned n)
{
	unsigned length = n - first, start = first;

	memset(cycle, 0, sizeof(*cycle));
	while (start < n && steps[start].why != GRAPH_PRODUCT)
		start++;
	if (start == n)
		return false;
	for (unsigned i = 0; i < length; i++) {
		const struct graph_step *step = &steps[first + (start - first + i) % length];

		cycle->steps[cycle->n++] = *step;
		cycle->n_products += step->why == GRAPH_PRODUCT;
		cycle->n_drains += step->why == GRAPH_DRAIN;
	}
	return true;
}

bool graph_cycle(const struct graph *graph, const struct model *model, const struct model_request *from,
		 struct graph_cycle *ret_cycle)
{
	struct graph_step steps[GRAPH_STEPS];

	for (unsigned n = 0; n < GRAPH_STEPS; n++) {
		if (!next_step(graph, model, from, &steps[n]))
			return false;
		from = steps[n].to;
		for (unsigned i = 0; i <= n; i++)
			if (steps[i].from == from)
				return close_circle(ret_cycle, steps, i, n + 1);
	}
	return false;
}

void graph_thing_name(const struct model *model, const struct model_request *request, char *to, size_t bytes)
{
	struct thing thing = thing_of(model, request);

	if (thing.kind == THING_FUTEX)
		snprintf(to, bytes, "the futex at 0x%llx", (unsigned long long)thing.key);
	else
		snprintf(to, bytes, "the %s behind %s %d",
			 thing.kind == THING_PIPE      ? "pipe"
			 : thing.kind == THING_EVENTFD ? "eventfd"
						       : "socket pair",
			 request->sqe.flags & URING_SQE_FIXED_FILE ? "fixed file" : "fd", request->sqe.fd);
}
