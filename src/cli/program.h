/* SPDX-License-Identifier: MIT */
/* A program that runs under the shim, as the verbs see it that follow one: signals that reach us, leaving it alone, its status. */
#pragma once

#include <stdbool.h>

struct source;

struct program {
	struct source *shm;
	bool detach; /* leave alone what outlives the program itself */
	bool interrupted, left;
};

/* Between events. The first signal lets the program end in its own way, the second ends it. */
void program_turn(struct program *program);

/* The exit status for one that could not be started. */
int program_start_status(int r);

/* Its own exit status, or 128 + N. */
int program_status(const struct program *program);
