/* SPDX-License-Identifier: MIT */
/*
 * io_uring_enter. Before the call: what completed since we looked last, the call itself and each entry that the kernel
 * is about to read; all of it is visible before a call that may block for ever. After it: how many entries were taken,
 * and what completed.
 */
#include <errno.h>
#include <sys/syscall.h>

#include "shim/inner.h"

#define SIGSYS_BIT (UINT64_C(1) << 30)
#define QUEUED UINT64_C(0x6369726371756575) /* with an index: in place of user_data in the filter */

enum { STATE_FLAGS, STATE_ASKED, STATE_HEAD, STATE_CALL, STATE_N };

struct batch {
	struct ring *ring;
	uint32_t head, tail, n;
};

static uint64_t last_call;

static uint32_t load(uint8_t *base, uint32_t offset)
{
	return __atomic_load_n(RING_WORD(base, offset), __ATOMIC_ACQUIRE);
}

static uint64_t nanoseconds(uint64_t address)
{
	struct uring_timespec limit;

	if (shim_peek(&limit, address, sizeof(limit)) != sizeof(limit) || limit.tv_sec < 0 ||
	    limit.tv_sec > INT64_MAX / 2000000000)
		return UINT64_MAX;
	return (uint64_t)limit.tv_sec * 1000000000 + (uint64_t)limit.tv_nsec;
}

/* How long the call may wait; and no mask of it may keep SIGSYS away from handlers that run meanwhile. */
static uint64_t parse_wait(struct call *call)
{
	uint32_t flags = (uint32_t)call->args[3];
	struct uring_getevents_arg *copy = (struct uring_getevents_arg *)&call->scratch[1];
	uint64_t mask = call->args[4], timeout = UINT64_MAX;

	if (!call->args[4] || !(flags & URING_ENTER_GETEVENTS) || flags & URING_ENTER_EXT_ARG_REG)
		return timeout;
	if (flags & URING_ENTER_EXT_ARG) {
		if (call->args[5] != sizeof(*copy) || shim_peek(copy, call->args[4], sizeof(*copy)) != sizeof(*copy))
			return timeout;
		timeout = copy->ts ? nanoseconds(copy->ts) : UINT64_MAX;
		mask = copy->sigmask;
	}
	if (!mask || shim_peek(&call->scratch[0], mask, 8) != 8 || !(call->scratch[0] & SIGSYS_BIT))
		return timeout;
	call->scratch[0] &= ~SIGSYS_BIT;
	if (flags & URING_ENTER_EXT_ARG) {
		copy->sigmask = (uint64_t)&call->scratch[0];
		call->args[4] = (uint64_t)copy;
	} else {
		call->args[4] = (uint64_t)&call->scratch[0];
	}
	return timeout;
}

/* Where the entry at a free-running index lies, or -1 where the array points outside. */
static int64_t slot_of(const struct ring *ring, uint32_t index)
{
	uint32_t at = index & (ring->sq_entries - 1);

	if (!(ring->flags & URING_SETUP_NO_SQARRAY))
		at = ((volatile uint32_t *)(ring->sq + ring->sq_off.array))[at];
	return at < ring->sq_entries ? (int64_t)at : -1;
}

static unsigned sqe_bytes(const struct ring *ring, const struct uring_sqe *sqe)
{
	if (ring->flags & URING_SETUP_SQE128)
		return 128;
	return ring->flags & URING_SETUP_SQE_MIXED &&
			       (sqe->opcode == URING_OP_NOP128 || sqe->opcode == URING_OP_URING_CMD128)
		       ? 128
		       : 64;
}

static void emit_submit(struct emit *emit, struct ring *ring, const struct uring_sqe *at, const struct uring_sqe *sqe,
			const struct event_submit *fields)
{
	size_t extra = fields->sqe_size == 128 ? 64 : 0, room = args_room(sqe), used = 0;
	struct event_submit *event = emit_add(emit, EVENT_SUBMIT, ring->number, sizeof(*event) + extra + room);
	uint8_t *tail = (uint8_t *)(event + 1);

	event->slot = fields->slot;
	event->position = fields->position;
	event->sqe_size = fields->sqe_size;
	event->sq_index = fields->sq_index;
	event->sqe = *sqe;
	if (extra)
		memcpy(tail, at + 1, extra);
	if (room) {
		used = args_write(sqe, tail + extra, room, &event->n_args);
		emit_trim(emit, event, sizeof(*event) + extra + used);
	}
}

