/* SPDX-License-Identifier: MIT */
/*
 * The guard in the BPF file system, where it needs no process to live.
 *
 * It is put together in a folder beside the final one and moved there whole, so whoever looks finds all of it or
 * nothing. Whoever changes something holds the lock on the file system's root.
 */
#include "enforce/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/err.h"
#include "bpf/guard.skel.h"
#include "enforce/guard-inner.h"

#define ROOT "/sys/fs/bpf"
#define UNFINISHED GUARD_PINS "-new" /* the BPF file system wants no dots in names */

enum { BPF_FILE_SYSTEM = 0xcafe4a11 };

/* File names of the maps' pins. */
static const char *const map_names[GUARD_MAPS] = {
	[GUARD_MAP_RULES] = "rules",
	[GUARD_MAP_STATES] = "states",
	[GUARD_MAP_ABOUT] = "about",
};

/* The lock goes with the descriptor. */
static int lock(struct err *err)
{
	struct statfs about;
	int fd = open(ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", ROOT, strerror(errno));
	if (fstatfs(fd, &about) < 0 || (uint32_t)about.f_type != BPF_FILE_SYSTEM) {
		close(fd);
		return err_set(err, -ENOTSUP, "%s is not the BPF file system; mount -t bpf bpf %s", ROOT, ROOT);
	}
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR) {
			int error = errno;

			close(fd);
			return err_set(err, -error, "%s: flock: %s", ROOT, strerror(error));
		}
	return fd;
}

/* Empties and removes a folder of pins. 0, -ENOENT, or -errno with a text. */
static int remove_folder(const char *path, struct err *err)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int r = 0;

	if (!folder)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	while (r == 0 && (entry = readdir(folder)))
		if (entry->d_name[0] != '.' && unlinkat(dirfd(folder), entry->d_name, 0) < 0)
			r = err_set(err, -errno, "%s/%s: %s", path, entry->d_name, strerror(errno));
	closedir(folder);
	if (r == 0 && rmdir(path) < 0)
		r = err_set(err, -errno, "%s: %s", path, strerror(errno));
	return r;
}

static int pin_one(int fd, const char *kind, const char *name, struct err *err)
{
	char path[128];
	int r;

	snprintf(path, sizeof path, "%s/%s%s", UNFINISHED, kind, name);
	r = bpf_obj_pin(fd, path);
	return r < 0 ? err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

static int pin_all(struct guard *guard, struct err *err)
{
	struct bpf_object_skeleton *skeleton = guard->bpf->skeleton;
	int r = 0;

	for (int i = 0; r == 0 && i < GUARD_MAPS; i++)
		r = pin_one(guard->maps[i], "", map_names[i], err);
	if (r == 0)
		r = pin_one(guard->existing, "", GUARD_EXISTING_NAME, err);
	for (int i = 0; r == 0 && i < skeleton->prog_cnt; i++)
		if (*skeleton->progs[i].link) /* the optional one may not be there */
			r = pin_one(bpf_link__fd(*skeleton->progs[i].link), "link-", skeleton->progs[i].name, err);
	return r;
}

int guard_pin(struct guard *guard, struct err *err)
{
	CLEANUP(cleanup_fd) int locked = -1;
	int r;

	if (guard->is_pinned)
		return err_set(err, -EEXIST, "%s: it is pinned already", GUARD_PINS);
	locked = lock(err);
	if (locked < 0)
		return locked;
	/* What somebody left who was killed at it. */
	r = remove_folder(UNFINISHED, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (mkdir(UNFINISHED, 0700) < 0)
		return err_set(err, -errno, "%s: %s", UNFINISHED, strerror(errno));
	r = pin_all(guard, err);
	if (r == 0 && renameat2(AT_FDCWD, UNFINISHED, AT_FDCWD, GUARD_PINS, RENAME_NOREPLACE) < 0)
		r = err_set(err, -errno, "%s: %s", GUARD_PINS, strerror(errno));
	if (r < 0)
		return remove_folder(UNFINISHED, NULL), r;
	guard->is_pinned = true;
	return 0;
}

bool guard_is_pinned(const struct guard *guard)
{
	return guard->is_pinned;
}

int guard_remove(struct err *err)
{
	CLEANUP(cleanup_fd) int locked = lock(err);
	int r, unfinished;

	if (locked == -ENOTSUP)
		return err_set(err, -ENOENT, "no guard is pinned: %s is not mounted", ROOT);
	if (locked < 0)
		return locked;
	unfinished = remove_folder(UNFINISHED, err);
	if (unfinished < 0 && unfinished != -ENOENT)
		return unfinished;
	r = remove_folder(GUARD_PINS, err);
	return r == -ENOENT ? unfinished : r;
}

static int open_pin(const char *name, int *ret_fd, struct err *err)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", GUARD_PINS, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return err_set(err, fd, "%s: %s", path, strerror(-fd));
	*ret_fd = fd;
	return 0;
}

static int open_pins(struct guard *guard, struct err *err)
{
	int r = open_pin(GUARD_EXISTING_NAME, &guard->existing, err);

	for (int i = 0; r == 0 && i < GUARD_MAPS; i++)
		r = open_pin(map_names[i], &guard->maps[i], err);
	return r;
}

/* Their layout is another one, so nothing else is read from its maps. */
static int check_version(struct guard *guard, struct err *err)
{
	struct bpf_map_info info = { 0 };
	struct guard_about about = { 0 };
	uint32_t size = sizeof info;
	int r = bpf_obj_get_info_by_fd(guard->maps[GUARD_MAP_ABOUT], &info, &size);

	if (r == 0 && info.value_size == sizeof about)
		r = guard_read_about(guard, &about, err);
	if (r < 0)
		return err_set(err, r, "%s/about: %s", GUARD_PINS, strerror(-r));
	if (about.version != GUARD_VERSION)
		return err_set(err, -ESTALE,
			       "%s holds the guard of another version of Circlip; circlip host remove takes it away",
			       GUARD_PINS);
	return 0;
}

int guard_find(struct guard **ret_guard, struct err *err)
{
	CLEANUP(cleanup_guard) struct guard *guard = NULL;
	int r;

	if (access(GUARD_PINS, F_OK) < 0)
		return err_set(err, errno == ENOTDIR ? -ENOENT : -errno, "no guard is in force (%s: %s)", GUARD_PINS,
			       strerror(errno));
	guard = guard_new();
	if (!guard)
		return err_set(err, -ENOMEM, "out of memory");
	r = open_pins(guard, err);
	if (r == 0)
		r = check_version(guard, err);
	if (r < 0)
		return r == -ENOENT ? -EIO : r;
	guard->is_pinned = true;
	*ret_guard = guard;
	guard = NULL;
	return 0;
}
