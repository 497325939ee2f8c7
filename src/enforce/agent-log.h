/* SPDX-License-Identifier: MIT */
/*
 * The agent's log: JSON Lines, each with "time", "level" and "event". A reader that does not read makes lines drop,
 * never the agent wait; how many were dropped is in the next line that arrives.
 */
#pragma once

#include <stdint.h>

struct err;

enum agent_level { AGENT_INFO, AGENT_WARNING, AGENT_ERROR };

struct agent_log {
	int fd; /* not owned when it is stderr's */
	uint64_t dropped, dropped_before;
};

int agent_log_open(const char *path, struct agent_log *ret_log, struct err *err); /* NULL = stderr */
void agent_log_close(struct agent_log *log);

/* `format` and what follows as for json_pack(), inside of an object: "s:s, s:i", "id", id, "pid", pid. */
void agent_log(struct agent_log *log, enum agent_level level, const char *event, const char *format, ...);
