/* SPDX-License-Identifier: MIT */
#include "advise/container.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "kernel/proc.h"

enum { STATE_MAX = 4 << 20, STAT_FIELD_START = 22, SHORTEST_PREFIX = 4 };

static DIR *end_folder(DIR *folder)
{
	if (folder)
		closedir(folder);
	return NULL;
}
CLEANUP_DEFINE(folder, DIR, end_folder);

static inline void cleanup_json(json_t **json)
{
	json_decref(*json);
}

/* ---- state files ---- */

int container_parse_state(const char *text, size_t size, pid_t *ret_pid, unsigned long long *ret_start)
{
	CLEANUP(cleanup_json) json_t *state = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	const json_t *pid = json_object_get(state, "init_process_pid"),
		     *start = json_object_get(state, "init_process_start");

	if (!pid) { /* crun's */
		pid = json_object_get(state, "pid");
		start = json_object_get(state, "process-start-time");
	}
	if (!json_is_integer(pid) || json_integer_value(pid) <= 0 || json_integer_value(pid) > INT32_MAX)
		return -EINVAL;
	*ret_pid = (pid_t)json_integer_value(pid);
	*ret_start = json_is_integer(start) ? (unsigned long long)json_integer_value(start) : 0;
	return 0;
}

/* When a process started, in ticks since boot; 0 = it is not there. */
static unsigned long long started(pid_t pid)
{
	char path[64], text[1024], *at;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	n = proc_read(path, text, sizeof(text));
	at = n > 0 ? strrchr(text, ')') : NULL; /* the name may hold anything */
	for (int field = 2; at && field < STAT_FIELD_START; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

static int read_state(const char *path, struct container *container)
{
	CLEANUP(cleanup_free) char *text = malloc(STATE_MAX);
	unsigned long long start;
	ssize_t n;
	int r;

	if (!text)
		return -ENOMEM;
	n = proc_read(path, text, STATE_MAX);
	if (n < 0)
		return (int)n;
	r = container_parse_state(text, (size_t)n, &container->pid, &start);
	if (r < 0)
		return r;
	/* Its number may have gone to another process since. */
	return started(container->pid) && (!start || started(container->pid) == start) ? 0 : -ESRCH;
}

/* Where runtimes keep them, a folder for each container. NULL as the first part: XDG_RUNTIME_DIR. */
static const struct root {
	const char *base, *folder, *file, *runtime;
} roots[] = {
	{ "/run", "runc", "state.json", "runc" },
	{ "/run", "crun", "status", "crun" },
	{ NULL, "runc", "state.json", "runc" },
	{ NULL, "crun", "status", "crun" },
	{ "/run", "docker/runtime-runc/moby", "state.json", "runc" },
	{ "/run", "containerd/runc/k8s.io", "state.json", "runc" },
	{ "/run", "containerd/runc/moby", "state.json", "runc" },
	{ "/run", "containerd/runc/default", "state.json", "runc" },
};

static bool root_path(const struct root *root, char *path, size_t size)
{
	const char *base = root->base ? root->base : getenv("XDG_RUNTIME_DIR");
	int n = base ? snprintf(path, size, "%s/%s", base, root->folder) : -1;

	return n > 0 && (size_t)n < size;
}

/* The one entry that is called so, or else begins so; 0, 1 when there are several, -ENOENT. */
static int find_entry(const char *path, const char *name, char *entry, size_t size)
{
	CLEANUP(cleanup_folder) DIR *folder = opendir(path);
	const struct dirent *e;
	int found = 0;

	while (folder && (e = readdir(folder))) {
		bool whole = strcmp(e->d_name, name) == 0;

		if (!whole && (strlen(name) < SHORTEST_PREFIX || strncmp(e->d_name, name, strlen(name)) != 0))
			continue;
		snprintf(entry, size, "%s", e->d_name);
		found++;
		if (whole)
			return 0;
	}
	return found == 0 ? -ENOENT : found > 1;
}

static int find_in_states(const char *name, struct container *container, struct err *err)
{
	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		char path[PROC_PATH_MAX], file[PROC_PATH_MAX + NAME_MAX + 64];
		int r = root_path(&roots[i], path, sizeof(path))
				? find_entry(path, name, container->id, sizeof(container->id))
				: -ENOENT;

		if (r == -ENOENT)
			continue;
		if (r > 0)
			return err_set(err, -ENOTUNIQ, "%s: several containers in %s begin so", name, path);
		snprintf(file, sizeof(file), "%s/%s/%s", path, container->id, roots[i].file);
		r = read_state(file, container);
		container->how = roots[i].runtime;
		if (r == -ESRCH)
			return err_set(err, r, "%s: this container is not running (%s)", name, file);
		if (r == -EINVAL)
			return err_set(err, -EBADMSG, "%s: there is no process in this state", file);
		return r < 0 ? err_set(err, r, "%s: %s", file, strerror(-r)) : 0;
	}
	return -ENOENT;
}

/* ---- names ---- */

static json_t *load(const char *path)
{
	CLEANUP(cleanup_free) char *text = malloc(STATE_MAX);
	ssize_t n = text ? proc_read(path, text, STATE_MAX) : -ENOMEM;

	return n < 0 ? NULL : json_loadb(text, (size_t)n, 0, NULL);
}

/* Docker: a file for each container, and its name with a slash. */
static bool docker_name(const char *name, char *id, size_t size)
{
	static const char base[] = "/var/lib/docker/containers";
	CLEANUP(cleanup_folder) DIR *folder = opendir(base);
	const struct dirent *e;

	while (folder && (e = readdir(folder))) {
		char path[PROC_PATH_MAX];
		CLEANUP(cleanup_json) json_t *config = NULL;
		const char *is;

		snprintf(path, sizeof(path), "%s/%s/config.v2.json", base, e->d_name);
		config = *e->d_name == '.' ? NULL : load(path);
		is = json_string_value(json_object_get(config, "Name"));
		if (is && *is == '/' && strcmp(is + 1, name) == 0) {
			snprintf(id, size, "%s", e->d_name);
			return true;
		}
	}
	return false;
}

/* Podman: one list of all. */
static bool podman_name_in(const char *path, const char *name, char *id, size_t size)
{
	CLEANUP(cleanup_json) json_t *list = load(path);
	const json_t *row, *is;
	size_t i, j;

	json_array_foreach(list, i, row)
	{
		json_array_foreach(json_object_get(row, "names"), j, is)
		{
			const char *its_id = json_string_value(json_object_get(row, "id"));

			if (its_id && json_is_string(is) && strcmp(json_string_value(is), name) == 0) {
				snprintf(id, size, "%s", its_id);
				return true;
			}
		}
	}
	return false;
}

static bool podman_name(const char *name, char *id, size_t size)
{
	static const char file[] = "containers/storage/overlay-containers/containers.json";
	const char *home = getenv("HOME");
	char path[PROC_PATH_MAX];

	snprintf(path, sizeof(path), "/var/lib/%s", file);
	if (podman_name_in(path, name, id, size))
		return true;
	snprintf(path, sizeof(path), "%s/.local/share/%s", home ? home : "", file);
	return home && podman_name_in(path, name, id, size);
}

/* ---- control groups ---- */

/* Whether a path has it as a part, or in one as systemd names scopes: "docker-ID.scope". */
static bool is_in_group(const char *groups, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = groups; (at = strstr(at, name)); at++) {
		bool begins = at > groups && (at[-1] == '/' || at[-1] == '-' || at[-1] == ':');

		if (begins && (at[n] == '\0' || at[n] == '\n' || at[n] == '/' || at[n] == '.'))
			return true;
	}
	return false;
}

