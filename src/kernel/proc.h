/* SPDX-License-Identifier: MIT */
/*
 * The files of /proc as structs. Their texts are the kernel's, but names and paths inside them are whatever a process
 * chose, and inside a container /proc may be anything: parsers take a text of any content, and leave at "not known"
 * what they do not find.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_GROUPS_MAX = 64, PROC_PATH_MAX = 1024 };

/* /proc/PID/status. Numbers that are not there are -1, masks 0. */
struct proc_status {
	char name[64];
	int64_t pid, tgid, parent, tracer;
	int64_t uid, gid; /* effective */
	int64_t groups[PROC_GROUPS_MAX];
	size_t n_groups;
	int64_t threads;
	int no_new_privs;
	int seccomp;         /* 0 none, 1 strict, 2 filter */
	int seccomp_filters; /* how many (5.9) */
	uint64_t cap_effective, cap_bounding;
	bool has_caps;
};
void proc_parse_status(const char *text, struct proc_status *ret_status);

/* A line of /proc/PID/limits: soft and hard, UINT64_MAX = unlimited. -ENOENT when there is no such line. */
int proc_parse_limit(const char *text, const char *name, uint64_t *ret_soft, uint64_t *ret_hard);

/* /proc/PID/cgroup: the path in the unified hierarchy ("" = the v1 controller of that name); -ENOENT. */
int proc_parse_cgroup(const char *text, const char *controller, char *path, size_t size);

/*
 * The first mount of this type in /proc/PID/mountinfo, with this word among its super options (NULL = any); its mount
 * point with the escapes undone, and its root within the file system (may be NULL). -ENOENT.
 */
int proc_parse_mount(const char *text, const char *type, const char *option, char *point, char *root, size_t size);

/* A whole file, at most size - 1 bytes, with a NUL: its length or -errno. `at` may be AT_FDCWD. */
ssize_t proc_read_at(int at, const char *path, char *buf, size_t size);
ssize_t proc_read(const char *path, char *buf, size_t size);

/* A file that holds one number; "max" is INT64_MAX. 0 or -errno. */
int proc_read_number(const char *path, int64_t *ret_number);

int proc_read_status(pid_t pid, struct proc_status *ret_status); /* 0 = this process */

/* 1 when the process is in our namespace of that kind ("user", "net"), 0 when in another, or -errno. */
int proc_shares_namespace(pid_t pid, const char *kind);

/* Kernel versions as numbers that compare; 0 = could not be read. */
#define PROC_VERSION(major, minor, patch) ((uint32_t)(major) << 24 | (uint32_t)(minor) << 16 | (uint32_t)(patch))
uint32_t proc_parse_release(const char *release);
uint32_t proc_kernel_version(void);
