/* SPDX-License-Identifier: MIT */
/*
 * Whether a ring that came over fork() is shared on purpose. A fork copies liburing's cursors and all that entries
 * point to; two processes that then use the ring unaware of each other have two of each. A design that means it
 * (PostgreSQL: each server process waits for the others' reads) keeps them in memory that the processes share, and its
 * entries say so: their user_data or their buffers lie there. What the last entry says counts for the ring.
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "shim/inner.h"

/* Of an entry in /proc/PID/pagemap: what kind of page it is can be seen without privileges, where it is cannot. */
#define PAGE_SHARED (UINT64_C(1) << 61) /* of a file or of shared memory; a page that was copied is neither */
#define PAGE_PRESENT (UINT64_C(1) << 63)

enum { PAGE = 4096 };

static bool is_shared(uint64_t address)
{
	uint64_t entry = 0;
	uint8_t byte;
	long fd, n;

	/* Reading it brings it in; without that there is nothing to be seen. */
	if (address < PAGE || shim_peek(&byte, address, 1) != 1)
		return false;
	fd = SYS4(SYS_openat, AT_FDCWD, "/proc/thread-self/pagemap", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	n = SYS4(SYS_pread64, fd, &entry, sizeof(entry), address / PAGE * sizeof(entry));
	SYS1(SYS_close, fd);
	return n == sizeof(entry) && (entry & PAGE_PRESENT) && (entry & PAGE_SHARED);
}

static bool last_entry_shared(const struct ring *ring)
{
	uint32_t at = *(volatile uint32_t *)RING_WORD(ring->sq, ring->sq_off.tail) - 1;
	unsigned shift = ring->flags & URING_SETUP_SQE128 ? 7 : 6;
	const struct uring_sqe *sqe;

	at &= ring->sq_entries - 1;
	if (!(ring->flags & URING_SETUP_NO_SQARRAY))
		at = ((volatile uint32_t *)(ring->sq + ring->sq_off.array))[at];
	if (at >= ring->sq_entries)
		return false;
	sqe = (const struct uring_sqe *)(ring->sqes + ((uint64_t)at << shift));
	return is_shared(sqe->user_data) || is_shared(sqe->addr);
}

bool sharing_meant(struct ring *ring)
{
	if (!ring->inherited || ring->shared)
		return ring->shared;
	/* A ring in memory of the program's own is another one after a fork, unless that memory is shared. */
	ring->shared = (ring->flags & URING_SETUP_NO_MMAP && is_shared((uint64_t)ring->sq)) || last_entry_shared(ring);
	return ring->shared;
}
