/* SPDX-License-Identifier: MIT */
/* Where the kernel counts a process's memory. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/*
 * Moves this process to where `text` (of some /proc/PID/cgroup) is, in the hierarchies that count memory; 0 where it is
 * there already, or -errno.
 */
int cgroup_join(const char *text);

/*
 * A new cgroup (version 2) below our own, with a number behind its name: its folder. Whoever is in it is found by that;
 * no controller is turned on. -EXDEV where only a part of the hierarchy is mounted and ours is not in it.
 */
int cgroup_make(const char *name, char *ret_folder, size_t size);
/* Moves this process there. */
int cgroup_enter(const char *folder);
/* Removes it once it is empty; -EBUSY where it is not within `patience_ms`. */
int cgroup_remove(const char *folder, int patience_ms);

/* /proc/PID/cgroup: 0 or -errno. */
int cgroup_read(pid_t pid, char *text, size_t size);

/* Calls `each` for the processes of the cgroup that `text` tells and of those below it; 0 or -errno. */
typedef void cgroup_visitor(void *context, pid_t pid);
int cgroup_visit(const char *text, cgroup_visitor *each, void *context);
