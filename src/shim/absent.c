/* SPDX-License-Identifier: MIT */
/* The memory side of the shim, where it is not built in: nothing is noted, nothing is told. Weak: memory.c and
 * filter.c take precedence. */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/shim.h"

#define WEAK __attribute__((weak))

WEAK void memory_before(struct call *call)
{
}

WEAK void memory_after(struct call *call)
{
}

WEAK void memory_init(void)
{
}

WEAK void memory_fork_child(void)
{
}

WEAK void filter_add(uint64_t address, uint64_t length, bool lasting)
{
}

WEAK void filter_idle(void)
{
}

/* Rings themselves need these. */

WEAK SHIM_EXPORT void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	struct call call = CALL(SYS_mmap, (uint64_t)at, bytes, (uint64_t)protection, (uint64_t)flags, (uint64_t)fd,
				(uint64_t)offset);

	call_before(&call);
	return (void *)call_return(&call, (long)REAL_FUNCTION(mmap)(at, bytes, protection, flags, fd, offset));
}

WEAK SHIM_EXPORT void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return mmap(at, bytes, protection, flags, fd, offset);
}

WEAK SHIM_EXPORT int munmap(void *at, size_t bytes)
{
	struct call call = CALL(SYS_munmap, (uint64_t)at, bytes);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(munmap)(at, bytes));
}
