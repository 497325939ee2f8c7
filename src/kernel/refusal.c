/* SPDX-License-Identifier: MIT */
#include "kernel/refusal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abi/uring.h"
#include "kernel/call.h"
#include "kernel/child.h"
#include "kernel/proc.h"

enum { CAP_IPC_LOCK_BIT = 14, CAP_SYS_ADMIN_BIT = 21, SECCOMP_FILTERED = 2 };

/* ---- the judgement ---- */

/* A filter that knows io_uring answers the other two calls too, where the kernel would complain of the descriptor. */
static bool others_refused_alike(const struct refusal_evidence *e)
{
	return e->enter == e->setup || e->reg == e->setup;
}

static enum refusal judge_eperm(const struct refusal_evidence *e)
{
	if (e->seccomp == SECCOMP_FILTERED && others_refused_alike(e))
		return REFUSAL_SECCOMP;
	if (e->disabled == 2 || (e->disabled == 1 && !e->privileged && !e->in_group))
		return REFUSAL_SYSCTL;
	if (e->seccomp == 0)
		return e->disabled >= 0 ? REFUSAL_LSM : REFUSAL_UNKNOWN;
	return REFUSAL_UNKNOWN;
}

static enum refusal judge_enosys(const struct refusal_evidence *e)
{
	if (e->seccomp == 0)
		return REFUSAL_ABSENT;
	/* The sysctl came with io_uring, and only it; so the kernel has it and somebody else says no. */
	if (e->disabled >= 0 || e->enter == EBADF || e->reg == EINVAL || e->reg == EBADF)
		return REFUSAL_SECCOMP;
	if (e->version && e->version < PROC_VERSION(5, 1, 0))
		return REFUSAL_ABSENT;
	return REFUSAL_UNKNOWN;
}

static enum refusal judge_enomem(const struct refusal_evidence *e)
{
	if (e->unlimited >= 0)
		return e->unlimited == 0 ? REFUSAL_MEMLOCK : REFUSAL_MEMORY;
	return e->ipc_lock || e->memlock == UINT64_MAX ? REFUSAL_MEMORY : REFUSAL_MEMLOCK;
}

static enum refusal judge_other(const struct refusal_evidence *e)
{
	if (e->seccomp == SECCOMP_FILTERED && others_refused_alike(e))
		return REFUSAL_SECCOMP;
	switch (e->setup) {
	case EACCES:
		return e->seccomp == 0 ? REFUSAL_LSM : REFUSAL_UNKNOWN;
	case EMFILE:
	case ENFILE:
		return REFUSAL_FILES;
	case EINVAL:
		return REFUSAL_FLAGS;
	default:
		return REFUSAL_UNKNOWN;
	}
}

enum refusal refusal_judge(const struct refusal_evidence *e)
{
	if (e->killed_by)
		return REFUSAL_KILLED;
	switch (e->setup) {
	case 0:
		return REFUSAL_NONE;
	case EPERM:
		return judge_eperm(e);
	case ENOSYS:
		return judge_enosys(e);
	case ENOMEM:
		return judge_enomem(e);
	default:
		return judge_other(e);
	}
}

/* ---- in words ---- */

static const char *errno_name(int error)
{
	const char *name = error ? strerrorname_np(error) : "success";

	return name ? name : "an unknown error";
}

static void explain_sysctl(const struct refusal_evidence *e, char *text, unsigned int size)
{
	if (e->disabled == 2)
		snprintf(text, size,
			 "EPERM: sysctl kernel.io_uring_disabled is 2, which forbids new rings to everybody");
	else
		snprintf(text, size,
			 "EPERM: sysctl kernel.io_uring_disabled is 1: only CAP_SYS_ADMIN and the group in "
			 "kernel.io_uring_group (%lld) may make rings",
			 (long long)e->group);
}

static void explain_seccomp(const struct refusal_evidence *e, char *text, unsigned int size)
{
	if (others_refused_alike(e))
		snprintf(text, size, "%s: a seccomp filter answers, io_uring_enter (%s) and io_uring_register (%s) too",
			 errno_name(e->setup), errno_name(e->enter), errno_name(e->reg));
	else
		snprintf(text, size, "%s: a seccomp filter hides io_uring, which this kernel has",
			 errno_name(e->setup));
}

static void explain_killed(const struct refusal_evidence *e, char *text, unsigned int size)
{
	snprintf(text, size, "a seccomp filter kills who asks for a ring (SIG%s)", sigabbrev_np(e->killed_by));
}

static void explain_memlock(const struct refusal_evidence *e, char *text, unsigned int size)
{
	snprintf(text, size,
		 "ENOMEM: the ring counts against RLIMIT_MEMLOCK (%llu bytes, shared by all of the user's processes)",
		 (unsigned long long)e->memlock);
}

