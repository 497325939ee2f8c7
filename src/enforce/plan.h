/* SPDX-License-Identifier: MIT */
/*
 * From a policy and what this kernel allows to a list of steps: which mechanism, what it keeps, what it does not, and
 * what will be done in which order. Nothing is done here but asking the kernel (kernel/feature.h); act.c does it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "enforce/filter.h"
#include "enforce/mechanism.h"
#include "enforce/policy.h"

struct err;
struct guard;
struct guard_rule;

/* In the order in which they are done. */
enum plan_kind {
	PLAN_HIDE,          /* supervisor: not dumpable */
	PLAN_GUARD,         /* supervisor: a cgroup for the program, and the guard's rule for that */
	PLAN_JOIN,          /* program: into that cgroup */
	PLAN_DIE_WITH,      /* program: killed with the supervisor */
	PLAN_CLOSE_RINGS,   /* program: no ring is inherited */
	PLAN_DROP_TRACE,    /* program: without CAP_SYS_PTRACE */
	PLAN_FILES_LIMIT,   /* program: RLIMIT_NOFILE */
	PLAN_LOCK_LIMIT,    /* program: RLIMIT_MEMLOCK */
	PLAN_NO_NEW_PRIVS,  /* program */
	PLAN_TASK_RESTRICT, /* program: restrictions of the task */
	PLAN_TASK_FAMILIES, /* program: filter for SOCKET */
	PLAN_SECCOMP,       /* program */
	PLAN_SERVE,         /* supervisor: answers io_uring_setup */
	PLAN_EXECUTE,       /* program */
	PLAN_N_KINDS,
};

enum { PLAN_TEXT_BYTES = 512 };

struct plan_step {
	enum plan_kind kind;
	char text[PLAN_TEXT_BYTES];
};

/* A mechanism that was looked at; the first whose `why` is empty is used. */
struct plan_candidate {
	enum mechanism mechanism;
	char why_not[PLAN_TEXT_BYTES];
};

struct plan {
	struct policy policy;
	enum mechanism mechanism;
	struct plan_candidate candidates[MECHANISM_N];
	size_t n_candidates;
	bool unenforced[POLICY_N_FIELDS]; /* restricted by the policy, not kept by anybody, and accepted */
	bool wait_killable;
	uint64_t lock_limit;  /* for RLIMIT_MEMLOCK; UINT64_MAX = as it is */
	uint32_t files_limit; /* for RLIMIT_NOFILE; POLICY_NO_LIMIT = as it is */
	struct guard *guard;  /* ours; NULL = it does not take part */
	struct filter filter;
	struct plan_step steps[PLAN_N_KINDS];
	size_t n_steps;
};

struct plan_request {
	const struct policy *policy;
	int mechanism;                  /* only this one; -1 = the strongest that keeps the policy */
	bool accepted[POLICY_N_FIELDS]; /* may be left unenforced */
};

/*
 * 0, -EOPNOTSUPP when no mechanism can be used here, -EPERM when one can but a field would not be enforced, or another
 * -errno. The candidates are filled in either way. plan_done() is due.
 */
int plan_make(const struct plan_request *request, struct plan *ret_plan, struct err *err);
void plan_done(struct plan *plan);

/* Who keeps the field under the plan; as mechanism_force(). */
enum mechanism_force plan_force(const struct plan *plan, enum policy_field field, const char **ret_how);

/* The guard's rule for the program's cgroup. */
void plan_guard_rule(const struct plan *plan, struct guard_rule *ret_rule);

bool plan_has(const struct plan *plan, enum plan_kind kind);

/* What a program can do in spite of it, one sentence after the other; NULL ends them. */
const char *plan_remains(const struct plan *plan, size_t i);
