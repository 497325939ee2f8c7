/* SPDX-License-Identifier: MIT */
/*
 * The shim's reader: starts a program with the shim preloaded and yields its events, and its children's, in order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct source;

struct sense_shm_options {
	char *const *argv; /* the program, looked up in PATH */
	bool sqpoll_keep;  /* --sqpoll=keep: leave SQPOLL rings as they are */
	bool alloc_stacks;
	bool verify_buffers;
	uint32_t stack_bytes; /* slice per stack; 0 = 4096 */
	uint64_t tick_ns;     /* a tick after this long without events; 0 = 100 ms */
};

/*
 * Starts the program. Fails with a text before anything ran where it cannot be watched: -ENOENT (not found), -EACCES
 * (cannot be executed), -ENOTSUP (static, set-id, or another architecture: the text says which and why).
 */
int sense_shm_new(const struct sense_shm_options *options, struct source **ret_source, struct err *err);

/* After SOURCE_END, or when the program proper has ended: its wait(2) status. False while it still runs. */
bool sense_shm_status(struct source *source, int *ret_status);

/* The program's pid. */
int sense_shm_pid(struct source *source);

/* Asks all processes under observation to end (SIGTERM, or the given signal). */
void sense_shm_signal(struct source *source, int signal);

/* Stop following: processes that are left run on unobserved; next() yields what is there and then SOURCE_END. */
void sense_shm_detach(struct source *source);
