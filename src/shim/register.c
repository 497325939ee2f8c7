/* SPDX-License-Identifier: MIT */
/* io_uring_register: told with as much of the argument as rules need, and followed where it changes what the shim
 * itself must know. */
#include <errno.h>
#include <sys/uio.h>

#include "shim/inner.h"

enum { MAX_ARGUMENT = 16384, OP_MASK = 0x7fffffff };

/* Bytes behind arg: `each` per nr_args, or `fixed`. */
static const struct {
	uint16_t each, fixed;
} sizes[URING_REG_LAST] = {
	[URING_REG_REGISTER_BUFFERS] = { 16 },
	[URING_REG_REGISTER_FILES] = { 4 },
	[URING_REG_REGISTER_EVENTFD] = { 0, 4 },
	[URING_REG_EVENTFD_ASYNC] = { 0, 4 },
	[URING_REG_FILES_UPDATE] = { 0, 16 },
	[URING_REG_RESTRICTIONS] = { 16 },
	[URING_REG_FILES2] = { 0, 32 },
	[URING_REG_FILES_UPDATE2] = { 0, 32 },
	[URING_REG_BUFFERS2] = { 0, 32 },
	[URING_REG_BUFFERS_UPDATE] = { 0, 32 },
	[URING_REG_REGISTER_IOWQ_AFF] = { 1 },
	[URING_REG_IOWQ_MAX_WORKERS] = { 4 },
	[URING_REG_REGISTER_RING_FDS] = { 16 },
	[URING_REG_UNREGISTER_RING_FDS] = { 16 },
	[URING_REG_REGISTER_PBUF_RING] = { 0, sizeof(struct uring_buf_reg) },
	[URING_REG_UNREGISTER_PBUF_RING] = { 0, sizeof(struct uring_buf_reg) },
	[URING_REG_SYNC_CANCEL] = { 0, 64 },
	[URING_REG_FILE_ALLOC_RANGE] = { 0, 16 },
	[URING_REG_CLONE_BUFFERS] = { 0, 32 },
	[URING_REG_SEND_MSG_RING] = { 0, 64 },
	[URING_REG_RESIZE_RINGS] = { 0, sizeof(struct uring_params) },
	[URING_REG_CLOCK] = { 0, 16 },
};

/* struct io_uring_rsrc_register: nr, flags, resv2, data, tags. */
struct resources {
	uint32_t nr, flags;
	uint64_t resv2, data, tags;
};

/* struct io_uring_rsrc_update (offset, resv, data) and update2 (..., tags, nr, resv2). */
struct update {
	uint32_t offset, resv;
	uint64_t data;
};

struct ring_fd {
	uint32_t offset, resv;
	uint64_t data;
};

static uint32_t operation(const struct call *call)
{
	return (uint32_t)call->args[1] & OP_MASK;
}

static struct ring *ring_of(const struct call *call)
{
	return rings_by_call((uint32_t)call->args[0], call->args[1] & URING_REG_USE_REGISTERED_RING);
}

static size_t direct_bytes(const struct call *call)
{
	uint32_t op = operation(call);
	uint64_t bytes;

	if (op >= URING_REG_LAST || !call->args[2])
		return 0;
	bytes = sizes[op].fixed ? sizes[op].fixed : (uint64_t)sizes[op].each * (uint32_t)call->args[3];
	return bytes < MAX_ARGUMENT ? (size_t)bytes : MAX_ARGUMENT;
}

/* What the argument itself points to: the arrays of the newer calls follow their struct in the tail. */
static size_t second_part(const struct call *call, uint64_t *ret_address)
{
	struct resources resources;
	struct update update;
	uint32_t op = operation(call), nr = (uint32_t)call->args[3];
	uint64_t bytes = 0;

	if (op == URING_REG_FILES2 || op == URING_REG_BUFFERS2) {
		if (shim_peek(&resources, call->args[2], sizeof(resources)) != sizeof(resources))
			return 0;
		*ret_address = resources.data;
		bytes = (uint64_t)resources.nr * (op == URING_REG_FILES2 ? 4 : 16);
	} else if (op == URING_REG_FILES_UPDATE || op == URING_REG_FILES_UPDATE2 || op == URING_REG_BUFFERS_UPDATE) {
		if (shim_peek(&update, call->args[2], sizeof(update)) != sizeof(update))
			return 0;
		if (op != URING_REG_FILES_UPDATE && shim_peek(&nr, call->args[2] + 24, sizeof(nr)) != sizeof(nr))
			return 0;
		*ret_address = update.data;
		bytes = (uint64_t)nr * (op == URING_REG_BUFFERS_UPDATE ? 16 : 4);
	}
	bytes = *ret_address ? bytes : 0;
	return bytes < MAX_ARGUMENT ? (size_t)bytes : MAX_ARGUMENT;
}

