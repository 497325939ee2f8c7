/* SPDX-License-Identifier: MIT */
/*
 * What the kernel enforces of which field under which mechanism. Each row was seen to hold, or not to, on a real
 * kernel; where a mechanism has no hold on a field the row says NOTHING, however likely a program is to behave.
 */
#include "enforce/mechanism.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name, *summary;
} mechanisms[MECHANISM_N] = {
	[MECHANISM_TASK] = { "task",
			     "Linux 7.0: restrictions of the task itself, inherited by all it starts; nobody is "
			     "asked, so nothing is counted" },
	[MECHANISM_CALLER] = { "caller",
			       "the calling thread makes its ring disabled, a supervisor restricts it; the BPF "
			       "guard holds what another thread could change meanwhile" },
	[MECHANISM_ENABLE] = { "enable",
			       "a helper makes and restricts the ring, the caller enables it; no SQPOLL, no ring "
			       "in the program's memory" },
	[MECHANISM_STRIP] = { "strip", "as enable, without touching the caller: SINGLE_ISSUER and DEFER_TASKRUN are "
				       "taken out" },
};

static const struct {
	const char *name, *meaning;
} forces[MECHANISM_N_FORCES] = {
	[MECHANISM_KERNEL] = { "kernel", "the kernel refuses each violation" },
	[MECHANISM_SETUP] = { "set-up",
			      "decided when the ring is made, out of the program's reach; the kernel keeps it" },
	[MECHANISM_COUNT] = { "count", "what is there is counted when a ring is made, and only then" },
	[MECHANISM_NOTHING] = { "nothing", "not enforced: a run refuses unless --allow-unenforced names the field" },
};

struct cell {
	enum mechanism_force force;
	const char *how;
};

#define KERNEL(how)                                                                                                    \
	{                                                                                                              \
		MECHANISM_KERNEL, how                                                                                  \
	}
#define SETUP(how)                                                                                                     \
	{                                                                                                              \
		MECHANISM_SETUP, how                                                                                   \
	}
#define COUNT(how)                                                                                                     \
	{                                                                                                              \
		MECHANISM_COUNT, how                                                                                   \
	}
#define NOTHING(how)                                                                                                   \
	{                                                                                                              \
		MECHANISM_NOTHING, how                                                                                 \
	}
#define SAME(cell) cell, cell, cell, cell

/* clang-format off */
#define BY_TASK KERNEL("restrictions of the task; an entry that breaks them completes with EACCES")
#define BY_RING KERNEL("restrictions of each ring, before the program gets it; EACCES")
#define BY_TASK_REGISTER KERNEL("restrictions of the task, and a seccomp rule on the call's opcode")
#define BY_RING_REGISTER KERNEL("restrictions of each ring once it is enabled; a seccomp rule on the call's opcode before " \
				"that and for calls without a ring")
#define BY_GUARD KERNEL("the BPF guard refuses the ring, by the kernel's own copy of its parameters")
#define BY_HELPER SETUP("the helper makes the ring with what is allowed")
#define NOBODY_ASKED NOTHING("nobody is asked when a ring is made, and seccomp cannot see its parameters")
#define BY_COUNT COUNT("ring descriptors are counted at each set-up; nothing tells of a ring's end")
#define BY_MEMLOCK KERNEL("RLIMIT_MEMLOCK, set before the program begins, by the agent when it asks for a ring: ENOMEM; " \
			  "what all rings of its user have registered counts together")
#define BY_NOFILE KERNEL("RLIMIT_NOFILE, set before the program begins, by the agent when it asks for a ring: EMFILE for " \
			 "a larger table; open descriptors are limited with it")
#define BY_PRESET SETUP("IOWQ_MAX_WORKERS before the program gets the ring; a seccomp rule denies it to the program")
#define NO_POLLER SETUP("SQPOLL is refused even where the policy allows it: its thread would be the helper's, with the helper's " \
			"files")
#define SOCKET_UNSEEN NOTHING("a ring's restrictions do not look into entries; deny SOCKET, so that the program calls " \
			      "socket(2), which seccomp can judge")

