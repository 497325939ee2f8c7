/* SPDX-License-Identifier: MIT */
/* io_uring by raw system calls; ring.h says why. */
#include "ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ENTER_GETEVENTS = 1, ENTER_SQ_WAKEUP = 2, ENTER_EXT_ARG = 8, ENTER_REGISTERED_RING = 16 };
#define OFF_RINGS 0l
#define OFF_SQES 0x10000000l

static long result_of(long value)
{
	return value < 0 ? -errno : value;
}

long sys_setup(uint64_t entries, void *params)
{
	return result_of(syscall(NR_SETUP, entries, params));
}

long sys_enter(uint64_t fd, uint64_t to_submit, uint64_t min_complete, uint64_t flags, const void *arg, uint64_t size)
{
	return result_of(syscall(NR_ENTER, fd, to_submit, min_complete, flags, arg, size));
}

long sys_register(uint64_t fd, uint64_t opcode, const void *arg, uint64_t nr)
{
	return result_of(syscall(NR_REGISTER, fd, opcode, arg, nr));
}

bool ring_is(int fd)
{
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	return strstr(target, "[io_uring]") != NULL;
}

bool ring_info(int fd, struct ring_info *ret_info)
{
	char path[64], line[128];
	struct ring_info info = { .sq_thread = -1 };
	FILE *file;

	/* The thread's own table: it may have left the process's. */
	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "SqMask: 0x%x", &info.sq_mask);
		sscanf(line, "CqMask: 0x%x", &info.cq_mask);
		sscanf(line, "SqThread: %d", &info.sq_thread);
	}
	fclose(file);
	if (!info.cq_mask && !info.sq_mask)
		return false;
	*ret_info = info;
	return true;
}

static size_t cqe_size(uint32_t flags)
{
	return flags & F_CQE32 ? 32 : 16;
}

/*
 * Where things lie in the shared area differs from kernel to kernel, not from ring to ring: learnt from one ring; until
 * one could be made, as Linux 6.18 has it. Only the array of indices moves, behind the completions.
 */
static struct params layout = { .sq = { .head = 0, .tail = 4 }, .cq = { .head = 8, .tail = 12, .cqes = 64 } };

void ring_learn(void)
{
	struct params params = { 0 };
	long fd = sys_setup(4, &params);

	if (fd < 0)
		return;
	if (params.cq.cqes)
		layout = params;
	close((int)fd);
}

static void fill_offsets(struct ring *ring)
{
	/* With 32-byte completions the kernel doubles the head as well. */
	size_t end = (layout.cq.cqes + sizeof(struct cqe) * (ring->cq_mask + 1u)) * (ring->flags & F_CQE32 ? 2 : 1);

	ring->at = layout;
	ring->at.sq.array = (uint32_t)((end + 63) & ~63ul);
	ring->rings_size = ring->flags & F_NO_SQARRAY ? end : ring->at.sq.array + 4ul * (ring->sq_mask + 1u);
	ring->sqes_size = (ring->flags & F_SQE128 ? 128ul : 64ul) * (ring->sq_mask + 1u);
}

bool ring_adopt(int fd, uint32_t flags, struct ring *ret_ring)
{
	struct ring ring = { .fd = fd, .flags = flags };
	struct ring_info info;
	void *map;

	if (!ring_info(fd, &info))
		return false;
	ring.sq_mask = info.sq_mask;
	ring.cq_mask = info.cq_mask;
	fill_offsets(&ring);
	map = mmap(NULL, ring.rings_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, OFF_RINGS);
	if (map == MAP_FAILED)
		return false;
	ring.rings = map;
	map = mmap(NULL, ring.sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, OFF_SQES);
	if (map == MAP_FAILED) {
		munmap(ring.rings, ring.rings_size);
		return false;
	}
	ring.sqes = map;
	*ret_ring = ring;
	return true;
}

void ring_in_memory(int fd, const struct params *params, void *rings, void *sqes, struct ring *ret_ring)
{
	struct ring ring = { .fd = fd, .flags = params->flags, .user_memory = true, .rings = rings, .sqes = sqes };

	ring.sq_mask = params->sq_entries - 1;
	ring.cq_mask = params->cq_entries - 1;
	fill_offsets(&ring);
	if (params->flags & F_REGISTERED_FD_ONLY)
		ring.enter_flags = ENTER_REGISTERED_RING;
	*ret_ring = ring;
}

