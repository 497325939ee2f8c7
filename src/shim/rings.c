/* SPDX-License-Identifier: MIT */
/*
 * The rings of this process: which descriptors mean them and where their memory lies. A table without locks; an entry
 * is taken by compare-and-swap and given back when both its descriptors and its memory are gone. Whoever looks at ring
 * memory holds the entry meanwhile; whoever unmaps waits for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "shim/inner.h"

enum { CURSORS = 4096 / sizeof(struct ring_cursor), UNMAP_SPINS = 4000, RESERVED = UINT32_MAX };

struct ring rings_table[RINGS_MAX];
uint32_t rings_high;

static uint16_t by_fd[RING_FDS]; /* index into the table + 1 */
static struct ring_cursor *cursors;
static uint32_t cursors_used;

uint32_t rings_number(const struct ring *ring)
{
	return ring ? ring->number : 0;
}

struct ring *rings_by_fd(int fd)
{
	uint16_t at = fd >= 0 && fd < RING_FDS ? __atomic_load_n(&by_fd[fd], __ATOMIC_ACQUIRE) : 0;

	return at ? &rings_table[at - 1] : NULL;
}

struct ring *rings_by_call(uint32_t fd, bool registered)
{
	if (!registered)
		return rings_by_fd((int)fd);
	return fd < REGISTERED_RINGS && shim_self.more ? shim_self.more->registered[fd] : NULL;
}

bool rings_hold(struct ring *ring)
{
	__atomic_fetch_add(&ring->readers, 1, __ATOMIC_SEQ_CST);
	if (ring->number && ring->number != RESERVED && !__atomic_load_n(&ring->going, __ATOMIC_SEQ_CST))
		return true;
	__atomic_fetch_sub(&ring->readers, 1, __ATOMIC_RELEASE);
	return false;
}

void rings_let_go(struct ring *ring)
{
	__atomic_fetch_sub(&ring->readers, 1, __ATOMIC_RELEASE);
}

static long map_shared(size_t bytes, int how)
{
	long at = SYS6(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, how | MAP_ANONYMOUS, -1, 0);

	return at < 0 && at > -4096 ? 0 : at;
}

/* Memory that forked children share with us; a child begins a page of its own. */
static struct ring_cursor *new_cursor(void)
{
	uint32_t at = __atomic_fetch_add(&cursors_used, 1, __ATOMIC_RELAXED) % CURSORS;
	struct ring_cursor *page = __atomic_load_n(&cursors, __ATOMIC_ACQUIRE);

	if (at == 0 || !page) {
		page = (struct ring_cursor *)map_shared(4096, MAP_SHARED);
		__atomic_store_n(&cursors, page, __ATOMIC_RELEASE);
	}
	return page ? page + at : NULL;
}