/* The operations whose `fd` is something else: a count, a domain, flags. */
static const uint64_t no_descriptor =
	UINT64_C(1) << URING_OP_PROVIDE_BUFFERS | UINT64_C(1) << URING_OP_REMOVE_BUFFERS |
	UINT64_C(1) << URING_OP_SOCKET | UINT64_C(1) << URING_OP_WAITID | UINT64_C(1) << URING_OP_FUTEX_WAIT |
	UINT64_C(1) << URING_OP_FUTEX_WAKE | UINT64_C(1) << URING_OP_FUTEX_WAITV | UINT64_C(1) << URING_OP_PIPE |
	UINT64_C(1) << URING_OP_TIMEOUT | UINT64_C(1) << URING_OP_TIMEOUT_REMOVE | UINT64_C(1) << URING_OP_LINK_TIMEOUT;

static void describe(struct emit *emit, const struct uring_sqe *sqe)
{
	if (sqe->fd >= 0 && !(sqe->flags & URING_SQE_FIXED_FILE) &&
	    (sqe->opcode > 63 || !(no_descriptor >> sqe->opcode & 1)))
		fds_describe(emit, sqe->fd);
	if ((sqe->opcode == URING_OP_SPLICE || sqe->opcode == URING_OP_TEE) && !(sqe->op_flags & UINT32_C(0x80000000)))
		fds_describe(emit, sqe->splice_fd_in);
	if (sqe->opcode == URING_OP_CLOSE && !sqe->file_index)
		fds_ring_closes(sqe->fd);
}

/* One entry; returns slots it takes. */
static uint32_t submit_one(struct emit *emit, struct batch *batch, uint32_t index, uint32_t position)
{
	struct ring *ring = batch->ring;
	int64_t slot = slot_of(ring, index);
	unsigned shift = ring->flags & URING_SETUP_SQE128 ? 7 : 6;
	struct event_submit fields = { .position = position, .sq_index = index };
	const struct uring_sqe *at;
	struct uring_sqe sqe;

	if (slot < 0)
		return 1;
	at = (const struct uring_sqe *)(ring->sqes + ((uint64_t)slot << shift));
	sqe = *at;
	fields.slot = (uint32_t)slot;
	fields.sqe_size = (uint16_t)sqe_bytes(ring, &sqe);
	if (fields.sqe_size == 128 && shift == 6 && slot + 1 == ring->sq_entries)
		fields.sqe_size = 64;
	describe(emit, &sqe);
	args_claim(emit, ring, &sqe, position);
	emit_submit(emit, ring, at, &sqe, &fields);
	verify_submit(ring, &sqe);
	if (ring->emulated)
		verify_shadow(ring, index, (uint32_t)slot, &sqe, position == 0);
	return fields.sqe_size == 128 && shift == 6 ? 2 : 1;
}

static uint32_t submits(struct emit *emit, struct batch *batch)
{
	uint32_t position = 0;

	for (uint32_t i = 0; i < batch->n; position++)
		i += submit_one(emit, batch, batch->head + i, position);
	return position;
}

static struct batch look(struct ring *ring, struct call *call)
{
	struct batch batch = { .ring = ring };
	uint32_t asked = (uint32_t)call->args[1], pending;

