/* SPDX-License-Identifier: MIT */
/*
 * The few of the kernel's types that the programs here look into. Only the names of types and members matter: where
 * they lie is settled when the program is loaded, by the running kernel's own description (CO-RE).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/bpf.h>
/* after it */
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define KERNEL_EPERM 1
#define KERNEL_CAP_IPC_LOCK 14
#define KERNEL_PF_EXITING 0x4u
#define KERNEL_PF_IO_WORKER 0x10u /* since Linux 5.12: a thread made for io_uring */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	const unsigned char *name;
};

struct cred;
struct user_namespace;
struct inode;
struct io_ring_ctx;

struct io_uring_params {
	uint32_t sq_entries;
	uint32_t cq_entries;
	uint32_t flags;
	uint32_t sq_thread_cpu;
	uint32_t sq_thread_idle;
};

struct kernfs_node {
	uint64_t id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	unsigned int flags;
	int pid;
	void *worker_private; /* of io-wq's workers */
	struct css_set *cgroups;
};

/* What an iterator over tasks is called with; NULL behind the last. */
struct bpf_iter__task {
	struct task_struct *task;
};

#pragma clang attribute pop
