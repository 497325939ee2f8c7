/* SPDX-License-Identifier: MIT */
/*
 * What only looking again can show: buffers that changed while the kernel still sends from them, and, where SQPOLL is
 * emulated, entries that were rewritten after they had been consumed.
 */
#include "shim/inner.h"

enum { SUMMED = 65536 };

static bool hash_memory(uint64_t address, uint64_t length, uint64_t *ret_hash)
{
	uint64_t *scratch = shim_self.more->scratch, hash = length;

	length = length < SUMMED ? length : SUMMED;
	while (length) {
		size_t part = length < SCRATCH_BYTES ? length : SCRATCH_BYTES;

		scratch[(part - 1) / 8] = 0;
		if (shim_peek(scratch, address, part) != part)
			return false;
		for (size_t i = 0; i < (part + 7) / 8; i++)
			hash = (hash ^ scratch[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
		address += part;
		length -= part;
	}
	*ret_hash = hash;
	return true;
}

/* The plain buffer that the kernel reads for this request, if it is to be watched. */
static bool watched(const struct uring_sqe *sqe)
{
	bool plain = !(sqe->flags & URING_SQE_BUFFER_SELECT) && sqe->addr && sqe->len;

	if (sqe->opcode == URING_OP_SEND_ZC)
		return plain && !(sqe->ioprio & URING_SEND_VECTORIZED);
	if (!(shim_options & SHARED_VERIFY_BUFFERS))
		return false;
	if (sqe->opcode == URING_OP_SEND)
		return plain && !(sqe->ioprio & URING_SEND_VECTORIZED);
	return plain && (sqe->opcode == URING_OP_WRITE || sqe->opcode == URING_OP_WRITE_FIXED);
}

void verify_submit(struct ring *ring, const struct uring_sqe *sqe)
{
	struct ring_more *more;
	struct ring_sum *sum = NULL;

	if (!watched(sqe) || !(more = rings_more(ring)))
		return;
	for (unsigned i = 0; i < RING_SUMS && !sum; i++)
		if (!more->sums[i].used)
			sum = &more->sums[i];
	if (!sum || !hash_memory(sqe->addr, sqe->len, &sum->hash))
		return;
	sum->address = sqe->addr;
	sum->length = sqe->len;
	sum->user_data = sqe->user_data;
	sum->zero_copy = sqe->opcode == URING_OP_SEND_ZC;
	sum->used = 1;
	more->n_sums++;
}

static void compare(struct emit *emit, struct ring *ring, struct ring_sum *sum)
{
	struct event_checksum event = { .address = sum->address, .length = sum->length, .user_data = sum->user_data };
	uint64_t hash;

	if (!hash_memory(sum->address, sum->length, &hash) || hash == sum->hash)
		return;
	emit_event(emit, EVENT_CHECKSUM, ring->number, &event, sizeof(event));
	sum->used = 0;
	ring->more->n_sums--;
}

/* Called when all completions so far have been read: what is still listed is in flight. */
void verify_look(struct emit *emit, struct ring *ring)
{
	for (unsigned i = 0; i < RING_SUMS && ring->more->n_sums; i++)
		if (ring->more->sums[i].used)
			compare(emit, ring, &ring->more->sums[i]);
}

/*
 * The request is over. Before the program took this completion the buffer was not its own yet, so a change counts;
 * afterwards it may write what it likes.
 */
void verify_complete(struct emit *emit, struct ring *ring, const struct uring_cqe *cqe, bool taken)
{
	struct ring_more *more = ring->more;

	for (unsigned i = 0; i < RING_SUMS && more->n_sums; i++) {
		struct ring_sum *sum = &more->sums[i];

		if (!sum->used || sum->user_data != cqe->user_data)
			continue;
		if (sum->zero_copy && !(cqe->flags & URING_CQE_F_NOTIF) && cqe->flags & URING_CQE_F_MORE)
			continue;
		if (!taken)
			compare(emit, ring, sum);
		if (sum->used) {
			sum->used = 0;
			more->n_sums--;
		}
		return;
	}
}

/* Remembers an entry that a poller would have consumed. */
void verify_shadow(struct ring *ring, uint32_t index, uint32_t slot, const struct uring_sqe *sqe, bool first)
{
	struct ring_more *more = rings_more(ring);

	if (!more)
		return;
	if (first) {
		more->shadow_first = index;
		more->shadow_count = 0;
		more->shadow_odd = false;
	}
	more->shadow_odd |= slot != (index & (ring->sq_entries - 1));
	if (more->shadow_count == RING_SHADOW)
		return;
	more->shadow_slots[more->shadow_count] = slot;
	more->shadow[more->shadow_count++] = *sqe;
}

static bool same(const struct uring_sqe *a, const struct uring_sqe *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static const struct uring_sqe *at_slot(const struct ring *ring, uint32_t slot)
{
	return (const struct uring_sqe *)(ring->sqes + ((uint64_t)slot << (ring->flags & URING_SETUP_SQE128 ? 7 : 6)));
}

/* Whether the slot is among the entries that are published now. */
static bool published(const struct ring *ring, uint32_t slot, uint32_t head, uint32_t tail)
{
	for (uint32_t i = head; i != tail && i - head < ring->sq_entries; i++) {
		uint32_t at = i & (ring->sq_entries - 1);

		if (!(ring->flags & URING_SETUP_NO_SQARRAY))
			at = ((volatile uint32_t *)(ring->sq + ring->sq_off.array))[at];
		if (at == slot)
			return true;
	}
	return false;
}

/* The slot that whoever fills them in turn prepares first, once entries up to `tail` are published. */
static const struct uring_sqe *next_slot(const struct ring *ring, uint32_t tail)
{
	return at_slot(ring, tail & (ring->sq_entries - 1));
}

void verify_remember_next(struct ring *ring, uint32_t tail)
{
	ring->next_known = ring->sqes && !(ring->flags & URING_SETUP_SQ_REWIND);
	if (!ring->next_known)
		return;
	ring->next_tail = tail;
	ring->next = *next_slot(ring, tail);
}

static bool next_changed(const struct ring *ring, uint32_t tail)
{
	return ring->next_known && ring->next_tail == tail && !same(next_slot(ring, tail), &ring->next);
}

/* A call that submits nothing, while an entry was written behind those that are published. */
void verify_next(struct emit *emit, struct ring *ring, uint32_t tail)
{
	struct event_slot_changed event = { .slot = tail & (ring->sq_entries - 1), .sq_index = tail, .sq_tail = tail };

	if (!next_changed(ring, tail))
		return;
	event.now = *next_slot(ring, tail);
	emit_event(emit, EVENT_SLOT_CHANGED, ring->number, &event, sizeof(event));
}

/*
 * Whether nothing is being prepared: all that was is published now, or the next slot is as it was left. Then a slot
 * that was consumed and is not as it was is no preparation.
 */
static bool nothing_prepared(const struct ring *ring, uint32_t tail)
{
	if (ring->more->shadow_odd || !ring->next_known)
		return false;
	return ring->next_tail != tail || !next_changed(ring, tail);
}

void verify_slots(struct emit *emit, struct ring *ring)
{
	struct ring_more *more = ring->more;
	uint32_t head, tail, told = 0;
	bool unchanged;

	if (!more->shadow_count || !ring->sq || !ring->sqes)
		return;
	head = __atomic_load_n(RING_WORD(ring->sq, ring->sq_off.head), __ATOMIC_ACQUIRE);
	tail = __atomic_load_n(RING_WORD(ring->sq, ring->sq_off.tail), __ATOMIC_ACQUIRE);
	unchanged = nothing_prepared(ring, tail);
	for (uint32_t i = 0; i < more->shadow_count && told < 16; i++) {
		uint32_t slot = more->shadow_slots[i];
		struct event_slot_changed event = { .slot = slot, .sq_index = more->shadow_first + i, .sq_tail = tail };

		if (published(ring, slot, head, tail) || slot == (tail & (ring->sq_entries - 1)))
			continue;
		event.now = *at_slot(ring, slot);
		if (same(&event.now, &more->shadow[i])) {
			unchanged = true;
			continue;
		}
		event.unchanged_between = unchanged;
		emit_event(emit, EVENT_SLOT_CHANGED, ring->number, &event, sizeof(event));
		told++;
	}
	more->shadow_count = 0;
}
