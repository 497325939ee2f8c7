/* SPDX-License-Identifier: MIT */
/* Bytes and descriptors through a Unix socket. What is received is close-on-exec, and never more than was asked for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* `fd` = -1: none. Never blocks, never raises SIGPIPE. 0 or -errno; -EAGAIN = not now. */
int agent_pass(int to, const void *bytes, size_t size, int fd);

/*
 * The number of bytes, 0 at the end, or -errno. `fds` gets at most `max_fds` in all: `*n_fds` counts those that are
 * there already. -E2BIG when more came; those are closed, and the ones in `fds` stay the caller's.
 */
ssize_t agent_pass_receive(int from, void *bytes, size_t size, int *fds, size_t max_fds, size_t *n_fds);

/* Whether it is a seccomp listener. */
bool agent_pass_is_listener(int fd);

/* In a new process: closes all but these and the standard ones, and renumbers them. 0 or -errno. */
int agent_pass_keep_only(int *fds, size_t n);
