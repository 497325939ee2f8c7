/* SPDX-License-Identifier: MIT */
/*
 * What the running kernel lets this process do, found out by doing it.
 *
 * Version numbers lie (distributions backport, administrators and sandboxes forbid), so every row of the table has a
 * function that does the smallest real thing. Whatever would leave a trace in the process (rings, filters,
 * restrictions) is done in a forked child. An answer may be "could not tell"; that is no "no".
 *
 * Answers are asked once and kept, for the process as it is then: privileges dropped or filters installed later are not
 * noticed. Children are reaped by their pid; a process that waits for any child at the same time would take them away.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* OPS, SETUP_FLAGS and FEATURES are what the kernel says of itself (6.18) where no ring can be made; their error is the
 * refusal's then. */
enum kernel_feature {
	KERNEL_URING,          /* a ring can be made; error and why say how it is refused */
	KERNEL_OPS,            /* value: number of the last operation */
	KERNEL_REGISTER_OPS,   /* value: number of the last register opcode, or at least that */
	KERNEL_SETUP_FLAGS,    /* value: mask of the flags with which a ring could be made */
	KERNEL_FEATURES,       /* value: the features word */
	KERNEL_MEMLOCK,        /* a ring of 4096 entries fits; value: RLIMIT_MEMLOCK in bytes, UINT64_MAX = no limit */
	KERNEL_MEMLOCK_COUNTS, /* rings count against RLIMIT_MEMLOCK for who has no CAP_IPC_LOCK */
	KERNEL_SQPOLL_UNPRIVILEGED,    /* tried as nobody when this is root */
	KERNEL_QUERY,                  /* REGISTER_QUERY, also without a ring */
	KERNEL_RING_RESTRICTIONS,      /* of one ring; a denied register call was refused */
	KERNEL_TASK_RESTRICTIONS,      /* inherited by children (7.0); NO with EPERM: the task is restricted already */
	KERNEL_TASK_RESTRICTIONS_EXEC, /* they survive execve (CVE-2026-80713); UNKNOWN where there are none */
	KERNEL_BPF_FILTER,             /* cBPF filters per operation (7.0) */
	KERNEL_SECCOMP_FILTER,
	KERNEL_SECCOMP_NOTIFY,        /* a listener; NO with EBUSY: there is one above this process */
	KERNEL_SECCOMP_WAIT_KILLABLE, /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */
	KERNEL_SECCOMP_ADDFD,         /* a descriptor put into a process that waits for the answer */
	KERNEL_PIDFD_GETFD,           /* taken from a child */
	KERNEL_PTRACE_CHILD,          /* a child that did not ask for it */
	KERNEL_PROCESS_VM_READ,       /* of a child */
	KERNEL_CALLS_X32,             /* x86-64 processes may make x32's calls */
	KERNEL_CALLS_I386,            /* and those of 32-bit programs (int 0x80) */
	KERNEL_LSM_BPF,               /* "bpf" among the security modules */
	KERNEL_LSM_BPF_LOAD,          /* a BPF program for a security hook can be loaded */
	KERNEL_CGROUP2,               /* why: where it is mounted */
	KERNEL_TRACE_EVENTS,          /* io_uring's tracepoints */
	KERNEL_FEATURE_LAST,
};

enum kernel_state { KERNEL_UNKNOWN, KERNEL_NO, KERNEL_YES };

struct kernel_answer {
	enum kernel_state state;
	int error;      /* positive errno that was seen, 0 = none */
	uint64_t value; /* where the feature has one */
	char why[224];  /* a sentence for people; "" for a plain yes */
};

/* Asked once and kept; never NULL. */
const struct kernel_answer *kernel_feature(enum kernel_feature feature);

static inline bool kernel_has(enum kernel_feature feature)
{
	return kernel_feature(feature)->state == KERNEL_YES;
}

const char *kernel_feature_name(enum kernel_feature feature);        /* "task-restrictions" */
const char *kernel_feature_description(enum kernel_feature feature); /* one line */
const char *kernel_state_name(enum kernel_state state);              /* "yes", "no", "unknown" */

/* Whether this kernel supports each operation; 0, or -errno as KERNEL_OPS has it. `ret_supported` has room for 256. */
int kernel_ops_supported(bool *ret_supported);
