/* SPDX-License-Identifier: MIT */
#include "advise/budget.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/proc.h"

enum { TEXT_MAX = 1 << 16, PER_CPU = 1000 };

/* The old memory controller writes "no limit" as the largest number of whole pages. */
#define V1_NO_LIMIT (INT64_MAX - 65536)

static int64_t plain(const char *folder, const char *file)
{
	char path[PROC_PATH_MAX * 2];
	int64_t number;
	int r;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	r = proc_read_number(path, &number);
	if (r < 0)
		return r == -ENOENT ? BUDGET_NO_LIMIT : BUDGET_UNKNOWN; /* the root group has no such file */
	return number < 0 || number >= V1_NO_LIMIT ? BUDGET_NO_LIMIT : number;
}

int64_t budget_parse_cpu(const char *text)
{
	int64_t quota, period;
	char *end;

	if (strncmp(text, "max", 3) == 0)
		return BUDGET_NO_LIMIT;
	errno = 0;
	quota = strtoll(text, &end, 10);
	if (end == text || errno || quota < 0 || quota > INT64_MAX / PER_CPU)
		return BUDGET_UNKNOWN;
	period = strtoll(end, NULL, 10);
	return errno || period <= 0 ? BUDGET_UNKNOWN : quota * PER_CPU / period;
}

static int64_t cpu_unified(const char *folder, const char *file)
{
	char path[PROC_PATH_MAX * 2], text[64];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	n = proc_read(path, text, sizeof(text));
	if (n < 0)
		return n == -ENOENT ? BUDGET_NO_LIMIT : BUDGET_UNKNOWN;
	return budget_parse_cpu(text);
}

static int64_t cpu_old(const char *folder, const char *file)
{
	int64_t quota = plain(folder, file), period = plain(folder, "cpu.cfs_period_us");

	return quota <= 0 || period <= 0 ? quota : quota * PER_CPU / period;
}

static const struct controller {
	const char *name, *unified, *old;
	int64_t (*read_unified)(const char *, const char *), (*read_old)(const char *, const char *);
} controllers[BUDGET_KINDS] = {
	[BUDGET_MEMORY] = { "memory", "memory.max", "memory.limit_in_bytes", plain, plain },
	[BUDGET_CPU] = { "cpu", "cpu.max", "cpu.cfs_quota_us", cpu_unified, cpu_old },
	[BUDGET_PIDS] = { "pids", "pids.max", "pids.max", plain, plain },
};

static int64_t smaller(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a == BUDGET_UNKNOWN || b == BUDGET_UNKNOWN ? BUDGET_UNKNOWN : a < 0 ? b : a;
	return a < b ? a : b;
}

/* The least of the group's and of its ancestors', up to the mount point. */
static int64_t least(const char *point, const char *path, const char *file, int64_t (*read)(const char *, const char *))
{
	char folder[PROC_PATH_MAX * 2];
	int64_t limit = BUDGET_NO_LIMIT;
	size_t root = strlen(point), length;

	if (strstr(path, "/..")) /* outside of the namespace that this process sees */
		return BUDGET_UNKNOWN;
	snprintf(folder, sizeof(folder), "%s%s", point, strcmp(path, "/") ? path : "");
	for (length = strlen(folder); length >= root; length--)
		if (folder[length] == '\0' || folder[length] == '/') {
			folder[length] = '\0';
			limit = smaller(limit, read(folder, file));
		}
	return limit;
}

/* A path of /proc/PID/cgroup begins at the hierarchy's root, a mount may begin below it. */
static const char *below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (strcmp(root, "/") == 0)
		return path;
	return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0') ? path + n : path;
}

static int64_t find(const struct controller *c, const char *mounts, const char *groups)
{
	char point[PROC_PATH_MAX], root[PROC_PATH_MAX], path[PROC_PATH_MAX];

	if (proc_parse_cgroup(groups, c->name, path, sizeof(path)) == 0 &&
	    proc_parse_mount(mounts, "cgroup", c->name, point, root, sizeof(point)) == 0)
		return least(point, below(path, root), c->old, c->read_old);
	if (proc_parse_cgroup(groups, "", path, sizeof(path)) == 0 &&
	    proc_parse_mount(mounts, "cgroup2", NULL, point, root, sizeof(point)) == 0)
		return least(point, below(path, root), c->unified, c->read_unified);
	return BUDGET_UNKNOWN;
}

static void name_group(const char *groups, char *path, size_t size)
{
	if ((proc_parse_cgroup(groups, "", path, size) < 0 || strcmp(path, "/") == 0) &&
	    proc_parse_cgroup(groups, "memory", path, size) < 0)
		snprintf(path, size, "/");
}

void budget_read(pid_t pid, struct budget *ret_limits)
{
	CLEANUP(cleanup_free) char *mounts = malloc(TEXT_MAX);
	CLEANUP(cleanup_free) char *groups = malloc(TEXT_MAX);
	struct budget limits = { .path = "" };
	char name[64] = "/proc/self/cgroup";

	for (int i = 0; i < BUDGET_KINDS; i++)
		limits.limit[i] = BUDGET_UNKNOWN;
	if (pid)
		snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	if (mounts && groups && proc_read("/proc/self/mountinfo", mounts, TEXT_MAX) >= 0 &&
	    proc_read(name, groups, TEXT_MAX) >= 0) {
		name_group(groups, limits.path, sizeof(limits.path));
		for (int i = 0; i < BUDGET_KINDS; i++)
			limits.limit[i] = find(&controllers[i], mounts, groups);
	}
	*ret_limits = limits;
}
