/* SPDX-License-Identifier: MIT */
/*
 * The service manager: what it is told (sd_notify(3)), what it passes (sd_listen_fds(3)), and its store, which keeps
 * descriptors for the next agent (FDSTORE=1). It drops those that hang up, as a listener does when its last program
 * ends, and all of them when the service is stopped and not begun again. Without a manager nothing is kept.
 */
#pragma once

#include <stddef.h>

enum { AGENT_STORE_NAME = 32 };

/* Names of what we stored begin with this; those of the manager's own sockets do not. */
#define AGENT_STORE_PREFIX "kept-"

struct agent_passed {
	int fd;                      /* the taker's from then on: -1 once it is somebody's */
	char name[AGENT_STORE_NAME]; /* cut where it is longer, "" = it has none */
};

void agent_store_notify(const char *text);

/* What was passed to this process, close-on-exec: the caller frees it; NULL when there is none. -ENOMEM. */
int agent_store_take(struct agent_passed **ret_passed, size_t *ret_n);

/* -ENOTCONN: there is no manager. 0: it was told; a full store refuses silently. */
int agent_store_put(const char *name, int fd);

/* All of that name. */
void agent_store_remove(const char *name);
