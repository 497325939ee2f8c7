/* SPDX-License-Identifier: MIT */
/* The memory side of the shim, where it is not built in: nothing is noted, nothing is told. Weak: memory.c, filter.c
 * and fds.c take precedence. */
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

WEAK void fds_before(struct call *call)
{
}

WEAK void fds_after(struct call *call)
{
}

WEAK void fds_init(void)
{
}

WEAK void fds_describe(struct emit *emit, int fd)
{
}