static void emit_register(struct emit *emit, const struct call *call, uint32_t phase)
{
	uint64_t behind = 0;
	size_t direct = direct_bytes(call), second = second_part(call, &behind), got;
	struct event_register *event =
		emit_add(emit, EVENT_REGISTER, rings_number(call->ring), sizeof(*event) + direct + second);
	uint8_t *tail = (uint8_t *)(event + 1);

	event->opcode = (uint32_t)call->args[1];
	event->nr_args = (uint32_t)call->args[3];
	event->result = phase ? 0 : (int32_t)call->result;
	event->fd = (int32_t)call->args[0];
	event->arg = call->args[2];
	event->phase = phase;
	got = shim_peek(tail, call->args[2], direct);
	if (second && got == direct)
		got += shim_peek(tail + direct, behind, second);
	event->length = (uint32_t)got;
	emit_trim(emit, event, sizeof(*event) + got);
}

/* Calls on descriptor -1 mean no ring. */
static bool is_stray(const struct call *call)
{
	return !call->ring && (uint32_t)call->args[0] != UINT32_MAX && !(call->args[1] & URING_REG_USE_REGISTERED_RING);
}

/* Calls that block, change the ring, or have their argument overwritten with the answer. */
static bool is_told_before(uint32_t op)
{
	return op == URING_REG_SYNC_CANCEL || op == URING_REG_RESIZE_RINGS || op == URING_REG_IOWQ_MAX_WORKERS;
}

void register_before(struct call *call)
{
	uint32_t op = operation(call);
	struct emit emit;

	call->ring = ring_of(call);
	if (is_stray(call))
		stray_before(call);
	if (is_stray(call) || !emit_open(&emit))
		return;
	emit.stack = call->stack = stack_take(&emit, call->registers);
	if (call->ring)
		complete_sync(&emit, call->ring);
	if (call->ring && is_told_before(op))
		emit_register(&emit, call, 1);
	if (call->ring && op == URING_REG_RESIZE_RINGS && call->ring->more)
		verify_slots(&emit, call->ring);
	emit_close(&emit);
}

static void remember_indices(const struct call *call, bool registered)
{
	struct ring_fd entry;
	uint64_t n = (uint64_t)call->result < REGISTERED_RINGS ? (uint64_t)call->result : REGISTERED_RINGS;

	for (uint64_t i = 0; i < n; i++)
		if (shim_peek(&entry, call->args[2] + i * sizeof(entry), sizeof(entry)) == sizeof(entry))
			rings_registered(registered ? rings_by_fd((int)entry.data) : NULL, entry.offset);
}

static void remember_pbuf(struct ring *ring, const struct call *call)
{
	struct uring_buf_reg reg;
	struct ring_pbuf *free = NULL;

	if (shim_peek(&reg, call->args[2], sizeof(reg)) != sizeof(reg))
		return;
	for (unsigned i = 0; i < RING_PBUFS; i++)
		if (!ring->pbufs[i].used && !free)
			free = &ring->pbufs[i];
	if (!free || !reg.ring_entries)
		return;
	*free = (struct ring_pbuf){ .entries = reg.ring_entries, .group = reg.bgid, .used = 1 };
	free->by_mmap = (reg.flags & URING_PBUF_RING_MMAP) != 0;
	free->address = free->by_mmap ? 0 : reg.ring_addr;
}

