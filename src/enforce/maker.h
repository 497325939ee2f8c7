/* SPDX-License-Identifier: MIT */
/*
 * The process that makes rings, so that the one that answers notifications never does: what the kernel wants done for a
 * ring later comes to its maker as task work, which interrupts system calls that must not be interrupted.
 *
 * It lives as long as the programs and has joined one of them: user, groups and cgroup, so that a ring's memory and
 * registered buffers are counted where the program's own would be; and without CAP_IPC_LOCK unless the program has it.
 * It shares the worker's table of descriptors (a descriptor of a ring cannot be sent), and nothing else. It is not
 * dumpable, so a program of the same user can neither trace it nor take descriptors from it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/uring.h"
#include "base/cleanup.h"
#include "enforce/limits.h"
#include "enforce/restrictions.h"

struct err;

enum { MAKER_GROUPS_MAX = 64, MAKER_CGROUP_BYTES = 1024 };

/* Who it is to be. */
struct maker_identity {
	bool join; /* else it stays who we are */
	bool ipc_lock;
	uid_t uid;
	gid_t gid;
	uint32_t n_groups;
	gid_t groups[MAKER_GROUPS_MAX];
	char cgroup[MAKER_CGROUP_BYTES]; /* text of /proc/PID/cgroup */
};

struct maker_order {
	uint32_t entries;
	struct uring_params params; /* with R_DISABLED */
	bool restricted;            /* `restrictions` holds */
	bool enable;                /* now; else by the program */
	bool limit_workers;
	bool limits_only;     /* inner: no ring is made */
	struct limits limits; /* set before the ring is made */
	uint32_t workers[2];  /* bounded, unbounded; 0 = as it is */
	struct restrictions restrictions;
};

struct maker;

/* In the worker, which must be single-threaded. The identity is copied. */
int maker_new(const struct maker_identity *identity, struct maker **ret_maker, struct err *err);
struct maker *maker_free(struct maker *maker);
CLEANUP_DEFINE(maker, struct maker, maker_free);

bool maker_is(const struct maker *maker, const struct maker_identity *identity);
const struct restrictions_kernel *maker_kernel(const struct maker *maker);

/*
 * A ring, the caller's to close. -errno of io_uring_setup as it is; -EOWNERDEAD when the maker is gone or does not
 * answer within `patience_ms`, and then only maker_free() may follow. The POLICY_* whose limit could not be set: no
 * ring is made.
 */
int maker_make(struct maker *maker, const struct maker_order *order, unsigned int patience_ms,
	       struct uring_params *ret_params, int *ret_ring);

/* Sets the limits alone; otherwise as maker_make(). */
int maker_limit(struct maker *maker, const struct limits *limits, unsigned int patience_ms);