static void explain_unknown(const struct refusal_evidence *e, char *text, unsigned int size)
{
	bool between_two = e->seccomp == SECCOMP_FILTERED && (e->setup == EPERM || e->setup == EACCES);

	snprintf(text, size,
		 "%s, by whom could not be told%s (io_uring_enter: %s, io_uring_register: %s, seccomp mode %d, "
		 "io_uring_disabled %d)",
		 errno_name(e->setup),
		 between_two ? ": a filter that only knows io_uring_setup, or a security module" : "",
		 errno_name(e->enter), errno_name(e->reg), e->seccomp, e->disabled);
}

static void explain_error(const struct refusal_evidence *e, const char *because, char *text, unsigned int size)
{
	snprintf(text, size, "%s: %s", errno_name(e->setup), because);
}

void refusal_explain(const struct refusal_evidence *e, char *text, unsigned int size)
{
	static const struct {
		void (*explain)(const struct refusal_evidence *, char *, unsigned int);
		const char *because;
	} rows[] = {
		[REFUSAL_NONE] = { NULL, "" },
		[REFUSAL_ABSENT] = { NULL,
				     "this kernel has no io_uring (it came with 5.1, and CONFIG_IO_URING can be off)" },
		[REFUSAL_SYSCTL] = { explain_sysctl, NULL },
		[REFUSAL_SECCOMP] = { explain_seccomp, NULL },
		[REFUSAL_KILLED] = { explain_killed, NULL },
		[REFUSAL_LSM] = { NULL,
				  "a security module refuses: no seccomp filter is there and the sysctl allows it" },
		[REFUSAL_MEMLOCK] = { explain_memlock, NULL },
		[REFUSAL_MEMORY] = { NULL, "no memory, also without the memlock limit: see the cgroup's memory.max" },
		[REFUSAL_FILES] = { NULL, "no descriptor is left" },
		[REFUSAL_FLAGS] = { NULL, "a set-up flag or size that this kernel does not know" },
		[REFUSAL_UNKNOWN] = { explain_unknown, NULL },
	};
	enum refusal refusal = refusal_judge(e);

	if (size)
		*text = '\0';
	if (rows[refusal].explain)
		rows[refusal].explain(e, text, size);
	else if (refusal != REFUSAL_NONE)
		explain_error(e, rows[refusal].because, text, size);
}

/* ---- the evidence ---- */

struct tried {
	int setup, enter, reg, unlimited;
};

static int error_of(int r)
{
	return r < 0 ? -r : 0;
}

static int setup_error(void)
{
	struct uring_params params = { 0 };
	int fd = kernel_setup(1, &params);

	if (fd >= 0)
		(void)close(fd);
	return error_of(fd);
}

static void try_calls(void *answer, const void *argument)
{
	struct tried *tried = answer;
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	tried->setup = setup_error();
	tried->unlimited = -1;
	if (tried->setup == ENOMEM && setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0)
		tried->unlimited = setup_error();
}

static void try_others(void *answer, const void *argument)
{
	struct tried *tried = answer;

	tried->enter = error_of(kernel_enter(-1, 0, 0, 0, NULL, 0));
	tried->reg = error_of(kernel_register(-1, UINT32_MAX, NULL, 0));
}

static bool is_member(const struct proc_status *status, int64_t group)
{
	bool member = status->gid == group;

	for (size_t i = 0; i < status->n_groups; i++)
		member |= status->groups[i] == group;
	return member && group >= 0;
}

static void look_around(struct refusal_evidence *e)
{
	struct proc_status status;
	struct rlimit limit;
	int64_t number;

	e->version = proc_kernel_version();
	e->disabled = proc_read_number("/proc/sys/kernel/io_uring_disabled", &number) == 0 ? (int)number : -1;
	e->group = proc_read_number("/proc/sys/kernel/io_uring_group", &number) == 0 ? number : -1;
	e->seccomp = -1;
	if (proc_read_status(0, &status) == 0) {
		e->seccomp = status.seccomp;
		e->privileged = status.cap_effective >> CAP_SYS_ADMIN_BIT & 1;
		e->ipc_lock = status.cap_effective >> CAP_IPC_LOCK_BIT & 1;
		e->in_group = is_member(&status, e->group);
	}
	e->memlock = getrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}

int refusal_gather(struct refusal_evidence *ret_evidence)
{
	struct refusal_evidence e = { .unlimited = -1 };
	struct tried calls = { 0 }, others = { 0 };
	int r = child_run(try_calls, NULL, &calls, sizeof(calls), &e.killed_by);

	if (r < 0)
		return r;
	if (r == CHILD_SILENT)
		return -ETIMEDOUT;
	r = child_run(try_others, NULL, &others, sizeof(others), NULL);
	if (r < 0)
		return r;
	e.setup = calls.setup;
	e.unlimited = calls.unlimited;
	e.enter = others.enter;
	e.reg = others.reg;
	look_around(&e);
	*ret_evidence = e;
	return 0;
}
