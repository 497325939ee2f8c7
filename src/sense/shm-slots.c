/* SPDX-License-Identifier: MIT */
/*
 * The merge: yields the records of all slots in order of their numbers, below the horizon of what is complete
 * (event/shared.h). Nothing here asks the system per event, and only slots in use are looked at; others are found when
 * a number is missing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "event/file.h"
#include "sense/shm-inner.h"

enum {
	MASK = SHARED_RING_BYTES - 1,
	TELL_BYTES = SHARED_RING_BYTES / 8,
	REMOVE_BYTES = SHARED_RING_BYTES / 4,
	MAX_RECORD = 65536,
};

static struct shared_slot *shared_of(const struct shm_slots *slots, const struct shm_slot *slot)
{
	return shm_shared_slot(slots->header, (uint32_t)(slot - slots->views));
}

/* ---- what the writer learns ---- */

static void tell_head(struct shm_slots *slots, struct shm_slot *slot)
{
	struct shared_slot *shared = shared_of(slots, slot);

	if (slot->told == slot->head)
		return;
	slot->told = slot->head;
	__atomic_store_n(&shared->head, slot->head, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&shared->writer_waits, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&shared->writer_waits, 0, __ATOMIC_RELAXED);
	__atomic_fetch_add(&shared->head_futex, 1, __ATOMIC_SEQ_CST);
	shm_wake(&shared->head_futex);
}

static void skip_all(struct shm_slots *slots, struct shm_slot *slot)
{
	slot->head = slot->tail = __atomic_load_n(&shared_of(slots, slot)->tail, __ATOMIC_ACQUIRE) & ~UINT64_C(7);
	slot->has_record = false;
	tell_head(slots, slot);
}

static void drop(struct shm_slots *slots, struct shm_slot *slot, const char *why)
{
	if (slot->dropped)
		return;
	slot->dropped = true;
	slots->n_dropped++;
	slots->excused = UINT64_MAX;
	shm_tell_lost(slots->shm, slot->pid, 0);
	if (!slot->process->misbehaved)
		shm_tell_notice(slots->shm, slot->pid, EVENT_NOTICE_OTHER,
				"thread %u wrote what no shim writes (%s): its events from here on are thrown away",
				slot->tid, why);
	skip_all(slots, slot);
}

/* ---- the record at a slot's head ---- */

/* What is wrong with it, or NULL. The first words are read once: all that follows uses the copy. */
static const char *read_head(struct shm_slots *slots, struct shm_slot *slot)
{
	const uint8_t *ring = shm_shared_ring(slots->header, (uint32_t)(slot - slots->views));

	while (slot->head != slot->tail) {
		uint64_t offset = slot->head & MASK, room = slot->tail - slot->head;
		uint32_t first = __atomic_load_n((const uint32_t *)(ring + offset), __ATOMIC_RELAXED);
		uint32_t kind = first & 0xffff, size = first >> 16;

		room = room < SHARED_RING_BYTES - offset ? room : SHARED_RING_BYTES - offset;
		if (size % 8 || size > room || size < (kind == EVENT_NONE ? 8 : sizeof(struct event)))
			return "a record's size";
		if (kind != EVENT_NONE) {
			slot->kind = (uint16_t)kind;
			slot->size = size;
			slot->seq = __atomic_load_n((const uint64_t *)(ring + offset + offsetof(struct event, seq)),
						    __ATOMIC_RELAXED);
			slot->has_record = true;
			return slot->seq < slots->next_seq ? "a record's number" : NULL;
		}
		slot->head += size;
	}
	return NULL;
}

static bool find_record(struct shm_slots *slots, struct shm_slot *slot)
{
	const char *wrong = slot->has_record ? NULL : read_head(slots, slot);

	if (wrong)
		drop(slots, slot, wrong);
	return slot->has_record;
}

/* ---- the heap, by number ---- */

static uint64_t number_at(const struct shm_slots *slots, uint32_t at)
{
	return slots->views[slots->heap[at]].seq;
}

static void swap(uint16_t *a, uint16_t *b)
{
	uint16_t kept = *a;

	*a = *b;
	*b = kept;
}

static void sift_down(struct shm_slots *slots, uint32_t at)
{
	for (;;) {
		uint32_t least = at;

		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < slots->n_heap; child++)
			if (number_at(slots, child) < number_at(slots, least))
				least = child;
		if (least == at)
			return;
		swap(&slots->heap[at], &slots->heap[least]);
		at = least;
	}
}

