/* SPDX-License-Identifier: MIT */
#include "enforce/limits.h"

#include <errno.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>

#include "kernel/proc.h"

#define BIT(capability) (UINT64_C(1) << (capability))

static const struct {
	enum policy_field field;
	__rlimit_resource_t resource;
	const char *name, *ulimit;
	uint64_t undone_by;
} rows[LIMITS_N] = {
	{ POLICY_BUFFER_BYTES, RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", "memlock", BIT(CAP_SYS_RESOURCE) | BIT(CAP_IPC_LOCK) },
	{ POLICY_REGISTERED_FILES, RLIMIT_NOFILE, "RLIMIT_NOFILE", "nofile", BIT(CAP_SYS_RESOURCE) },
};

struct limits limits_of(const struct policy *policy, pid_t pid)
{
	struct limits limits = { .pid = pid };

	limits.most[0] = policy->buffer_bytes;
	limits.most[1] = policy->registered_files == POLICY_NO_LIMIT ? UINT64_MAX : policy->registered_files;
	return limits;
}

static int lower(pid_t pid, __rlimit_resource_t resource, rlim_t most)
{
	struct rlimit limit;

	if (prlimit(pid, resource, NULL, &limit) < 0)
		return -errno;
	if (limit.rlim_cur <= most && limit.rlim_max <= most)
		return 0;
	limit.rlim_cur = limit.rlim_cur < most ? limit.rlim_cur : most;
	limit.rlim_max = limit.rlim_max < most ? limit.rlim_max : most;
	return prlimit(pid, resource, &limit, NULL) < 0 ? -errno : 0;
}

int limits_lower(const struct limits *limits)
{
	for (size_t i = 0; limits->pid && i < LIMITS_N; i++)
		if (limits->most[i] != UINT64_MAX && lower(limits->pid, rows[i].resource, limits->most[i]) < 0)
			return (int)rows[i].field;
	return 0;
}

int limits_take(const struct limits *limits)
{
	char path[64], text[4096];
	struct rlimit ours;
	uint64_t soft, hard;
	ssize_t n;
	int r;

	if (!limits->pid)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)limits->pid);
	n = proc_read(path, text, sizeof(text)); /* prlimit() wants more rights */
	r = n < 0 ? (int)n : proc_parse_limit(text, "Max locked memory", &soft, &hard);
	if (r < 0)
		return r;
	if (getrlimit(RLIMIT_MEMLOCK, &ours) < 0)
		return -errno;
	ours.rlim_cur = soft < ours.rlim_max ? soft : ours.rlim_max;
	return setrlimit(RLIMIT_MEMLOCK, &ours) < 0 ? -errno : 0;
}

int limits_undone(const struct limits *limits, const char **ret_capability)
{
	struct proc_status status;
	uint64_t has;
	int r = limits->pid ? proc_read_status(limits->pid, &status) : 0;

	if (r < 0 || !limits->pid)
		return r;
	has = status.cap_effective | status.cap_bounding;
	for (size_t i = 0; i < LIMITS_N; i++) {
		if (limits->most[i] == UINT64_MAX || !(has & rows[i].undone_by) ||
		    proc_shares_namespace(limits->pid, "user") == 0)
			continue;
		*ret_capability = has & rows[i].undone_by & BIT(CAP_IPC_LOCK) ? "CAP_IPC_LOCK" : "CAP_SYS_RESOURCE";
		return (int)rows[i].field;
	}
	return 0;
}

enum policy_field limits_field(size_t i)
{
	return rows[i].field;
}

const char *limits_resource(enum policy_field field)
{
	for (size_t i = 0; i < LIMITS_N; i++)
		if (rows[i].field == field)
			return rows[i].name;
	return NULL;
}

const char *limits_ulimit(enum policy_field field)
{
	for (size_t i = 0; i < LIMITS_N; i++)
		if (rows[i].field == field)
			return rows[i].ulimit;
	return NULL;
}
