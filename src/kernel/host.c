/* SPDX-License-Identifier: MIT */
#include "kernel/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/call.h"
#include "kernel/proc.h"

enum { MOUNTS_MAX = 1 << 16 };

/* ---- security modules ---- */

/* LSM_ID_* of the kernel. */
static const struct {
	uint64_t id;
	const char *name;
} modules[] = {
	{ 100, "capability" }, { 101, "selinux" }, { 102, "smack" },     { 103, "tomoyo" },   { 104, "apparmor" },
	{ 105, "yama" },       { 106, "loadpin" }, { 107, "safesetid" }, { 108, "lockdown" }, { 109, "bpf" },
	{ 110, "landlock" },   { 111, "ima" },     { 112, "evm" },       { 113, "ipe" },
};

static size_t add_module(char *text, size_t size, size_t used, uint64_t id)
{
	const char *name = NULL;
	int n;

	for (size_t i = 0; i < sizeof(modules) / sizeof(*modules); i++)
		if (modules[i].id == id)
			name = modules[i].name;
	if (name)
		n = snprintf(text + used, size - used, "%s%s", used ? "," : "", name);
	else
		n = snprintf(text + used, size - used, "%s#%llu", used ? "," : "", (unsigned long long)id);
	return n > 0 && (size_t)n < size - used ? used + (size_t)n : used;
}

static int names_from_file(char *text, size_t size)
{
	CLEANUP(cleanup_fd) int root = -1;
	ssize_t n = proc_read("/sys/kernel/security/lsm", text, size);

	if (n == -ENOENT) {
		root = kernel_mount_detached("securityfs");
		if (root < 0)
			return root;
		n = proc_read_at(root, "lsm", text, size);
	}
	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

int kernel_lsm_names(char *text, size_t size)
{
	uint64_t ids[32];
	int n = kernel_lsm_list(ids, sizeof(ids) / sizeof(*ids));
	size_t used = 0;

	if (n < 0)
		return names_from_file(text, size);
	*text = '\0';
	for (int i = 0; i < n; i++)
		used = add_module(text, size, used, ids[i]);
	return 0;
}

bool host_lsm_has(const char *names, const char *name)
{
	size_t length = strlen(name);

	while (*names) {
		size_t n = strcspn(names, ",");

		if (n == length && memcmp(names, name, n) == 0)
			return true;
		names += n + (names[n] == ',');
	}
	return false;
}

/* ---- file systems ---- */

int kernel_cgroup2(char *point, size_t size)
{
	CLEANUP(cleanup_free) char *mounts = malloc(MOUNTS_MAX);
	ssize_t n;

	if (!mounts)
		return -ENOMEM;
	n = proc_read("/proc/self/mountinfo", mounts, MOUNTS_MAX);
	return n < 0 ? (int)n : proc_parse_mount(mounts, "cgroup2", NULL, point, NULL, size);
}

int kernel_tracefs(void)
{
	static const char *const roots[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		int root = open(roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (root < 0 && errno != ENOENT)
			return -errno;
		if (root >= 0 && faccessat(root, "events", F_OK, 0) == 0)
			return root;
		if (root >= 0)
			(void)close(root);
	}
	return kernel_mount_detached("tracefs");
}
