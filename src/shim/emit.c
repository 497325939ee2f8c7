/* SPDX-License-Identifier: MIT */
/* Writing records into this thread's slot of the shared memory: the protocol is in event/shared.h. */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "shim/shim.h"

enum { WAIT_SLICE_NS = 50000000, WAIT_SLICES = 600, MAX_RECORD = 65528 };

struct shared_header *shim_shared;
uint32_t shim_options;

/* Where records go when the reader is gone in the midst of an emission. */
static uint64_t nowhere[MAX_RECORD / 8 + 1];

static struct shared_slot *my_slot(void)
{
	return (struct shared_slot *)((uint8_t *)shim_shared + shared_slots_offset()) + shim_self.slot;
}

static uint8_t *my_ring(void)
{
	return (uint8_t *)shim_shared + shared_rings_offset() + (uint64_t)shim_self.slot * SHARED_RING_BYTES;
}

static bool alive(void)
{
	return __atomic_load_n(&shim_shared->reader_alive, __ATOMIC_RELAXED) != 0;
}

static void set_busy(struct shared_slot *slot)
{
	__atomic_store_n(&slot->busy, __atomic_load_n(&shim_shared->seq, __ATOMIC_RELAXED), __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void wake_reader(void)
{
	if (!__atomic_load_n(&shim_shared->reader_sleeping, __ATOMIC_RELAXED) ||
	    !__atomic_exchange_n(&shim_shared->reader_sleeping, 0, __ATOMIC_ACQ_REL))
		return;
	SYS6(SYS_futex, &shim_shared->reader_sleeping, FUTEX_WAKE, 1, 0, 0, 0);
}

static void publish(struct emit *emit, struct shared_slot *slot)
{
	__atomic_store_n(&slot->tail, emit->position, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->busy, 0, __ATOMIC_RELEASE);
}

bool emit_open(struct emit *emit)
{
	uint64_t all = ~UINT64_C(0);
	struct timespec now;

	if (shim_off() || shim_self.in_shim)
		return false;
	emit->restore_mask = !shim_self.in_handler;
	if (emit->restore_mask)
		SYS4(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &emit->mask, 8);
	emit->selector = shim_self.selector;
	shim_self.selector = 0;
	shim_self.in_shim = 1;
	emit->saved_errno = errno;
	clock_gettime(CLOCK_MONOTONIC, &now);
	emit->time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	emit->flags = 0;
	emit->stack = 0;
	emit->position = __atomic_load_n(&my_slot()->tail, __ATOMIC_RELAXED);
	set_busy(my_slot());
	return true;
}

void emit_close(struct emit *emit)
{
	struct shared_slot *slot = my_slot();

	publish(emit, slot);
	if (emit->position - __atomic_load_n(&slot->head, __ATOMIC_RELAXED) > SHARED_RING_BYTES / 4)
		wake_reader();
	errno = emit->saved_errno;
	shim_self.in_shim = 0;
	shim_self.selector = emit->selector;
	if (emit->restore_mask)
		SYS4(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &emit->mask, 0, 8);
}

/* Lets the reader have what is there, and waits until it made room or is gone. */
static bool wait_for_room(struct emit *emit, struct shared_slot *slot, uint64_t bytes)
{
	publish(emit, slot);
	for (unsigned i = 0; alive() && i < WAIT_SLICES; i++) {
		struct timespec slice = { 0, WAIT_SLICE_NS };
		uint32_t ticket = __atomic_load_n(&slot->head_futex, __ATOMIC_ACQUIRE);

		__atomic_store_n(&slot->writer_waits, 1, __ATOMIC_SEQ_CST);
		if (emit->position + bytes - __atomic_load_n(&slot->head, __ATOMIC_SEQ_CST) <= SHARED_RING_BYTES) {
			__atomic_store_n(&slot->writer_waits, 0, __ATOMIC_RELAXED);
			set_busy(slot);
			return true;
		}
		wake_reader();
		SYS6(SYS_futex, &slot->head_futex, FUTEX_WAIT, ticket, &slice, 0, 0);
	}
	__atomic_store_n(&shim_shared->reader_alive, 0, __ATOMIC_RELAXED);
	return false;
}

/* Room for one record that does not wrap. */
static uint8_t *reserve(struct emit *emit, size_t bytes)
{
	struct shared_slot *slot = my_slot();
	uint64_t offset = emit->position & (SHARED_RING_BYTES - 1);
	uint64_t skip = offset + bytes > SHARED_RING_BYTES ? SHARED_RING_BYTES - offset : 0;

	if (!alive())
		return (uint8_t *)nowhere;
	if (emit->position + skip + bytes - __atomic_load_n(&slot->head, __ATOMIC_ACQUIRE) > SHARED_RING_BYTES &&
	    !wait_for_room(emit, slot, skip + bytes))
		return (uint8_t *)nowhere;
	if (skip) {
		struct event *pad = (struct event *)(my_ring() + offset);

		pad->kind = EVENT_NONE;
		pad->size = (uint16_t)skip;
		emit->position += skip;
		offset = 0;
	}
	emit->position += bytes;
	return my_ring() + offset;
}

void *emit_add(struct emit *emit, uint32_t kind, uint32_t ring, size_t bytes)
{
	size_t size = (bytes + 7) & ~(size_t)7;
	struct event *event;

	if (size > MAX_RECORD)
		size = MAX_RECORD;
	event = (struct event *)reserve(emit, size);
	for (size_t i = 0; i < size / 8; i++)
		((volatile uint64_t *)event)[i] = 0;
	event->kind = (uint16_t)kind;
	event->size = (uint16_t)size;
	event->flags = (uint16_t)emit->flags;
	event->pid = shim_process_pid;
	event->tid = shim_self.tid;
	event->ring = ring;
	event->stack = emit->stack;
	event->time = emit->time;
	event->seq = __atomic_fetch_add(&shim_shared->seq, 1, __ATOMIC_SEQ_CST);
	return event;
}

void emit_trim(struct emit *emit, void *record, size_t bytes)
{
	struct event *event = record;
	size_t size = (bytes + 7) & ~(size_t)7;

	if ((uint64_t *)record == nowhere || size >= event->size)
		return;
	emit->position -= event->size - size;
	event->size = (uint16_t)size;
}

void emit_event(struct emit *emit, uint32_t kind, uint32_t ring, const void *event, size_t bytes)
{
	emit_tailed(emit, kind, ring, event, bytes, NULL, 0);
}

void emit_tailed(struct emit *emit, uint32_t kind, uint32_t ring, const void *event, size_t bytes, const void *tail,
		 size_t tail_bytes)
{
	uint8_t *record;

	if (tail_bytes > MAX_RECORD - bytes)
		tail_bytes = MAX_RECORD - bytes;
	record = emit_add(emit, kind, ring, bytes + tail_bytes);
	memcpy(record + sizeof(struct event), (const uint8_t *)event + sizeof(struct event),
	       bytes - sizeof(struct event));
	if (tail_bytes)
		memcpy(record + bytes, tail, tail_bytes);
}

void emit_notice(uint32_t topic, const char *text)
{
	static uint32_t told;
	struct event_notice notice = { .topic = topic, .length = (uint32_t)strlen(text) };
	struct emit emit;

	if (__atomic_fetch_or(&told, 1u << (topic & 31), __ATOMIC_RELAXED) & 1u << (topic & 31))
		return;
	if (!emit_open(&emit))
		return;
	emit_tailed(&emit, EVENT_NOTICE, 0, &notice, sizeof(notice), text, notice.length);
	emit_close(&emit);
}

bool emit_slot_take(void)
{
	struct shared_slot *slots = (struct shared_slot *)((uint8_t *)shim_shared + shared_slots_offset());
	uint32_t first = shim_self.tid % SHARED_SLOTS;

	for (uint32_t i = 0; i < SHARED_SLOTS; i++) {
		uint32_t at = (first + i) % SHARED_SLOTS, free = SHARED_FREE;
		struct shared_slot *slot = &slots[at];

		if (!__atomic_compare_exchange_n(&slot->state, &free, SHARED_CLAIMED, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
			continue;
		slot->pid = shim_process_pid;
		slot->tid = shim_self.tid;
		slot->ns_tid = (uint32_t)SYS0(SYS_gettid);
		__atomic_store_n(&slot->busy, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->state, SHARED_USED, __ATOMIC_RELEASE);
		shim_self.slot = at;
		return true;
	}
	return false;
}

void emit_slot_leave(void)
{
	__atomic_store_n(&my_slot()->state, SHARED_LEAVING, __ATOMIC_RELEASE);
}
