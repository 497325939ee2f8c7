/* SPDX-License-Identifier: MIT */
#include "enforce/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/proc.h"

enum { TEXT_BYTES = 8192, MOUNTS_BYTES = 256 * 1024, MAX_DEPTH = 16, MAX_NAMES = 16 };

/* The unified hierarchy, and the old one where a controller of its own counts memory. */
static const struct hierarchy {
	const char *controller, *type;
} hierarchies[] = { { "", "cgroup2" }, { "memory", "cgroup" } };

int cgroup_read(pid_t pid, char *text, size_t size)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	n = proc_read(path, text, size);
	return n < 0 ? (int)n : 0;
}

static int folder_of(const struct hierarchy *hierarchy, const char *path, char folder[PATH_MAX])
{
	CLEANUP(cleanup_free) char *mounts = malloc(MOUNTS_BYTES);
	char point[PROC_PATH_MAX], root[PROC_PATH_MAX];
	ssize_t n = mounts ? proc_read("/proc/self/mountinfo", mounts, MOUNTS_BYTES) : -ENOMEM;
	size_t length;
	int r;

	if (n < 0)
		return (int)n;
	r = proc_parse_mount(mounts, hierarchy->type, *hierarchy->controller ? hierarchy->controller : NULL, point,
			     root, sizeof(point));
	if (r < 0)
		return r;
	/* A part of the hierarchy may be all that is mounted. */
	length = strcmp(root, "/") == 0 ? 0 : strlen(root);
	if (strncmp(path, root, length) != 0 || strstr(path, "/../"))
		return -ENOENT;
	return snprintf(folder, PATH_MAX, "%s%s", point, path + length) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int cgroup_enter(const char *folder)
{
	char path[PATH_MAX + 16];
	CLEANUP(cleanup_fd) int fd = -1;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "0", 1) < 0 ? -errno : 0;
}

static int join_one(const struct hierarchy *hierarchy, const char *text, const char *ours)
{
	char path[PROC_PATH_MAX], our_path[PROC_PATH_MAX], folder[PATH_MAX];
	int r;

	if (proc_parse_cgroup(text, hierarchy->controller, path, sizeof(path)) < 0)
		return 0; /* no such hierarchy here */
	if (proc_parse_cgroup(ours, hierarchy->controller, our_path, sizeof(our_path)) == 0 &&
	    strcmp(path, our_path) == 0)
		return 0;
	r = folder_of(hierarchy, path, folder);
	return r < 0 ? r : cgroup_enter(folder);
}

int cgroup_join(const char *text)
{
	char ours[TEXT_BYTES];
	ssize_t n = proc_read("/proc/self/cgroup", ours, sizeof(ours));
	int r = n < 0 ? (int)n : 0;

	for (size_t i = 0; i < sizeof(hierarchies) / sizeof(*hierarchies) && r == 0; i++)
		r = join_one(&hierarchies[i], text, ours);
	return r;
}

/* ---- one of our own ---- */

/* Somebody who was killed may have left one of the name, and processes may still be in that. */
static int make_folder(const char *above, const char *name, char *folder, size_t size)
{
	for (unsigned int i = 0; i < MAX_NAMES; i++) {
		if ((size_t)snprintf(folder, size, "%s/%s-%u", above, name, i) >= size)
			return -ENAMETOOLONG;
		(void)rmdir(folder);
		if (mkdir(folder, 0755) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int cgroup_make(const char *name, char *ret_folder, size_t size)
{
	char ours[TEXT_BYTES], path[PROC_PATH_MAX], above[PATH_MAX], folder[PATH_MAX];
	int r = cgroup_read(getpid(), ours, sizeof(ours));

	if (r == 0)
		r = proc_parse_cgroup(ours, hierarchies[0].controller, path, sizeof(path));

	if (r == 0)
		r = folder_of(&hierarchies[0], path, above);
	if (r < 0)
		return r == -ENOENT ? -EXDEV : r;
	r = make_folder(above, name, folder, size < sizeof(folder) ? size : sizeof(folder));
	if (r == 0)
		strcpy(ret_folder, folder);
	return r;
}

/* What ended may need a moment to leave; the kernel tells when the last one has. */
int cgroup_remove(const char *folder, int patience_ms)
{
	char path[PATH_MAX + 16], text[128];
	CLEANUP(cleanup_fd) int fd = -1;
	struct pollfd event = { .events = POLLPRI };

	if (rmdir(folder) == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.events", folder);
	event.fd = fd = open(path, O_RDONLY | O_CLOEXEC);
	for (int r = 1; fd >= 0 && r > 0; r = poll(&event, 1, patience_ms)) {
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		text[n < 0 ? 0 : n] = '\0';
		if (strstr(text, "populated 0"))
			break;
	}
	return rmdir(folder) < 0 ? -errno : 0;
}

/* ---- the processes of one ---- */

static int visit_folder(int at, const char *name, unsigned int depth, cgroup_visitor *each, void *context)
{
	CLEANUP(cleanup_fd) int folder = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int procs = folder < 0 ? -1 : openat(folder, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_file) FILE *file = procs < 0 ? NULL : fdopen(procs, "r");
	struct dirent *entry;
	DIR *dir;
	int pid;

	if (!file)
		return -errno;
	while (fscanf(file, "%d", &pid) == 1)
		each(context, pid);
	dir = depth < MAX_DEPTH ? fdopendir(folder) : NULL;
	if (!dir)
		return 0;
	folder = -1;
	while ((entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			(void)visit_folder(dirfd(dir), entry->d_name, depth + 1, each, context);
	closedir(dir);
	return 0;
}

int cgroup_visit(const char *text, cgroup_visitor *each, void *context)
{
	char path[PROC_PATH_MAX], folder[PATH_MAX];
	int r = -ENOENT;

	/* Where the unified hierarchy is not used, everybody is at its root. */
	for (size_t i = 0; i < sizeof(hierarchies) / sizeof(*hierarchies) && r < 0; i++)
		if (proc_parse_cgroup(text, hierarchies[i].controller, path, sizeof(path)) == 0 &&
		    strcmp(path, "/") != 0 && folder_of(&hierarchies[i], path, folder) == 0)
			r = visit_folder(AT_FDCWD, folder, 0, each, context);
	return r;
}
