/* SPDX-License-Identifier: MIT */
#include "enforce/census.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "enforce/cgroup.h"
#include "enforce/decide.h"
#include "kernel/proc.h"

enum { CENSUS_MAX_RINGS = 1 << 16, MAX_DEPTH = 256, CGROUP_BYTES = 8192 };

/* Rings that were counted, by inode. Small numbers: a search from the end. */
struct census {
	ino_t *rings;
	uint32_t n, room;
	uint32_t pollers;
	pid_t aside;
	int error;
};

static void cleanup_census(struct census *census)
{
	free(census->rings);
}

static bool is_new(struct census *census, ino_t inode)
{
	for (uint32_t i = census->n; i-- > 0;)
		if (census->rings[i] == inode)
			return false;
	if (census->n == census->room) {
		uint32_t room = census->room ? 2 * census->room : 64;
		ino_t *rings = room <= CENSUS_MAX_RINGS ? realloc(census->rings, room * sizeof(*rings)) : NULL;

		if (!rings) {
			census->error = -ENOMEM;
			return false;
		}
		census->rings = rings;
		census->room = room;
	}
	census->rings[census->n++] = inode;
	return true;
}

static bool has_poller(int process, const char *name)
{
	char path[64], text[4096];
	const char *line;

	snprintf(path, sizeof(path), "fdinfo/%.16s", name);
	if (proc_read_at(process, path, text, sizeof(text)) < 0)
		return false;
	line = strstr(text, "\nSqThread:");
	return line && atoi(line + strlen("\nSqThread:")) > 0;
}

static void look_at(struct census *census, int process, int folder, const char *name)
{
	static const char ring[] = "anon_inode:[io_uring]";
	char target[sizeof(ring)];
	struct stat st;

	if (readlinkat(folder, name, target, sizeof(target)) != sizeof(ring) - 1 ||
	    memcmp(target, ring, sizeof(ring) - 1) != 0 || fstatat(folder, name, &st, 0) < 0)
		return;
	if (is_new(census, st.st_ino))
		census->pollers += has_poller(process, name);
}

static int open_process(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What has ended and waits for its parent has no descriptors, and its folder is closed to all but root. */
static bool has_ended(int process)
{
	char text[1024];
	const char *state;

	if (proc_read_at(process, "stat", text, sizeof(text)) < 0)
		return true;
	state = strrchr(text, ')');
	return state && state[1] && (state[2] == 'Z' || state[2] == 'X');
}

static void count_process(void *context, pid_t pid)
{
	struct census *census = context;
	CLEANUP(cleanup_fd) int process = pid == census->aside ? -1 : open_process(pid);
	int folder = process < 0 ? -1 : openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = folder < 0 ? NULL : fdopendir(folder);
	int error = dir ? 0 : -errno;
	struct dirent *entry;

	/* One that we may not look into could have any number of rings. */
	if (!dir && process >= 0 && !has_ended(process) && !census->error)
		census->error = error;
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			look_at(census, process, folder, entry->d_name);
	closedir(dir);
}

/*
 * /proc/PID/task/TID/children of each of its threads. `aside` and what it started are no part of the container; they
 * are also closed to whoever is not root, as they let nobody trace them.
 */
static void count_children(struct census *census, pid_t pid, unsigned int depth)
{
	char path[96];
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = depth < MAX_DEPTH ? opendir(path) : NULL;
	while (tasks && (entry = readdir(tasks))) {
		FILE *file;
		int child;

		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children", pid, entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
		while (file && fscanf(file, "%d", &child) == 1) {
			if (child == census->aside)
				continue;
			count_process(census, child);
			count_children(census, child, depth + 1);
		}
		if (file)
			fclose(file);
	}
	if (tasks)
		closedir(tasks);
}

static int count_container(const struct census_scope *scope, struct census *census)
{
	char text[CGROUP_BYTES];
	int r;

	if (scope->root > 0) {
		count_children(census, scope->root, 0);
		return 0;
	}
	r = cgroup_read(scope->asking, text, sizeof(text));
	return r < 0 ? r : cgroup_visit(text, count_process, census);
}

static void count_host(struct census *census)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc");

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			count_process(census, atoi(entry->d_name));
	if (dir)
		closedir(dir);
}

int census_take(const struct census_scope *scope, struct decide_counts *ret_counts)
{
	CLEANUP(cleanup_census) struct census own = { 0 };
	CLEANUP(cleanup_census) struct census container = { .aside = scope->aside };
	CLEANUP(cleanup_census) struct census host = { 0 };
	int r;

	count_process(&own, scope->asking);
	r = count_container(scope, &container);
	if (scope->host)
		count_host(&host); /* others' processes may be closed to us: what is not seen does not count */
	r = r ? r : own.error ? own.error : container.error;
	if (r < 0)
		return r;
	*ret_counts = (struct decide_counts){ .rings_of_process = own.n,
					      .rings_of_container = container.n,
					      .pollers_of_container = container.pollers,
					      .pollers_of_host = host.pollers,
					      .cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) };
	return 0;
}