static void forget_pbuf(struct ring *ring, const struct call *call)
{
	struct uring_buf_reg reg;

	if (shim_peek(&reg, call->args[2], sizeof(reg)) != sizeof(reg))
		return;
	for (unsigned i = 0; i < RING_PBUFS; i++)
		if (ring->pbufs[i].group == reg.bgid)
			ring->pbufs[i].used = 0;
}

static void remember_buffers(const struct ring *ring, const struct call *call)
{
	uint64_t address = call->args[2], behind = 0;
	size_t bytes = direct_bytes(call);
	struct iovec vectors[8];

	if (operation(call) != URING_REG_REGISTER_BUFFERS) {
		bytes = second_part(call, &behind);
		address = behind;
	}
	while (bytes >= sizeof(vectors[0])) {
		size_t part = bytes < sizeof(vectors) ? bytes & ~(sizeof(vectors[0]) - 1) : sizeof(vectors);

		if (shim_peek(vectors, address, part) != part)
			return;
		for (size_t i = 0; i < part / sizeof(vectors[0]); i++)
			filter_register(ring, (uint64_t)vectors[i].iov_base, vectors[i].iov_len);
		address += part;
		bytes -= part;
	}
}

static void resized(struct emit *emit, struct call *call)
{
	struct event_setup event = { .entries = 0, .result = (int32_t)call->args[0] };
	struct ring *ring = call->ring;

	if (shim_peek(&event.params, call->args[2], sizeof(event.params)) != sizeof(event.params))
		return;
	__atomic_store_n(&ring->going, 1, __ATOMIC_SEQ_CST);
	ring->sq_entries = event.params.sq_entries;
	ring->cq_entries = event.params.cq_entries;
	ring->sq_off = event.params.sq_off;
	ring->cq_off = event.params.cq_off;
	ring->sq = ring->cq = ring->sqes = NULL;
	__atomic_store_n(&ring->going, 0, __ATOMIC_SEQ_CST);
	event.asked_flags = event.params.flags;
	event.emulated = ring->emulated;
	emit_event(emit, EVENT_RING_RESIZED, ring->number, &event, sizeof(event));
}

static void follow(struct emit *emit, struct call *call)
{
	switch (operation(call)) {
	case URING_REG_REGISTER_RING_FDS:
		remember_indices(call, true);
		break;
	case URING_REG_UNREGISTER_RING_FDS:
		remember_indices(call, false);
		break;
	case URING_REG_REGISTER_PBUF_RING:
		remember_pbuf(call->ring, call);
		break;
	case URING_REG_UNREGISTER_PBUF_RING:
		forget_pbuf(call->ring, call);
		break;
	case URING_REG_REGISTER_BUFFERS:
	case URING_REG_BUFFERS2:
	case URING_REG_BUFFERS_UPDATE:
		remember_buffers(call->ring, call);
		break;
	case URING_REG_UNREGISTER_BUFFERS:
		filter_unregister(call->ring);
		break;
	case URING_REG_RESIZE_RINGS:
		resized(emit, call);
		break;
	}
}

/* Descriptors that the call named, so that rules know what they are. */
static void describe(struct emit *emit, const struct call *call)
{
	uint32_t op = operation(call);
	int32_t fds[16];
	uint64_t n = (uint32_t)call->args[3];

	if (op == URING_REG_REGISTER_EVENTFD || op == URING_REG_EVENTFD_ASYNC)
		n = 1;
	else if (op != URING_REG_REGISTER_FILES)
		return;
	for (uint64_t i = 0; i < n && i < 1024; i += 16) {
		size_t part = n - i < 16 ? n - i : 16;

		if (shim_peek(fds, call->args[2] + i * 4, part * 4) != part * 4)
			return;
		for (size_t k = 0; k < part; k++)
			fds_describe(emit, fds[k]);
	}
}

void register_after(struct call *call)
{
	struct emit emit;

	if (is_stray(call))
		stray_after(call);
	if (!emit_open(&emit))
		return;
	emit.stack = call->stack;
	if (call->ring)
		complete_sync(&emit, call->ring);
	if (call->result >= 0)
		describe(&emit, call);
	emit_register(&emit, call, 0);
	if (call->ring && call->result >= 0)
		follow(&emit, call);
	emit_close(&emit);
}