void ring_unmap(struct ring *ring)
{
	if (!ring->user_memory) {
		munmap(ring->rings, ring->rings_size);
		munmap(ring->sqes, ring->sqes_size);
	}
	ring->rings = ring->sqes = NULL;
}

static uint32_t *word(const struct ring *ring, uint32_t offset)
{
	return (uint32_t *)(ring->rings + offset);
}

static void put(struct ring *ring, const struct sqe *sqe)
{
	uint32_t tail = *word(ring, ring->at.sq.tail), slot = tail & ring->sq_mask;
	size_t size = ring->flags & F_SQE128 ? 128 : 64;

	memset(ring->sqes + size * slot, 0, size);
	memcpy(ring->sqes + size * slot, sqe, sizeof(*sqe));
	if (!(ring->flags & F_NO_SQARRAY))
		word(ring, ring->at.sq.array)[slot] = slot;
	__atomic_store_n(word(ring, ring->at.sq.tail), tail + 1, __ATOMIC_RELEASE);
}

bool ring_take(struct ring *ring, struct cqe *ret_cqe)
{
	uint32_t head = *word(ring, ring->at.cq.head);

	if (__atomic_load_n(word(ring, ring->at.cq.tail), __ATOMIC_ACQUIRE) == head)
		return false;
	memcpy(ret_cqe, ring->rings + ring->at.cq.cqes + cqe_size(ring->flags) * (head & ring->cq_mask),
	       sizeof(*ret_cqe));
	__atomic_store_n(word(ring, ring->at.cq.head), head + 1, __ATOMIC_RELEASE);
	return true;
}

/* The completion of just this entry: other threads may be using the ring, and what they leave behind looks like one. */
static bool take_mine(struct ring *ring, uint64_t token, struct cqe *ret_cqe)
{
	struct cqe cqe;

	while (ring_take(ring, &cqe))
		if (cqe.user_data == token) {
			*ret_cqe = cqe;
			return true;
		}
	return false;
}

/* Waits, a quarter of a second at a time: a ring that swallows an entry must not hang the test. */
static int await(struct ring *ring, uint64_t token, struct cqe *ret_cqe)
{
	struct {
		int64_t sec, nsec;
	} limit = { 0, 250000000 };
	struct {
		uint64_t mask;
		uint32_t mask_size, min_wait;
		uint64_t limit;
	} arg = { .limit = (uintptr_t)&limit };
	unsigned int flags = ENTER_GETEVENTS | ENTER_EXT_ARG | ring->enter_flags;

	for (unsigned int i = 0; i <= ring->patience; i++) {
		if (take_mine(ring, token, ret_cqe))
			return 0;
		sys_enter((unsigned int)ring->fd, 0, 1, flags | (ring->flags & F_SQPOLL ? ENTER_SQ_WAKEUP : 0), &arg,
			  sizeof(arg));
	}
	return take_mine(ring, token, ret_cqe) ? 0 : -ETIME;
}

int ring_run(struct ring *ring, const struct sqe *sqe, struct cqe *ret_cqe)
{
	unsigned int flags = ring->enter_flags | (ring->flags & F_SQPOLL ? ENTER_SQ_WAKEUP : 0);
	static _Thread_local uint32_t count;
	struct sqe mine = *sqe;
	long taken;

	mine.user_data = (uint64_t)gettid() << 32 | ++count;
	take_mine(ring, 0, ret_cqe); /* forget what is there */
	put(ring, &mine);
	do
		taken = sys_enter((unsigned int)ring->fd, 1, 0, flags, NULL, 0);
	while (taken == -EINTR);
	if (taken <= 0) {
		if (!(ring->flags & F_SQPOLL)) /* not published: the next entry takes its place */
			__atomic_store_n(word(ring, ring->at.sq.tail), *word(ring, ring->at.sq.head), __ATOMIC_RELEASE);
		return taken ? (int)taken : -EAGAIN;
	}
	return await(ring, mine.user_data, ret_cqe);
}