	batch.head = load(ring->sq, ring->sq_off.head);
	batch.tail = load(ring->sq, ring->sq_off.tail);
	if (ring->flags & URING_SETUP_SQ_REWIND) {
		batch.head = 0;
		batch.tail = asked < ring->sq_entries ? asked : ring->sq_entries;
	}
	pending = batch.tail - batch.head;
	if (pending > ring->sq_entries)
		pending = ring->sq_entries;
	if (ring->emulated & URING_SETUP_SQPOLL) {
		call->args[1] = pending;
		call->args[3] &= ~(uint64_t)(URING_ENTER_SQ_WAKEUP | URING_ENTER_SQ_WAIT);
		asked = pending;
	}
	batch.n = asked < pending ? asked : pending;
	/* A poller that was kept takes them itself: nothing can be told of when. */
	if (ring->flags & URING_SETUP_SQPOLL && !ring->emulated)
		batch.n = 0;
	return batch;
}

static struct event_enter *emit_enter(struct emit *emit, struct call *call, const struct batch *batch)
{
	struct event_enter *event = emit_add(emit, EVENT_ENTER, batch->ring->number, sizeof(*event));
	struct ring *ring = batch->ring;

	event->to_submit = (uint32_t)call->state[STATE_ASKED];
	event->min_complete = (uint32_t)call->args[2];
	event->flags = (uint32_t)call->state[STATE_FLAGS];
	event->sq_head = batch->head;
	event->sq_tail = batch->tail;
	event->cq_head = load(ring->cq, ring->cq_off.head);
	event->cq_tail = load(ring->cq, ring->cq_off.tail);
	event->sq_flags = load(ring->sq, ring->sq_off.flags);
	event->cq_overflow = load(ring->cq, ring->cq_off.overflow);
	event->sq_dropped = load(ring->sq, ring->sq_off.dropped);
	event->fd = (int32_t)call->args[0];
	event->n_submit = batch->n;
	event->call = call->state[STATE_CALL];
	if (sharing_meant(ring))
		event->h.flags |= EVENT_SHARED;
	return event;
}

/* How many entries there are behind the head when some take two slots. */
static uint32_t count_entries(const struct batch *batch)
{
	uint32_t n = 0;

	if (!(batch->ring->flags & URING_SETUP_SQE_MIXED) && batch->ring->flags & URING_SETUP_NO_SQARRAY)
		return batch->n;
	for (uint32_t i = 0; i < batch->n;) {
		int64_t slot = slot_of(batch->ring, batch->head + i);

		n += slot >= 0;
		i += slot >= 0 && !(batch->ring->flags & URING_SETUP_SQE128) &&
				     sqe_bytes(batch->ring, (const struct uring_sqe *)batch->ring->sqes + slot) == 128
			     ? 2
			     : 1;
	}
	return n;
}

/* What the kernel left in the queue is told of again with the next call. */
static void leave_queued(struct ring *ring, uint32_t first, uint32_t n)
{
	unsigned shift = ring->flags & URING_SETUP_SQE128 ? 7 : 6;

	ring->left_first = first;
	ring->left = n;
	for (uint32_t i = 0; ring->sqes && i < n; i++) {
		int64_t slot = slot_of(ring, first + i);
		struct uring_sqe sqe;

		if (slot < 0)
			continue;
		sqe = *(const struct uring_sqe *)(ring->sqes + ((uint64_t)slot << shift));
		filter_done(ring, sqe.user_data);
		args_claim_queued(ring, &sqe, QUEUED ^ (first + i));
		i += sqe_bytes(ring, &sqe) == 128 && shift == 6;
	}
}

static void take_queued(struct ring *ring)
{
	for (uint32_t i = 0; i < ring->left; i++)
		filter_done(ring, QUEUED ^ (ring->left_first + i));
	ring->left = 0;
}

static void before_held(struct emit *emit, struct call *call, struct ring *ring)
{
	struct event_enter *event;
	struct batch batch;

	ring->idle_glances = 0;
	complete_sync(emit, ring);
	complete_buffers(emit, ring);
	if (ring->more) {
		verify_slots(emit, ring);
		verify_look(emit, ring);
	}
	batch = look(ring, call);
	call->state[STATE_HEAD] = batch.head;
	call->state[STATE_CALL] = __atomic_add_fetch(&last_call, 1, __ATOMIC_RELAXED);
	call->state[STATE_N] = batch.n;
	event = emit_enter(emit, call, &batch);
	event->timeout = parse_wait(call);
	event->n_submit = count_entries(&batch);
	if (!batch.n && event->min_complete)
		verify_next(emit, ring, batch.tail);
	if (ring->left)
		take_queued(ring);
	submits(emit, &batch);
}

