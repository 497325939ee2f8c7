/* SPDX-License-Identifier: MIT */
/*
 * Which process is a container's first. Asked of the state that runtimes leave on disk (runc, crun, and under Docker,
 * containerd and Podman the same two), else of the control groups of all processes, which carry the container's id
 * whatever the runtime.
 */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

struct container {
	pid_t pid;
	char id[NAME_MAX + 1];
	const char *how; /* "runc", "crun", "cgroup" */
};

/*
 * By id, by a beginning of it that only one has, or by the name that Docker or Podman gave it. 0, or -errno with a
 * text: -ENOENT, -ENOTUNIQ, -ESRCH known but not running.
 */
int container_find(const char *name, struct container *ret_container, struct err *err);

/* The first process and its start time in a runtime's state file, or -EINVAL. For its test. */
int container_parse_state(const char *text, size_t size, pid_t *ret_pid, unsigned long long *ret_start);
