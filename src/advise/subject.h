/* SPDX-License-Identifier: MIT */
/* Whom doctor looks at, and what is known of it: this host (as this process sees it), a process, or a container's first
 * process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "advise/budget.h"
#include "kernel/proc.h"
#include "kernel/seccomp.h"

struct err;

enum subject_kind { SUBJECT_HOST, SUBJECT_PROCESS, SUBJECT_CONTAINER };

/* What its filters answer to io_uring_setup. */
enum subject_filter {
	SUBJECT_UNFILTERED,
	SUBJECT_ALLOWED,
	SUBJECT_REFUSED,
	SUBJECT_SUPERVISED, /* somebody else decides each time */
	SUBJECT_UNTOLD,     /* `why_not` says why */
};

/* The calls that the filters are asked for. */
enum subject_call {
	SUBJECT_SETUP,
	SUBJECT_ENTER,
	SUBJECT_REGISTER,
	SUBJECT_SETUP_I386,
	SUBJECT_SETUP_X32,
	SUBJECT_CALLS
};

enum { SUBJECT_NOT_KNOWN = -1 };

struct subject {
	enum subject_kind kind;
	pid_t pid; /* 0 = this process */
	char label[256];
	struct proc_status status;
	bool foreign_user_namespace; /* its capabilities and groups do not count for the host's sysctl */
	bool privileged;             /* CAP_SYS_ADMIN that counts */
	bool ipc_lock;               /* CAP_IPC_LOCK that counts */
	uint64_t memlock;            /* soft limit; UINT64_MAX = none */
	bool memlock_known;
	struct budget limits;
	char confinement[128]; /* what a security module says of it; "" = nothing */
	int n_rings;           /* open in it, or SUBJECT_NOT_KNOWN */
	int n_pollers;         /* of those, with a polling thread */
	bool threads_differ;   /* some threads have filters that the first has not */
	enum subject_filter filter;
	struct seccomp_answer answers[SUBJECT_CALLS];
	bool answers_known;
	unsigned int n_filters;
	char why_not[256];
};

/*
 * Looks; `stop` allows to stop the process for a moment, without which its filters stay unknown. 0, or -errno with a
 * text when there is no such process.
 */
int subject_look(struct subject *ret_subject, enum subject_kind kind, pid_t pid, bool stop, struct err *err);

/* What a filter's action means for a call; never SUBJECT_UNFILTERED or SUBJECT_UNTOLD. */
enum subject_filter subject_meaning(uint32_t action);

/* What kernel.io_uring_disabled means for it: 1 it may, 0 it may not, SUBJECT_NOT_KNOWN. */
int subject_sysctl(const struct subject *subject, int64_t disabled, int64_t group);