struct ring *rings_new(void)
{
	for (uint32_t i = 0; i < RINGS_MAX; i++) {
		struct ring *ring = &rings_table[i];
		uint32_t free = 0, high = __atomic_load_n(&rings_high, __ATOMIC_RELAXED);
		struct ring_cursor *cursor;

		if (ring->number || !__atomic_compare_exchange_n(&ring->number, &free, RESERVED, false,
								 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		cursor = new_cursor();
		if (!cursor) {
			ring->number = 0;
			return NULL;
		}
		memset((char *)ring + offsetof(struct ring, fd), 0, sizeof(*ring) - offsetof(struct ring, fd));
		*cursor = (struct ring_cursor){ 0 };
		ring->fd = -1;
		ring->cursor = cursor;
		__atomic_store_n(&ring->number, __atomic_fetch_add(&shim_shared->next_ring, 1, __ATOMIC_RELAXED),
				 __ATOMIC_RELEASE);
		while (high < i + 1 && !__atomic_compare_exchange_n(&rings_high, &high, i + 1, false, __ATOMIC_RELEASE,
								    __ATOMIC_RELAXED))
			;
		return ring;
	}
	return NULL;
}

void rings_bind(int fd, struct ring *ring)
{
	if (fd < 0 || fd >= RING_FDS)
		return;
	if (ring->fd < 0)
		ring->fd = fd;
	__atomic_fetch_add(&ring->n_fds, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&by_fd[fd], (uint16_t)(ring - rings_table + 1), __ATOMIC_RELEASE);
}

void rings_registered(struct ring *ring, uint32_t index)
{
	struct ring *old;

	if (index >= REGISTERED_RINGS)
		return;
	old = shim_self.more->registered[index];
	shim_self.more->registered[index] = ring;
	if (ring)
		__atomic_fetch_add(&ring->n_registered, 1, __ATOMIC_RELAXED);
	if (old)
		__atomic_fetch_sub(&old->n_registered, 1, __ATOMIC_RELAXED);
}

static void set_need_wakeup(struct ring *ring)
{
	if (ring->emulated & URING_SETUP_SQPOLL && ring->sq)
		__atomic_fetch_or(RING_WORD(ring->sq, ring->sq_off.flags), URING_SQ_NEED_WAKEUP, __ATOMIC_SEQ_CST);
}

/* The completion queue can be read from now on. */
static void begin_cursor(struct ring *ring)
{
	set_need_wakeup(ring);
	if (!ring->cq || ring->cursor_ready)
		return;
	ring->cursor->claimed = ring->cursor->emitted =
		__atomic_load_n(RING_WORD(ring->cq, ring->cq_off.head), __ATOMIC_ACQUIRE);
	__atomic_store_n(&ring->cursor_ready, 1, __ATOMIC_RELEASE);
}

void rings_user_memory(struct ring *ring, uint64_t sqes, uint64_t cq)
{
	ring->sqes = (uint8_t *)sqes;
	ring->sqes_bytes = (uint64_t)ring->sq_entries * (ring->flags & URING_SETUP_SQE128 ? 128 : 64);
	ring->sq = ring->cq = (uint8_t *)cq;
	ring->sq_bytes = ring->cq_bytes =
		ring->cq_off.cqes + (uint64_t)ring->cq_entries * (ring->flags & URING_SETUP_CQE32 ? 32 : 16);
	begin_cursor(ring);
}

struct ring_more *rings_more(struct ring *ring)
{
	if (!ring->more)
		ring->more = (struct ring_more *)map_shared(sizeof(struct ring_more), MAP_PRIVATE);
	return ring->more;
}

void rings_state(struct ring *ring, struct event_ring_state *state)
{
	state->fd = ring->fd;
	if (!rings_hold(ring))
		return;
	if (ring->sq && ring->cq) {
		state->sq_head = *(volatile uint32_t *)RING_WORD(ring->sq, ring->sq_off.head);
		state->sq_tail = *(volatile uint32_t *)RING_WORD(ring->sq, ring->sq_off.tail);
		state->sq_flags = *(volatile uint32_t *)RING_WORD(ring->sq, ring->sq_off.flags);
		state->cq_head = *(volatile uint32_t *)RING_WORD(ring->cq, ring->cq_off.head);
		state->cq_tail = *(volatile uint32_t *)RING_WORD(ring->cq, ring->cq_off.tail);
		state->cq_overflow = *(volatile uint32_t *)RING_WORD(ring->cq, ring->cq_off.overflow);
		state->known = 1;
	}
	rings_let_go(ring);
}

static void emit_state(struct emit *emit, struct ring *ring, uint32_t kind)
{
	struct event_ring_state state = { 0 };

	rings_state(ring, &state);
	emit_event(emit, kind, ring->number, &state, sizeof(state));
}

/* Its memory is about to go: a last look, then nobody looks again. */
static void unmap_ring(struct emit *emit, struct ring *ring)
{
	complete_sync(emit, ring);
	if (ring->more)
		verify_slots(emit, ring);
	emit_state(emit, ring, EVENT_RING_UNMAPPED);
	__atomic_store_n(&ring->going, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < UNMAP_SPINS && __atomic_load_n(&ring->readers, __ATOMIC_ACQUIRE); i++)
		SYS0(SYS_sched_yield);
	ring->sq = ring->cq = ring->sqes = NULL;
	__atomic_store_n(&ring->going, 0, __ATOMIC_SEQ_CST);
}

static void release_if_done(struct ring *ring)
{
	struct ring_more *more = ring->more;

	if (ring->n_fds || ring->n_registered || ring->sq || ring->cq || ring->sqes || !ring->closed)
		return;
	ring->more = NULL;
	if (more)
		SYS2(SYS_munmap, more, sizeof(*more));
	__atomic_store_n(&ring->number, 0, __ATOMIC_RELEASE);
}

static bool overlaps(const uint8_t *start, uint64_t bytes, uint64_t low, uint64_t high)
{
	return start && (uint64_t)start < high && (uint64_t)start + bytes > low;
}

static void range_goes(const struct call *call, uint64_t low, uint64_t bytes)
{
	uint32_t high_index = __atomic_load_n(&rings_high, __ATOMIC_ACQUIRE);
	uint64_t high = low + bytes;

	for (uint32_t i = 0; i < high_index; i++) {
		struct ring *ring = &rings_table[i];
		struct emit emit;

		if (!ring->number || ring->number == RESERVED)
			continue;
		if (!overlaps(ring->sq, ring->sq_bytes, low, high) && !overlaps(ring->cq, ring->cq_bytes, low, high) &&
		    !overlaps(ring->sqes, ring->sqes_bytes, low, high))
			continue;
		if (!emit_open(&emit))
			return;
		emit.stack = stack_take(&emit, call->registers);
		unmap_ring(&emit, ring);
		release_if_done(ring);
		emit_close(&emit);
	}
}

static void descriptor_goes(const struct call *call, int fd)
{
	struct ring *ring = rings_by_fd(fd);
	struct emit emit;

	if (!ring || !emit_open(&emit))
		return;
	emit.stack = stack_take(&emit, call->registers);
	__atomic_store_n(&by_fd[fd], 0, __ATOMIC_RELEASE);
	if (ring->fd == fd)
		ring->fd = -1;
	if (__atomic_sub_fetch(&ring->n_fds, 1, __ATOMIC_ACQ_REL) == 0 && !ring->n_registered) {
		complete_sync(&emit, ring);
		ring->fd = fd;
		emit_state(&emit, ring, EVENT_RING_CLOSED);
		ring->fd = -1;
		ring->closed = 1;
		filter_drop(ring);
		filter_unregister(ring);
		if (ring->flags & URING_SETUP_NO_MMAP && ring->cq)
			unmap_ring(&emit, ring);
		release_if_done(ring);
	}
	emit_close(&emit);
}

static void range_closes(const struct call *call)
{
	uint64_t last = call->args[1] < RING_FDS ? call->args[1] : RING_FDS - 1;

	if (call->args[2] & 4 /* CLOSE_RANGE_CLOEXEC */)
		return;
	for (uint64_t fd = call->args[0]; fd <= last && fd < RING_FDS; fd++)
		if (by_fd[fd])
			descriptor_goes(call, (int)fd);
}

void rings_before(struct call *call)
{
	switch (call->number) {
	case SYS_munmap:
		range_goes(call, call->args[0], call->args[1]);
		break;
	case SYS_mmap:
		/* The dynamic linker at work: its calls are instructions of its own. */
		if (call->trapped && call->args[2] & PROT_EXEC)
			__atomic_store_n(&stack_modules_stale, 1, __ATOMIC_RELAXED);
		if (call->args[3] & MAP_FIXED)
			range_goes(call, call->args[0], call->args[1]);
		break;
	case SYS_mremap:
		range_goes(call, call->args[0], call->args[1]);
		break;
	case SYS_close:
		descriptor_goes(call, (int)call->args[0]);
		break;
	case SYS_close_range:
		range_closes(call);
		break;
	case SYS_dup2:
	case SYS_dup3:
		if (call->args[0] != call->args[1] && rings_by_fd((int)call->args[1]))
			descriptor_goes(call, (int)call->args[1]);
		break;
	}
}

static void pbuf_mapped(struct ring *ring, uint64_t group, uint64_t address)
{
	for (unsigned i = 0; i < RING_PBUFS; i++)
		if (ring->pbufs[i].used && ring->pbufs[i].by_mmap && ring->pbufs[i].group == group)
			ring->pbufs[i].address = address;
}

static void mapped(struct ring *ring, uint8_t *at, uint64_t bytes, uint64_t offset)
{
	struct emit emit;

	if (!emit_open(&emit))
		return;
	if (offset == URING_OFF_SQES && !ring->sqes) {
		ring->sqes_bytes = bytes;
		ring->sqes = at;
	} else if (offset == URING_OFF_SQ_RING || offset == URING_OFF_CQ_RING) {
		bool single = ring->features & URING_FEAT_SINGLE_MMAP;

		if ((offset == URING_OFF_SQ_RING || single) && !ring->sq) {
			ring->sq_bytes = bytes;
			ring->sq = at;
		}
		if ((offset == URING_OFF_CQ_RING || (single && bytes > ring->cq_off.cqes)) && !ring->cq) {
			ring->cq_bytes = bytes;
			ring->cq = at;
		}
		begin_cursor(ring);
	} else if (offset >= URING_OFF_PBUF_RING) {
		pbuf_mapped(ring, (offset - URING_OFF_PBUF_RING) >> 16, (uint64_t)at);
	}
	emit_close(&emit);
}

void rings_after(struct call *call)
{
	struct ring *ring;

	if (call->result < 0 && call->result > -4096)
		return;
	if (call->number == SYS_mmap) {
		ring = call->args[3] & MAP_ANONYMOUS ? NULL : rings_by_fd((int)call->args[4]);
		if (ring)
			mapped(ring, (uint8_t *)call->result, call->args[1], call->args[5]);
		return;
	}
	if (call->number == SYS_fcntl && call->args[1] != F_DUPFD && call->args[1] != F_DUPFD_CLOEXEC)
		return;
	if (call->number != SYS_dup && call->number != SYS_dup2 && call->number != SYS_dup3 &&
	    call->number != SYS_fcntl)
		return;
	ring = rings_by_fd((int)call->args[0]);
	if (ring && call->result != (long)call->args[0])
		rings_bind((int)call->result, ring);
}

void rings_sync(struct emit *emit)
{
	uint32_t high = __atomic_load_n(&rings_high, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < high; i++)
		if (rings_table[i].number) {
			complete_sync(emit, &rings_table[i]);
			complete_buffers(emit, &rings_table[i]);
		}
}

void rings_thread_exit(struct emit *emit)
{
	for (uint32_t i = 0; i < REGISTERED_RINGS; i++)
		if (shim_self.more->registered[i])
			rings_registered(NULL, i);
	rings_sync(emit);
}

/* The child shares what was there before; what it makes itself is its own. Registered indices belong to the parent's
 * task. */
void rings_fork_child(void)
{
	cursors = NULL;
	cursors_used = 0;
	for (uint32_t i = 0; i < rings_high; i++) {
		rings_table[i].readers = 0;
		rings_table[i].n_registered = 0;
		rings_table[i].inherited = 1;
		if (rings_table[i].number == RESERVED)
			rings_table[i].number = 0;
	}
	if (shim_self.more)
		memset(shim_self.more->registered, 0, sizeof(shim_self.more->registered));
}
