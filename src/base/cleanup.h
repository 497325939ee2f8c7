/* SPDX-License-Identifier: MIT */
/*
 * Scope-bound ownership: `CLEANUP(fd_close) int fd = -1;`. Ownership leaves by handing out the value and resetting the
 * variable. close() is never retried: on Linux the descriptor is gone even when it answers EINTR (close(2)).
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Defines cleanup_NAME for a destructor that takes NULL and returns NULL. */
#define CLEANUP_DEFINE(name, type, destroy)                                                                             \
	static inline void cleanup_##name(type **p)                                                                    \
	{                                                                                                              \
		if (*p)                                                                                                \
			*p = destroy(*p);                                                                              \
	}                                                                                                              \
	struct cleanup_##name##_semicolon

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}
