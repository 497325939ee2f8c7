/* SPDX-License-Identifier: MIT */
/*
 * How a policy can be put into force, strongest first, and what the kernel enforces under each: the table that
 * `--explain`, the manual and the refusal of unenforceable fields are made from.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "enforce/policy.h"

enum mechanism {
	MECHANISM_TASK,   /* Linux 7.0: restrictions and filters of the task, inherited */
	MECHANISM_CALLER, /* the calling thread creates the ring disabled, the supervisor restricts it; needs the BPF
			     guard */
	MECHANISM_ENABLE, /* a helper in the program's own uid and cgroup creates and restricts it, the caller enables
			     it */
	MECHANISM_STRIP,  /* as ENABLE without ptrace: SINGLE_ISSUER and DEFER_TASKRUN are taken out */
	MECHANISM_N,
};

/* Who keeps a field of a policy. */
enum mechanism_force {
	MECHANISM_KERNEL,  /* the kernel refuses each violation */
	MECHANISM_SETUP,   /* decided once, at set-up, out of the program's reach; the kernel keeps what was decided */
	MECHANISM_COUNT,   /* counted at each set-up, and only there: nothing tells of a ring's end */
	MECHANISM_NOTHING, /* cannot be enforced: the run refuses unless --allow-unenforced names the field */
	MECHANISM_N_FORCES,
};

const char *mechanism_name(enum mechanism mechanism); /* "task", "caller", "enable", "strip" */
int mechanism_find(const char *name);                 /* or -ENOENT */

/*
 * Who keeps the field under the mechanism, with or without the BPF guard beside it (CALLER always has it). `ret_how`
 * (may be NULL) gets a sentence for people: by what, and under which conditions.
 */
enum mechanism_force mechanism_force(enum mechanism mechanism, bool guarded, enum policy_field field,
				     const char **ret_how);

/* "kernel", "set-up", "count", "nothing"; and what that means, for people. */
const char *mechanism_force_name(enum mechanism_force force);
const char *mechanism_force_meaning(enum mechanism_force force);

/* One line for people. */
const char *mechanism_summary(enum mechanism mechanism);
