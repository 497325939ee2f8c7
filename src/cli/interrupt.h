/* SPDX-License-Identifier: MIT */
/* SIGINT and its like, noted for the loop to act on. */
#pragma once

#include <stdbool.h>

struct interrupt {
	int signal;
	bool from_terminal; /* the kernel sent it to the whole foreground, not a process to us */
};

/* Before the program starts: what a program would inherit otherwise stays as it is. */
void interrupt_prepare(void);

/* After it has started. */
void interrupt_listen(void);

/* Whether any came since the last call; several count as one. */
bool interrupt_take(struct interrupt *ret);