static int find_in_groups(const char *name, struct container *container)
{
	CLEANUP(cleanup_folder) DIR *folder = opendir("/proc");
	const struct dirent *e;
	pid_t first = 0;

	while (folder && (e = readdir(folder))) {
		char path[300], groups[4096];
		pid_t pid = isdigit((unsigned char)*e->d_name) ? (pid_t)atoi(e->d_name) : 0;

		snprintf(path, sizeof(path), "/proc/%s/cgroup", e->d_name);
		if (pid && (!first || pid < first) && proc_read(path, groups, sizeof(groups)) > 0 &&
		    is_in_group(groups, name))
			first = pid;
	}
	if (!first)
		return -ENOENT;
	container->pid = first;
	container->how = "cgroup";
	snprintf(container->id, sizeof(container->id), "%s", name);
	return 0;
}

int container_find(const char *name, struct container *ret_container, struct err *err)
{
	struct container container = { .pid = 0 };
	char id[NAME_MAX + 1];
	int r;

	if (!*name || *name == '.' || strchr(name, '/') || strlen(name) >= sizeof(id))
		return err_set(err, -EINVAL, "\"%s\" is no name of a container", name);
	if (docker_name(name, id, sizeof(id)) || podman_name(name, id, sizeof(id)))
		name = id;
	r = find_in_states(name, &container, err);
	if (r == -ENOENT)
		r = find_in_groups(name, &container);
	if (r == -ENOENT)
		return err_set(
			err, r,
			"there is no container \"%s\" in the state of runc and crun, nor a control group of that name",
			name);
	if (r == 0)
		*ret_container = container;
	return r;
}