void enter_before(struct call *call)
{
	struct ring *ring = rings_by_call((uint32_t)call->args[0], call->args[3] & URING_ENTER_REGISTERED_RING);
	struct emit emit;

	call->state[STATE_FLAGS] = call->args[3];
	call->state[STATE_ASKED] = call->args[1];
	if (!ring && !(call->args[3] & URING_ENTER_REGISTERED_RING)) {
		stray_before(call);
		return;
	}
	if (!ring || !rings_hold(ring)) {
		call->off = 1;
		return;
	}
	if (!ring->sq || !ring->cq || !ring->sqes || !ring->cursor_ready || !emit_open(&emit)) {
		rings_let_go(ring);
		call->off = 1;
		return;
	}
	emit.stack = call->stack = stack_take(&emit, call->registers);
	call->ring = ring;
	before_held(&emit, call, ring);
	emit_close(&emit);
	rings_let_go(ring);
}

/* What a ring with a poller answers: the number it was asked for, or how the wait went. */
static void answer_as_poller(struct call *call)
{
	uint32_t asked = (uint32_t)call->state[STATE_ASKED];
	bool waited_badly =
		call->result == -EINTR || call->result == -ETIME || call->result == -EAGAIN || call->result == -EBUSY;

	if (call->result >= 0 || (waited_badly && asked))
		call->result = asked;
}

static void after_held(struct emit *emit, struct call *call, struct ring *ring)
{
	struct event_enter_return *event = emit_add(emit, EVENT_ENTER_RETURN, ring->number, sizeof(*event));
	uint32_t delta;
	struct event_ring_state state = { 0 };

	event->result = (int32_t)call->result;
	event->sq_head = load(ring->sq, ring->sq_off.head);
	event->sq_tail = load(ring->sq, ring->sq_off.tail);
	event->cq_head = load(ring->cq, ring->cq_off.head);
	event->cq_tail = load(ring->cq, ring->cq_off.tail);
	event->sq_flags = load(ring->sq, ring->sq_off.flags);
	event->cq_overflow = load(ring->cq, ring->cq_off.overflow);
	event->sq_dropped = load(ring->sq, ring->sq_off.dropped);
	event->call = call->state[STATE_CALL];
	delta = event->sq_head - (uint32_t)call->state[STATE_HEAD];
	if (ring->flags & URING_SETUP_SQ_REWIND)
		delta = call->result > 0 ? (uint32_t)call->result : 0;
	event->consumed = delta <= call->state[STATE_N] ? delta : (uint32_t)call->state[STATE_N];
	verify_remember_next(ring, event->sq_tail);
	if (event->consumed < call->state[STATE_N])
		leave_queued(ring, (uint32_t)call->state[STATE_HEAD] + event->consumed,
			     (uint32_t)call->state[STATE_N] - event->consumed);
	complete_sync(emit, ring);
	if (!(event->sq_flags & URING_SQ_CQ_OVERFLOW)) {
		ring->overflow_told = 0;
	} else if (!ring->overflow_told) {
		ring->overflow_told = 1;
		__atomic_store_n(&glance_overflows, 1, __ATOMIC_RELAXED);
		rings_state(ring, &state);
		emit_event(emit, EVENT_OVERFLOW, ring->number, &state, sizeof(state));
	}
}

void enter_after(struct call *call)
{
	struct ring *ring = call->ring;
	struct emit emit;

	if (!ring)
		stray_after(call);
	if (ring && rings_hold(ring)) {
		if (ring->sq && ring->cq && emit_open(&emit)) {
			emit.stack = call->stack;
			after_held(&emit, call, ring);
			if (stack_modules_stale)
				stack_modules(&emit);
			emit_close(&emit);
		}
		rings_let_go(ring);
	}
	if (ring && ring->emulated & URING_SETUP_SQPOLL)
		answer_as_poller(call);
}
