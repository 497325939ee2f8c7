/* SPDX-License-Identifier: MIT */
/* Runs a function in a child and brings its answer back, because what it does must not happen to this process. */
#pragma once

#include <stddef.h>

enum child_outcome {
	CHILD_ANSWERED = 0,
	CHILD_KILLED = 1, /* by a signal other than SIGKILL, before it answered */
	CHILD_SILENT = 2, /* ended, or hung and was killed, without an answer */
};

/* Fills `answer`, in the child. It may use no heap and must leave no process behind. */
typedef void child_function(void *answer, const void *argument);

/*
 * An outcome, or -errno when no child could be made. `answer` is only written on CHILD_ANSWERED; `ret_signal` (may be
 * NULL) only on CHILD_KILLED.
 */
int child_run(child_function *function, const void *argument, void *answer, size_t size, int *ret_signal);
