/* SPDX-License-Identifier: MIT */
/*
 * Counts rings and polling threads. Nothing tells when a ring ends, so they are looked at anew each time: descriptors
 * of rings in /proc/PID/fd, each ring once however many descriptors it has (its inode is its own), and whether its
 * fdinfo names a polling thread. A ring that is kept by a registered descriptor alone is not seen.
 */
#pragma once

#include <sys/types.h>

struct decide_counts;

struct census_scope {
	pid_t root;  /* its descendants are the container; 0 = the cgroup of `asking` */
	pid_t aside; /* does not count, nor does what it started */
	pid_t asking;
	int host; /* whether all processes of the host are wanted too */
};

/* 0 or -errno; a process that ends meanwhile is no error. */
int census_take(const struct census_scope *scope, struct decide_counts *ret_counts);
