/* SPDX-License-Identifier: MIT */
/* Reading what the kernel hands back: completion queues and provided-buffer rings. */
#include <sys/syscall.h>

#include "shim/inner.h"

enum { BATCH = 8, SPINS = 20000 };

/* Until the thread that claimed the entries before ours has emitted them; not for ever. */
static bool wait_for(const uint32_t *emitted, uint32_t index)
{
	for (unsigned i = 0; i < SPINS; i++) {
		if ((int32_t)(__atomic_load_n(emitted, __ATOMIC_ACQUIRE) - index) >= 0)
			return true;
		if (i % 64 == 63)
			SYS0(SYS_sched_yield);
		else
			__builtin_ia32_pause();
	}
	return false;
}

static void lost(struct emit *emit, struct ring *ring, uint32_t count)
{
	struct event_lost event = { .count = count };

	emit_event(emit, EVENT_CQ_LOST, ring->number, &event, sizeof(event));
	filter_drop(ring);
}

/* Entries [*index, end), as many as fit: how many slots were copied. */
static uint32_t copy_slots(const struct ring *ring, uint32_t index, uint32_t end, uint64_t to[BATCH][4])
{
	unsigned shift = ring->flags & URING_SETUP_CQE32 ? 5 : 4;
	const uint8_t *slots = ring->cq + ring->cq_off.cqes;
	uint32_t n = end - index < BATCH ? end - index : BATCH;

	for (uint32_t i = 0; i < n; i++) {
		const volatile uint64_t *slot =
			(const uint64_t *)(slots + ((uint64_t)((index + i) & (ring->cq_entries - 1)) << shift));

		to[i][0] = slot[0];
		to[i][1] = slot[1];
		if (shift == 5) {
			to[i][2] = slot[2];
			to[i][3] = slot[3];
		}
	}
	return n;
}

static void emit_one(struct emit *emit, struct ring *ring, const uint64_t slot[4], const uint64_t *extra,
		     uint32_t index, uint32_t head)
{
	struct event_complete *event = emit_add(emit, EVENT_COMPLETE, ring->number, sizeof(*event));

	memcpy(&event->cqe, slot, sizeof(event->cqe));
	if (extra) {
		event->extra[0] = extra[0];
		event->extra[1] = extra[1];
	}
	event->cq_index = index;
	event->taken = (int32_t)(head - index) > 0;
	if (ring->claims && !(event->cqe.flags & URING_CQE_F_MORE))
		filter_done(ring, event->cqe.user_data);
	if (ring->more)
		verify_complete(emit, ring, (const struct uring_cqe *)slot, event->taken);
}

/* Emits a copied batch; returns slots used (a large entry whose second half is not in it is left for the next). */
static uint32_t emit_batch(struct emit *emit, struct ring *ring, uint64_t batch[BATCH][4], uint32_t n, uint32_t index,
			   uint32_t head)
{
	uint32_t i = 0;

	while (i < n) {
		uint32_t flags = (uint32_t)(batch[i][1] >> 32);
		bool mixed = ring->flags & URING_SETUP_CQE_MIXED;

		if (mixed && flags & URING_CQE_F_SKIP) {
			i++;
			continue;
		}
		if (mixed && flags & URING_CQE_F_32) {
			if (i + 1 == n)
				return i ? i : n;
			emit_one(emit, ring, batch[i], batch[i + 1], index + i, head);
			i += 2;
			continue;
		}
		emit_one(emit, ring, batch[i], ring->flags & URING_SETUP_CQE32 ? &batch[i][2] : NULL, index + i, head);
		i++;
	}
	return n;
}

static void emit_range(struct emit *emit, struct ring *ring, uint32_t from, uint32_t to)
{
	uint64_t batch[BATCH][4];

	if (to - from > ring->cq_entries) {
		lost(emit, ring, to - from - ring->cq_entries);
		from = to - ring->cq_entries;
	}
	while (from != to) {
		uint32_t n = copy_slots(ring, from, to, batch);
		uint32_t head = __atomic_load_n(RING_WORD(ring->cq, ring->cq_off.head), __ATOMIC_ACQUIRE);
		uint32_t tail = __atomic_load_n(RING_WORD(ring->cq, ring->cq_off.tail), __ATOMIC_ACQUIRE);

		/* Written over while we looked? */
		if (tail - from > ring->cq_entries) {
			uint32_t gone = tail - from - ring->cq_entries;

			gone = gone > to - from ? to - from : gone;
			lost(emit, ring, gone);
			from += gone;
			continue;
		}
		from += emit_batch(emit, ring, batch, n, from, head);
	}
}

/* Whoever claimed those entries is held up or gone: nobody waits for it again. */
static void give_up(struct emit *emit, struct ring_cursor *cursor, uint32_t index)
{
	emit->flags |= EVENT_UNCERTAIN;
	__atomic_store_n(&cursor->emitted, index, __ATOMIC_RELEASE);
}

/* The ring is held by the caller. */
static void sync_held(struct emit *emit, struct ring *ring)
{
	struct ring_cursor *cursor = ring->cursor;
	uint32_t claimed = __atomic_load_n(&cursor->claimed, __ATOMIC_RELAXED), tail;

	do {
		tail = __atomic_load_n(RING_WORD(ring->cq, ring->cq_off.tail), __ATOMIC_ACQUIRE);
		if ((int32_t)(tail - claimed) <= 0) {
			if (!wait_for(&cursor->emitted, tail))
				give_up(emit, cursor, tail);
			return;
		}
	} while (!__atomic_compare_exchange_n(&cursor->claimed, &claimed, tail, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	if (!wait_for(&cursor->emitted, claimed))
		give_up(emit, cursor, claimed);
	emit_range(emit, ring, claimed, tail);
	__atomic_store_n(&cursor->emitted, tail, __ATOMIC_RELEASE);
}

void complete_sync(struct emit *emit, struct ring *ring)
{
	if (!rings_hold(ring))
		return;
	if (ring->cq && ring->cursor_ready)
		sync_held(emit, ring);
	rings_let_go(ring);
}

static void buffers_of(struct emit *emit, struct ring *ring, struct ring_pbuf *pbuf)
{
	struct uring_buf entries[16];
	uint16_t tail;

	if (shim_peek(&tail, pbuf->address + 14, 2) != 2)
		return;
	while (pbuf->tail != tail) {
		uint16_t at = pbuf->tail & (uint16_t)(pbuf->entries - 1), n = (uint16_t)(tail - pbuf->tail);
		struct event_buffers event = { .group = pbuf->group, .ring_entries = (uint16_t)pbuf->entries };

		if (n > pbuf->entries) {
			pbuf->tail = (uint16_t)(tail - pbuf->entries);
			continue;
		}
		n = n > 16 ? 16 : n;
		n = at + n > pbuf->entries ? (uint16_t)(pbuf->entries - at) : n;
		if (shim_peek(entries, pbuf->address + (uint64_t)at * 16, (size_t)n * 16) != (size_t)n * 16)
			return;
		pbuf->tail += n;
		event.n = n;
		event.tail = pbuf->tail;
		emit_tailed(emit, EVENT_BUFFERS_ADDED, ring->number, &event, sizeof(event), entries, (size_t)n * 16);
	}
}

void complete_buffers(struct emit *emit, struct ring *ring)
{
	for (unsigned i = 0; i < RING_PBUFS; i++)
		if (ring->pbufs[i].used && ring->pbufs[i].address)
			buffers_of(emit, ring, &ring->pbufs[i]);
}
