/* SPDX-License-Identifier: MIT */
/* Carries out a plan: the one place that changes what processes may do. Every step that fails ends it. */
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct guard;
struct plan;

enum { ACT_FOLDER_BYTES = 1024 };

struct act_program {
	pid_t pid;
	int pidfd;
	int listener;                  /* -1 = the plan has none */
	int channel;                   /* inner */
	int closed_rings;              /* that would have been inherited */
	char folder[ACT_FOLDER_BYTES]; /* of its cgroup, "" = none of its own; inner */
	uint64_t cgroup;
	struct guard *guard; /* the plan's */
};

/*
 * Forks the program and carries out its steps up to the execution; `mask` is the signal mask that it shall have. The
 * caller's process becomes undumpable. -errno: nothing is left behind.
 */
int act_prepare(const struct plan *plan, char *const argv[], const sigset_t *mask, struct act_program *ret_program,
		struct err *err);

/* Has it executed: 0, or the -errno of execve (-ENOENT, -EACCES ...), and then the process is gone. */
int act_execute(struct act_program *program, struct err *err);

/*
 * Kills what was not executed, and closes. Waits for nothing that was executed; its cgroup and the guard's rule for
 * that are left where there is still somebody in it. Before plan_done().
 */
void act_done(struct act_program *program);
