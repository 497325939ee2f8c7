/* SPDX-License-Identifier: MIT */
/*
 * Who refused a ring. One errno has several authors: EPERM may come from the sysctl, a seccomp filter or a security
 * module. They are told apart by what else answers: a filter that was written against io_uring answers
 * io_uring_enter(-1) with its own errno too, where the kernel would say EBADF; the sysctl can be read; and without a
 * filter, a refusal that is not the sysctl's must be a module's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum refusal {
	REFUSAL_NONE,
	REFUSAL_ABSENT,  /* this kernel has no io_uring */
	REFUSAL_SYSCTL,  /* kernel.io_uring_disabled */
	REFUSAL_SECCOMP, /* a filter answers, or a supervisor behind it */
	REFUSAL_KILLED,  /* a filter kills whoever asks */
	REFUSAL_LSM,     /* a security module */
	REFUSAL_MEMLOCK, /* RLIMIT_MEMLOCK */
	REFUSAL_MEMORY,  /* no memory, as a cgroup's limit has it */
	REFUSAL_FILES,   /* no descriptor left */
	REFUSAL_FLAGS,   /* EINVAL: a set-up flag that this kernel does not know */
	REFUSAL_UNKNOWN,
};

/* What was seen. Errors are positive, 0 = it worked. */
struct refusal_evidence {
	int setup;     /* of io_uring_setup */
	int enter;     /* of io_uring_enter(-1, 0, 0, 0): EBADF from any kernel that has io_uring */
	int reg;       /* of io_uring_register(-1, UINT32_MAX): EINVAL or EBADF from the kernel */
	int unlimited; /* of io_uring_setup without a memlock limit, after ENOMEM; -1 = the limit could not be lifted */
	int disabled;  /* sysctl kernel.io_uring_disabled; -1 = there is none (before 6.6), or it cannot be read */
	int64_t group; /* sysctl kernel.io_uring_group */
	bool in_group; /* this process is in it */
	bool privileged;  /* CAP_SYS_ADMIN */
	bool ipc_lock;    /* CAP_IPC_LOCK: memory is not counted */
	int seccomp;      /* mode of this process; -1 = not known */
	int killed_by;    /* signal, when the one who asked was killed */
	uint32_t version; /* of the kernel */
	uint64_t memlock; /* bytes */
};

enum refusal refusal_judge(const struct refusal_evidence *evidence);

/* A sentence with the evidence in it. */
void refusal_explain(const struct refusal_evidence *evidence, char *text, unsigned int size);

/* Gathers the evidence, in children; 0, or -errno when none could be made. */
int refusal_gather(struct refusal_evidence *ret_evidence);
