/* SPDX-License-Identifier: MIT */
#include "kernel/feature.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/uring.h"
#include "kernel/call.h"
#include "kernel/feature-inner.h"

static const struct row {
	const char *name, *description;
	feature_probe *probe;
} rows[] = {
	[KERNEL_URING] = { "uring", "a ring can be made", feature_uring },
	[KERNEL_OPS] = { "ops", "operations known", feature_uring_ops },
	[KERNEL_REGISTER_OPS] = { "register-ops", "register operations known", feature_uring_register_ops },
	[KERNEL_SETUP_FLAGS] = { "setup-flags", "set-up flags with which a ring can be made",
				 feature_uring_setup_flags },
	[KERNEL_FEATURES] = { "features", "features word", feature_uring_features },
	[KERNEL_MEMLOCK] = { "memlock", "a ring of 4096 entries fits the memlock limit", feature_uring_memlock },
	[KERNEL_MEMLOCK_COUNTS] = { "memlock-counts", "rings count against RLIMIT_MEMLOCK",
				    feature_uring_memlock_counts },
	[KERNEL_SQPOLL_UNPRIVILEGED] = { "sqpoll-unprivileged", "polling threads without privileges",
					 feature_uring_sqpoll },
	[KERNEL_QUERY] = { "query", "the kernel describes its io_uring (REGISTER_QUERY, 6.18)", feature_uring_query },
	[KERNEL_RING_RESTRICTIONS] = { "ring-restrictions", "a ring can be restricted (5.10)", feature_restrict_ring },
	[KERNEL_TASK_RESTRICTIONS] = { "task-restrictions", "a process and its children can be restricted (7.0)",
				       feature_restrict_task },
	[KERNEL_TASK_RESTRICTIONS_EXEC] = { "task-restrictions-exec",
					    "restrictions of a process survive execve (CVE-2026-80713)",
					    feature_restrict_exec },
	[KERNEL_BPF_FILTER] = { "bpf-filter", "filters per operation (7.0)", feature_restrict_filter },
	[KERNEL_SECCOMP_FILTER] = { "seccomp-filter", "seccomp filters", feature_task_seccomp },
	[KERNEL_SECCOMP_NOTIFY] = { "seccomp-notify", "seccomp filters with a supervisor (5.0)", feature_task_notify },
	[KERNEL_SECCOMP_WAIT_KILLABLE] = { "seccomp-wait-killable",
					   "only death interrupts a call that is being answered (5.19)",
					   feature_task_killable },
	[KERNEL_SECCOMP_ADDFD] = { "seccomp-addfd", "the supervisor can add a descriptor (5.9)", feature_task_addfd },
	[KERNEL_PIDFD_GETFD] = { "pidfd-getfd", "a descriptor can be taken from a child (5.6)", feature_task_getfd },
	[KERNEL_PTRACE_CHILD] = { "ptrace-child", "a child can be traced", feature_task_ptrace },
	[KERNEL_PROCESS_VM_READ] = { "process-vm-read", "a child's memory can be read", feature_task_read },
	[KERNEL_CALLS_X32] = { "calls-x32", "a process may make system calls by x32's numbers", feature_task_x32 },
	[KERNEL_CALLS_I386] = { "calls-i386", "a process may make 32-bit system calls", feature_task_i386 },
	[KERNEL_LSM_BPF] = { "lsm-bpf", "BPF is among the security modules", feature_host_lsm_bpf },
	[KERNEL_LSM_BPF_LOAD] = { "lsm-bpf-load", "a BPF program can be a security module", feature_host_lsm_bpf_load },
	[KERNEL_CGROUP2] = { "cgroup2", "the unified cgroup hierarchy is mounted", feature_host_cgroup2 },
	[KERNEL_TRACE_EVENTS] = { "trace-events", "io_uring's tracepoints can be reached", feature_host_trace },
};
_Static_assert(sizeof(rows) / sizeof(*rows) == KERNEL_FEATURE_LAST, "a row for every feature");

static struct kernel_answer answers[KERNEL_FEATURE_LAST];
static bool answered[KERNEL_FEATURE_LAST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

const struct kernel_answer *kernel_feature(enum kernel_feature feature)
{
	pthread_mutex_lock(&lock);
	if (!answered[feature])
		rows[feature].probe(&answers[feature]);
	answered[feature] = true;
	pthread_mutex_unlock(&lock);
	return &answers[feature];
}

const char *kernel_feature_name(enum kernel_feature feature)
{
	return rows[feature].name;
}

const char *kernel_feature_description(enum kernel_feature feature)
{
	return rows[feature].description;
}

const char *kernel_state_name(enum kernel_state state)
{
	static const char *const names[] = { "unknown", "no", "yes" };

	return names[state];
}

/* ---- what the rows' functions share ---- */

const char *feature_errno(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "an unknown error";
}

void feature_say(struct kernel_answer *answer, enum kernel_state state, int error, const char *format, ...)
{
	va_list args;

	answer->state = state;
	answer->error = error;
	va_start(args, format);
	vsnprintf(answer->why, sizeof(answer->why), format, args);
	va_end(args);
}

void feature_in_child(struct kernel_answer *answer, child_function *function, const void *argument)
{
	int sig = 0, r = child_run(function, argument, answer, sizeof(*answer), &sig);

	if (r < 0)
		feature_say(answer, KERNEL_UNKNOWN, -r, "no process could be made to try it in: %s", feature_errno(-r));
	else if (r == CHILD_KILLED && sig == SIGSYS)
		feature_say(answer, KERNEL_NO, 0, "a seccomp filter kills who tries (SIGSYS)");
	else if (r == CHILD_KILLED)
		feature_say(answer, KERNEL_UNKNOWN, 0, "the process that tried was killed by SIG%s", sigabbrev_np(sig));
	else if (r == CHILD_SILENT)
		feature_say(answer, KERNEL_UNKNOWN, 0, "the process that tried got no answer");
}

int feature_ring(unsigned int flags)
{
	struct uring_params params = { .flags = flags };

	return kernel_setup(4, &params);
}

int feature_sleeper(void)
{
	pid_t pid = fork();

	if (pid)
		return pid < 0 ? -errno : pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

void feature_sleeper_end(int pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
