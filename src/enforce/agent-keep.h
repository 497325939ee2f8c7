/* SPDX-License-Identifier: MIT */
/*
 * What is known of a container, in memory that outlives the process that wrote it: another worker, or another agent,
 * goes on from there. It is a memfd, which together with the listeners lies in the service manager's store
 * (agent-store.h) where there is one.
 *
 * The first part is the agent's alone; workers give up their view of it. The account is also written by the workers.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "enforce/agent-worker.h"
#include "enforce/oci.h"
#include "enforce/serve-shared.h"

struct err;

struct agent_account {
	_Atomic bool astray; /* for all its listeners: their programs may take each other's descriptors */
	struct {
		_Atomic bool ended; /* no program is left that could ask */
		struct serve_shared serve;
	} listeners[AGENT_LISTENERS];
};

struct agent_kept {
	uint32_t magic, layout; /* of this struct: an agent of another version may find it */
	uint64_t bytes;
	uint32_t name; /* by which it is stored; random */
	uid_t uid;     /* who brought it */
	uint32_t execs;
	bool superseded; /* a container of the same id was begun anew */
	uint64_t cgroup; /* that the guard has a rule for on its account; 0 = none */
	uint64_t since;  /* CLOCK_MONOTONIC */
	struct oci_state state;
	struct {
		bool used, by_caller; /* by_caller: its profile is made for that */
	} listeners[AGENT_LISTENERS];
	_Alignas(4096) struct agent_account account;
};

/* A new one, all zeroes but for what says what it is. 0 or -errno. */
int agent_keep_new(struct agent_kept **ret_kept, int *ret_memory);

/* One that was kept. -EPROTO with a text: it is none, or of another layout. */
int agent_keep_open(int memory, struct agent_kept **ret_kept, struct err *err);

struct agent_kept *agent_keep_free(struct agent_kept *kept);
CLEANUP_DEFINE(agent_keep, struct agent_kept, agent_keep_free);

/*
 * In a new worker: gives up what is the agent's, and holds the rest for as long as this process or one that it forks
 * lives. 0 or -errno.
 */
int agent_keep_hold(int memory, struct agent_kept *kept);

/* Whether no worker, and no child of one, is left that holds it. */
bool agent_keep_is_idle(int memory);
