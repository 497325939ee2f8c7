/* SPDX-License-Identifier: MIT */
/* What can be said of rules and cgroups without a guard. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "abi/decode.h"
#include "base/err.h"
#include "enforce/cgroup.h"
#include "enforce/guard.h"
#include "kernel/host.h"
#include "kernel/proc.h"

/* The handle of a file in a kernfs is its id. */
enum { CGROUP2_FILE_SYSTEM = 0x63677270, CGROUP_HANDLE = 0xfe };

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

int guard_cgroup_of(int pid, uint64_t *ret_cgroup, struct err *err)
{
	char text[4096], mount[PROC_PATH_MAX], membership[PROC_PATH_MAX], path[2 * PROC_PATH_MAX];
	int r = kernel_cgroup2(mount, sizeof mount);

	if (r < 0)
		return err_set(err, r, "no cgroups of version 2 are mounted");
	r = cgroup_read(pid, text, sizeof text);
	if (r < 0)
		return err_set(err, r, "/proc/%d/cgroup: %s", pid, strerror(-r));
	r = proc_parse_cgroup(text, "", membership, sizeof membership);
	if (r < 0)
		return err_set(err, r, "/proc/%d/cgroup: it names no cgroup of version 2", pid);
	snprintf(path, sizeof path, "%s%s", mount, membership);
	return guard_cgroup(path, ret_cgroup, err);
}

int guard_cgroup_path(uint64_t cgroup, char *buf, size_t size)
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + sizeof cgroup];
	} name = { .handle = { .handle_bytes = sizeof cgroup, .handle_type = CGROUP_HANDLE } };
	CLEANUP(cleanup_fd) int mount = -1, fd = -1;
	char link[64], path[GUARD_PATH_MAX];
	ssize_t n;
	int r = kernel_cgroup2(path, sizeof path);

	if (r < 0)
		return r;
	mount = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memcpy(name.handle.f_handle, &cgroup, sizeof cgroup);
	fd = mount < 0 ? -1 : open_by_handle_at(mount, &name.handle, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	return (size_t)snprintf(buf, size, "%s", path) < size ? 0 : -ENAMETOOLONG;
}

/* ---- rules as text ---- */

struct text {
	char *buf;
	size_t size, used;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
	va_list args;

	if (text->used + 1 >= text->size)
		return;
	if (text->used)
		text->used += (size_t)snprintf(text->buf + text->used, text->size - text->used, "; ");
	if (text->used + 1 >= text->size)
		return;
	va_start(args, format);
	text->used += (size_t)vsnprintf(text->buf + text->used, text->size - text->used, format, args);
	va_end(args);
}

static uint32_t known_flags(void)
{
	uint32_t known = 0;

	for (unsigned int bit = 0; bit < 32; bit++)
		if (abi_flag_name(ABI_FLAGS_SETUP, bit))
			known |= 1u << bit;
	return known;
}

static void add_denied(struct text *text, uint32_t denied)
{
	const uint32_t known = known_flags();
	char flags[256];

	if (denied & known) {
		abi_decode_flags(flags, sizeof flags, ABI_FLAGS_SETUP, denied & known);
		add(text, "not with %s", flags);
	}
	if (denied & ~known)
		add(text, "not with set-up flags newer than this Circlip");
}

void guard_rule_text(const struct guard_rule *rule, char *buf, size_t size)
{
	struct text text = { buf, size, 0 };

	if (size)
		*buf = '\0';
	if (rule->demands & GUARD_NO_RINGS)
		add(&text, "no rings");
	if (rule->demands & GUARD_DISABLED)
		add(&text, "rings must be made disabled (R_DISABLED)");
	add_denied(&text, ~rule->setup_flags);
	if (!rule->sqpoll_max)
		add(&text, "no SQPOLL thread");
	else if (rule->sqpoll_max != GUARD_UNLIMITED)
		add(&text, "SQPOLL: at most %u thread%s", rule->sqpoll_max, rule->sqpoll_max == 1 ? "" : "s");
	if (rule->pinned_max != GUARD_UNLIMITED)
		add(&text, "at most %u bound to the same CPU", rule->pinned_max);
	if (rule->idle_max != GUARD_UNLIMITED)
		add(&text, "spinning at most %u ms without work", rule->idle_max);
	if (rule->sq_max != GUARD_UNLIMITED)
		add(&text, "SQ: at most %u entries", rule->sq_max);
	if (rule->cq_max != GUARD_UNLIMITED)
		add(&text, "CQ: at most %u entries", rule->cq_max);
	if (!text.used)
		add(&text, "anything is allowed");
}
