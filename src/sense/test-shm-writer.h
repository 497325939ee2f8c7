/* SPDX-License-Identifier: MIT */
/* The writers that test-shm.c starts, each in a process of its own. */
#pragma once

enum {
	SHM_WRITER_THREADS = 6,
	SHM_WRITER_PER_THREAD = 20000,
	SHM_WRITER_AFTER = 500,   /* events of the good thread, after the other went bad */
	SHM_WRITER_BAD = 1000000, /* mark of the bad one's */
};

struct shm_evil {
	const char *name;
	const char *blame; /* what the reader says of it */
};

/* NULL after the last. */
const struct shm_evil *shm_writer_evil(unsigned index);

/* Plays a role; the process's exit code. */
int shm_writer_act(const char *name, const char *argument);

int shm_writer_count_descriptors(void);
