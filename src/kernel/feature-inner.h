/* SPDX-License-Identifier: MIT */
/* Between the table of features and the functions in its rows. */
#pragma once

#include "kernel/child.h"
#include "kernel/feature.h"

typedef void feature_probe(struct kernel_answer *answer);

void feature_say(struct kernel_answer *answer, enum kernel_state state, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Runs `function` in a child, where it says its answer into a struct kernel_answer; what else may happen becomes an
 * answer too. */
void feature_in_child(struct kernel_answer *answer, child_function *function, const void *argument);

/* "EPERM" */
const char *feature_errno(int error);

/* In a child only: a ring with nothing but these flags, or -errno. */
int feature_ring(unsigned int flags);

/* In a child only: a process of its own that waits until it is killed; -errno. */
int feature_sleeper(void);
void feature_sleeper_end(int pid);

feature_probe feature_uring, feature_uring_ops, feature_uring_register_ops, feature_uring_setup_flags,
	feature_uring_features, feature_uring_memlock, feature_uring_memlock_counts, feature_uring_sqpoll,
	feature_uring_query;
feature_probe feature_restrict_ring, feature_restrict_task, feature_restrict_exec, feature_restrict_filter;
/* The trial of feature_restrict_exec without restrictions: NO where the program could have set some. */
feature_probe feature_restrict_exec_control;
feature_probe feature_task_seccomp, feature_task_notify, feature_task_killable, feature_task_addfd, feature_task_getfd,
	feature_task_ptrace, feature_task_read, feature_task_x32, feature_task_i386;
feature_probe feature_host_lsm_bpf, feature_host_lsm_bpf_load, feature_host_cgroup2, feature_host_trace;