static void push(struct shm_slots *slots, struct shm_slot *slot)
{
	uint32_t at = slots->n_heap++;

	slots->heap[at] = (uint16_t)(slot - slots->views);
	while (at > 0 && number_at(slots, at) < number_at(slots, (at - 1) / 2)) {
		swap(&slots->heap[at], &slots->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

/* After the first one's record was used up. */
static void advance_first(struct shm_slots *slots)
{
	struct shm_slot *slot = &slots->views[slots->heap[0]];

	if (!slot->dropped && find_record(slots, slot) && slot->seq < slots->horizon) {
		if (slot->head - slot->told >= TELL_BYTES)
			tell_head(slots, slot);
	} else {
		tell_head(slots, slot);
		slots->heap[0] = slots->heap[--slots->n_heap];
	}
	sift_down(slots, 0);
}

/* ---- looking at shared memory ---- */

static void adopt(struct shm_slots *slots, uint32_t index)
{
	struct shared_slot *shared = shm_shared_slot(slots->header, index);
	struct shm_slot *slot = &slots->views[index];
	uint32_t pid = __atomic_load_n(&shared->pid, __ATOMIC_RELAXED);
	struct shm_process *process = shm_process_get(shm_processes(slots->shm), pid);

	if (!process)
		return;
	process->n_slots++;
	*slot = (struct shm_slot){ .pid = pid,
				   .tid = __atomic_load_n(&shared->tid, __ATOMIC_RELAXED),
				   .process = process,
				   .head = slot->head,
				   .told = slot->head,
				   .tail = slot->head,
				   .removed = slot->removed,
				   .listed = true,
				   .over = process->gone };
	slots->listed[slots->n_listed++] = (uint16_t)index;
	if (slots->n_listed < SHARED_SLOTS || slots->told_full)
		return;
	slots->told_full = true;
	shm_tell_lost(slots->shm, 0, 0);
	shm_tell_notice(slots->shm, 0, EVENT_NOTICE_NO_SLOT,
			"all %d places for threads are taken: further threads run unobserved", SHARED_SLOTS);
}

static void scan(struct shm_slots *slots)
{
	for (uint32_t i = 0; i < SHARED_SLOTS; i++) {
		uint32_t state = __atomic_load_n(&shm_shared_slot(slots->header, i)->state, __ATOMIC_ACQUIRE);

		if ((state == SHARED_USED || state == SHARED_LEAVING) && !slots->views[i].listed)
			adopt(slots, i);
	}
	slots->want_scan = false;
}

/* Nobody writes there now: the next writer goes on at the place where the last one ended. */
static void release(struct shm_slots *slots, struct shm_slot *slot)
{
	struct shared_slot *shared = shared_of(slots, slot);
	uint8_t *ring = shm_shared_ring(slots->header, (uint32_t)(slot - slots->views));

	if (slot->dropped && --slots->n_dropped == 0)
		slots->excused = slots->seen_seq;
	slot->process->n_slots--;
	slot->listed = false;
	tell_head(slots, slot);
	/* Threads that come and go would fill the memory of all rings in the end. */
	if (slot->head - slot->removed >= REMOVE_BYTES) {
		madvise(ring, SHARED_RING_BYTES, MADV_REMOVE);
		slot->removed = slot->head;
	}
	__atomic_store_n(&shared->pid, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->tid, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->busy, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->tail, slot->head, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->state, SHARED_FREE, __ATOMIC_RELEASE);
}

/* Numbers that a writer took and never published are gone with it. */
static void note_unfinished(struct shm_slots *slots, struct shm_slot *slot)
{
	struct shared_slot *shared = shared_of(slots, slot);

	if (!__atomic_load_n(&shared->busy, __ATOMIC_ACQUIRE))
		return;
	__atomic_store_n(&shared->busy, 0, __ATOMIC_RELAXED);
	slots->excused = slots->excused > slots->seen_seq ? slots->excused : slots->seen_seq;
	if (!slot->dropped)
		shm_tell_lost(slots->shm, slot->pid, 0);
}

static uint64_t busy_now(struct shm_slots *slots, struct shm_slot *slot)
{
	uint64_t busy = __atomic_load_n(&shared_of(slots, slot)->busy, __ATOMIC_ACQUIRE);

	if (busy != slot->busy) {
		slot->busy = busy;
		slot->busy_since = slots->now;
	}
	return busy;
}

static void look(struct shm_slots *slots, struct shm_slot *slot)
{
	struct shared_slot *shared = shared_of(slots, slot);
	uint32_t state = __atomic_load_n(&shared->state, __ATOMIC_ACQUIRE);
	uint64_t busy, tail;

	if (state == SHARED_LEAVING || (slot->dropped && state == SHARED_FREE))
		slot->over = true;
	else if (state != SHARED_USED)
		drop(slots, slot, "its slot's state");
	if (slot->over)
		note_unfinished(slots, slot);
	busy = slot->over || slot->dropped ? 0 : busy_now(slots, slot);
	if (busy && busy < slots->horizon)
		slots->horizon = busy;
	tail = __atomic_load_n(&shared->tail, __ATOMIC_ACQUIRE);
	if (slot->dropped)
		skip_all(slots, slot);
	else if (tail % 8 || tail - slot->head > SHARED_RING_BYTES)
		drop(slots, slot, "its ring's tail");
	else if (slot->has_record && slot->seq >= slots->seen_seq)
		drop(slots, slot, "a record's number");
	else
		slot->tail = tail;
}

/* Order matters: the header's number first, then each slot's `busy`, then its `tail`. Whoever took a number below the
 * first had said so in `busy` before, and cleared it after moving `tail`. */
static void look_at_all(struct shm_slots *slots)
{
	bool full = slots->want_scan;
	uint64_t seq = __atomic_load_n(&slots->header->seq, __ATOMIC_ACQUIRE);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	slots->seen_seq = seq > slots->seen_seq ? seq : slots->seen_seq;
	slots->horizon = slots->seen_seq;
	if (full)
		scan(slots);
	for (uint32_t i = 0; i < slots->n_listed; i++)
		look(slots, &slots->views[slots->listed[i]]);
	if (full)
		slots->full_horizon = slots->horizon;
}

static void collect(struct shm_slots *slots)
{
	slots->n_heap = 0;
	for (uint32_t i = 0; i < slots->n_listed;) {
		struct shm_slot *slot = &slots->views[slots->listed[i]];

		if (!slot->dropped && find_record(slots, slot) && slot->seq < slots->horizon)
			push(slots, slot);
		if (slot->over && slot->head == slot->tail) {
			release(slots, slot);
			slots->listed[i] = slots->listed[--slots->n_listed];
		} else {
			i++;
		}
	}
}

static void refresh(struct shm_slots *slots)
{
	look_at_all(slots);
	collect(slots);
}

/* Numbers below `seq` are missing from all slots. */
static void note_gap(struct shm_slots *slots, uint64_t seq)
{
	uint64_t from = slots->next_seq > slots->excused ? slots->next_seq : slots->excused;

	slots->next_seq = seq;
	if (from >= seq)
		return;
	slots->excused = seq;
	shm_tell_lost(slots->shm, 0, seq - from);
}

/* Nothing to be had from the listed slots, though numbers were given out. */
static bool something_is_missing(const struct shm_slots *slots)
{
	return slots->n_heap == 0 && slots->horizon > slots->next_seq;
}

void shm_slots_refresh(struct shm_slots *slots)
{
	slots->now = shm_now();
	if (slots->n_listed == 0 && !slots->want_scan &&
	    __atomic_load_n(&slots->header->seq, __ATOMIC_ACQUIRE) == slots->seen_seq)
		return;
	refresh(slots);
	if (!something_is_missing(slots))
		return;
	slots->want_scan = true;
	refresh(slots);
	if (something_is_missing(slots))
		note_gap(slots, slots->horizon);
}

/* ---- yielding ---- */

/* The process and thread that a slot belongs to wrote it; only a fork is told by the child in its parent's name. */
static void put_names(const struct shm_slots *slots, const struct shm_slot *slot, struct event *event)
{
	const struct event_process *fork = (const struct event_process *)event;

	event->kind = slot->kind;
	event->size = (uint16_t)slot->size;
	event->seq = slot->seq;
	event->flags &= EVENT_UNCERTAIN | EVENT_IN_SIGNAL | EVENT_SHARED;
	if (event->kind == EVENT_FORK && event->size >= sizeof(*fork) && fork->child == slot->pid &&
	    map_get(&shm_processes(slots->shm)->by_pid, event->pid))
		return;
	event->pid = slot->pid;
	event->tid = slot->tid;
}

/* NULL when it is no event. */
static struct event *copy_first(struct shm_slots *slots)
{
	uint32_t index = slots->heap[0];
	struct shm_slot *slot = &slots->views[index];
	struct event *event = (struct event *)slots->record;

	memcpy(event, shm_shared_ring(slots->header, index) + (slot->head & MASK), slot->size);
	put_names(slots, slot, event);
	slots->next_seq = slot->seq + 1;
	slot->head += slot->size;
	slot->has_record = false;
	if (event_check(event, slot->size, NULL) < 0) {
		drop(slots, slot, "a record's contents");
		return NULL;
	}
	slot->process->seen = true;
	return event;
}

struct event *shm_slots_next(struct shm_slots *slots)
{
	while (slots->n_heap) {
		uint64_t seq = number_at(slots, 0);
		struct event *event;

		if (seq != slots->next_seq && seq >= slots->full_horizon) {
			slots->want_scan = true;
			refresh(slots);
			continue;
		}
		note_gap(slots, seq);
		event = copy_first(slots);
		advance_first(slots);
		if (event && event->kind < EVENT_KIND_COUNT)
			return event;
	}
	return NULL;
}

/* ---- writers that are no more, or hold up others ---- */

void shm_slots_over(struct shm_slots *slots, const struct shm_process *process)
{
	for (uint32_t i = 0; i < slots->n_listed; i++)
		if (slots->views[slots->listed[i]].process == process)
			slots->views[slots->listed[i]].over = true;
	slots->want_scan = true;
}

void shm_slots_reap(struct shm_slots *slots)
{
	for (uint32_t i = 0; i < slots->n_listed; i++) {
		struct shm_slot *slot = &slots->views[slots->listed[i]];

		if (!slot->over && !shm_process_has_thread(slot->process, slot->tid))
			slot->over = true;
	}
}

static void unblock(struct shm_slots *slots, struct shm_slot *slot, uint64_t patience_ns)
{
	if (!shm_process_has_thread(slot->process, slot->tid) ||
	    shm_process_maps_memory(shm_processes(slots->shm), slot->process) == 0)
		slot->over = true;
	else if (slots->now - slot->busy_since > patience_ns && !shm_process_is_stopped(slot->process, slot->tid))
		drop(slots, slot, "it never finished a record");
}

void shm_slots_unblock(struct shm_slots *slots, uint64_t patience_ns)
{
	if (slots->horizon == slots->seen_seq)
		return;
	for (uint32_t i = 0; i < slots->n_listed; i++) {
		struct shm_slot *slot = &slots->views[slots->listed[i]];

		if (!slot->over && !slot->dropped && slot->busy && slots->now - slot->busy_since > patience_ns / 256)
			unblock(slots, slot, patience_ns);
	}
}

void shm_slots_wake_all(struct shm_slots *slots)
{
	for (uint32_t i = 0; i < SHARED_SLOTS; i++) {
		struct shared_slot *shared = shm_shared_slot(slots->header, i);

		if (__atomic_load_n(&shared->state, __ATOMIC_ACQUIRE) != SHARED_USED)
			continue;
		__atomic_fetch_add(&shared->head_futex, 1, __ATOMIC_SEQ_CST);
		shm_wake(&shared->head_futex);
	}
}

int shm_slots_init(struct shm_slots *slots, struct shared_header *header, struct shm *shm)
{
	*slots = (struct shm_slots){ .header = header, .shm = shm, .next_seq = 1, .seen_seq = 1, .want_scan = true };
	slots->views = calloc(SHARED_SLOTS, sizeof(*slots->views));
	slots->listed = calloc(SHARED_SLOTS, sizeof(*slots->listed));
	slots->heap = calloc(SHARED_SLOTS, sizeof(*slots->heap));
	slots->record = malloc(MAX_RECORD);
	return slots->views && slots->listed && slots->heap && slots->record ? 0 : -ENOMEM;
}

void shm_slots_deinit(struct shm_slots *slots)
{
	free(slots->views);
	free(slots->listed);
	free(slots->heap);
	free(slots->record);
}
