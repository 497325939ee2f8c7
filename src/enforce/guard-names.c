/* SPDX-License-Identifier: MIT */
/* What can be said of rules and cgroups without a guard. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "enforce/guard.h"

enum { CGROUP2_FILE_SYSTEM = 0x63677270 };

static const struct {
	const char *name, *text;
} guard_reasons[GUARD_REASONS] = {
	[GUARD_ALLOWED] = { "allowed", "allowed" },
	[GUARD_BY_RINGS] = { "rings", "no rings are allowed" },
	[GUARD_BY_ENABLED] = { "enabled", "it was not made with R_DISABLED, so nobody could restrict it" },
	[GUARD_BY_FLAGS] = { "flags", "a set-up flag that is not allowed" },
	[GUARD_BY_SQ] = { "sq", "more SQ entries than allowed" },
	[GUARD_BY_CQ] = { "cq", "more CQ entries than allowed" },
	[GUARD_BY_SQPOLL] = { "sqpoll", "no SQPOLL thread left in the budget" },
	[GUARD_BY_PINNED] = { "pinned", "too many SQPOLL threads bound to that CPU" },
	[GUARD_BY_IDLE] = { "idle", "its SQPOLL thread would spin longer without work than allowed" },
	[GUARD_BY_UNKNOWN] = { "unknown", "its parameters were not seen" },
};

const char *guard_reason_text(unsigned int reason)
{
	return reason < GUARD_REASONS ? guard_reasons[reason].text : NULL;
}

const char *guard_reason_name(unsigned int reason)
{
	return reason < GUARD_REASONS ? guard_reasons[reason].name : NULL;
}

static bool is_cgroup(int fd)
{
	struct statfs about;

	return fstatfs(fd, &about) == 0 && about.f_type == CGROUP2_FILE_SYSTEM;
}

/* How far below the root a cgroup lies, or -errno. The folder above the root is of another file system. */
static int depth_of(int fd)
{
	CLEANUP(cleanup_fd) int at = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	for (int depth = 0; at >= 0 && depth <= GUARD_DEPTH; depth++) {
		int above = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (above < 0)
			return -errno;
		close(at);
		at = above;
		if (!is_cgroup(at))
			return depth;
	}
	return at < 0 ? -errno : GUARD_DEPTH + 1;
}

int guard_cgroup(const char *path, uint64_t *ret_cgroup, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat about;
	int depth;

	if (fd < 0 || fstat(fd, &about) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!is_cgroup(fd))
		return err_set(err, -EINVAL, "%s is no cgroup of version 2", path);
	depth = depth_of(fd);
	if (depth < 0)
		return err_set(err, depth, "%s/..: %s", path, strerror(-depth));
	if (depth >= GUARD_DEPTH)
		return err_set(err, -E2BIG, "%s lies %d levels below the root; the guard looks no deeper than %d", path,
			       depth, GUARD_DEPTH - 1);
	/* On 64 bits the id of a cgroup is its inode number. */
	*ret_cgroup = about.st_ino;
	return 0;
}

/* Where cgroups of version 2 are mounted: "/sys/fs/cgroup" mostly, "/sys/fs/cgroup/unified" in hybrid set-ups. */
static int find_mount(char *buf, size_t size)
{
	CLEANUP(cleanup_file) FILE *file = fopen("/proc/self/mounts", "re");
	char line[1024], where[512], type[32];

	while (file && fgets(line, sizeof line, file)) {
		if (sscanf(line, "%*s %511s %31s", where, type) != 2 || strcmp(type, "cgroup2") != 0)
			continue;
		return (size_t)snprintf(buf, size, "%s", where) < size ? 0 : -ENAMETOOLONG;
	}
	return -ENOENT;
}

static int read_membership(int pid, char *buf, size_t size)
{
	char path[64], line[4200];
	CLEANUP(cleanup_file) FILE *file = NULL;

	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof line, file)) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		return (size_t)snprintf(buf, size, "%s", line + 3) < size ? 0 : -ENAMETOOLONG;
	}
	return -ENOENT;
}

int guard_cgroup_of(int pid, uint64_t *ret_cgroup, struct err *err)
{
	char mount[512], membership[4100], path[4700];
	int r = find_mount(mount, sizeof mount);

	if (r < 0)
		return err_set(err, r, "no cgroups of version 2 are mounted");
	r = read_membership(pid, membership, sizeof membership);
	if (r < 0)
		return err_set(err, r, "/proc/%d/cgroup: %s", pid,
			       r == -ENOENT ? "there is no such process, or it names no cgroup of version 2"
					    : strerror(-r));
	snprintf(path, sizeof path, "%s%s", mount, membership);
	return guard_cgroup(path, ret_cgroup, err);
}