/* In the order of enum mechanism. */
static const struct cell cells[POLICY_N_FIELDS][MECHANISM_N] = {
	[POLICY_OPS] = { BY_TASK, BY_RING, BY_RING, BY_RING },
	[POLICY_SQE_FLAGS] = { BY_TASK, BY_RING, BY_RING, BY_RING },
	[POLICY_REQUIRED_SQE_FLAGS] = { BY_TASK, BY_RING, BY_RING, BY_RING },
	[POLICY_REGISTER_OPS] = { BY_TASK_REGISTER, BY_RING_REGISTER, BY_RING_REGISTER, BY_RING_REGISTER },
	[POLICY_SETUP_FLAGS] = { NOBODY_ASKED, BY_GUARD, BY_HELPER, BY_HELPER },
	[POLICY_SOCKET_FAMILIES] = {
		KERNEL("a classic BPF filter of the task on SOCKET (CONFIG_IO_URING_BPF); EACCES"),
		SOCKET_UNSEEN, SOCKET_UNSEEN, SOCKET_UNSEEN },
	[POLICY_SQ_ENTRIES] = { NOBODY_ASKED, BY_GUARD, BY_HELPER, BY_HELPER },
	[POLICY_CQ_ENTRIES] = { NOBODY_ASKED, BY_GUARD, BY_HELPER, BY_HELPER },
	[POLICY_RINGS_PER_PROCESS] = { NOBODY_ASKED, BY_COUNT, BY_COUNT, BY_COUNT },
	[POLICY_RINGS_PER_CONTAINER] = { NOBODY_ASKED, BY_COUNT, BY_COUNT, BY_COUNT },
	[POLICY_BUFFER_BYTES] = { SAME(BY_MEMLOCK) },
	[POLICY_REGISTERED_FILES] = { SAME(BY_NOFILE) },
	[POLICY_WORKERS_BOUNDED] = {
		NOTHING("only who has the ring can set it, and nobody is asked when one is made"),
		BY_PRESET, BY_PRESET, BY_PRESET },
	[POLICY_WORKERS_UNBOUNDED] = {
		NOTHING("only who has the ring can set it, and nobody is asked when one is made"),
		BY_PRESET, BY_PRESET, BY_PRESET },
	[POLICY_SQPOLL] = { NOBODY_ASKED,
			    KERNEL("the BPF guard counts living pollers and refuses one too many, or one that would spin "
				   "for too long"),
			    NO_POLLER, NO_POLLER },
	[POLICY_PERSONALITIES] = { BY_TASK_REGISTER, BY_RING_REGISTER, BY_RING_REGISTER, BY_RING_REGISTER },
};

/* Where the guard beside the task's restrictions gives what they lack. */
static const struct cell guarded_task[POLICY_N_FIELDS] = {
	[POLICY_SETUP_FLAGS] = BY_GUARD,
	[POLICY_SQ_ENTRIES] = BY_GUARD,
	[POLICY_CQ_ENTRIES] = BY_GUARD,
	[POLICY_SQPOLL] = KERNEL("the BPF guard counts living pollers and refuses one too many, or one that would spin for "
				 "too long"),
};
/* clang-format on */

const char *mechanism_name(enum mechanism mechanism)
{
	return mechanism < MECHANISM_N ? mechanisms[mechanism].name : "unknown";
}

int mechanism_find(const char *name)
{
	for (int i = 0; i < MECHANISM_N; i++)
		if (strcmp(mechanisms[i].name, name) == 0)
			return i;
	return -ENOENT;
}

const char *mechanism_summary(enum mechanism mechanism)
{
	return mechanisms[mechanism].summary;
}

const char *mechanism_force_name(enum mechanism_force force)
{
	return forces[force].name;
}

const char *mechanism_force_meaning(enum mechanism_force force)
{
	return forces[force].meaning;
}

enum mechanism_force mechanism_force(enum mechanism mechanism, bool guarded, enum policy_field field,
				     const char **ret_how)
{
	const struct cell *cell = &cells[field][mechanism];

	if (mechanism == MECHANISM_TASK && guarded && guarded_task[field].how)
		cell = &guarded_task[field];
	if (ret_how)
		*ret_how = cell->how;
	return cell->force;
}
