/* SPDX-License-Identifier: MIT */
/*
 * What a program or container may do with io_uring: the one struct in the middle of src/enforce. Text becomes it
 * (policy-parse.c), it becomes text (policy-write.c), decide.c answers set-ups from it, plan.c turns it into steps. A
 * plain value: no pointers, it can be copied and sent through a pipe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "abi/uring.h"

struct err;

/*
 * The fields by which people and messages name parts of a policy, in the order of `circlip policy show`. Each has its
 * row in the table of what every mechanism enforces (mechanism.h).
 */
enum policy_field {
	POLICY_OPS,                 /* ops: opcodes an entry may carry */
	POLICY_SQE_FLAGS,           /* sqeFlags: entry flags that may be set (deniedSqeFlags: the complement) */
	POLICY_REQUIRED_SQE_FLAGS,  /* requiredSqeFlags: entry flags that must be set */
	POLICY_REGISTER_OPS,        /* registerOps */
	POLICY_SETUP_FLAGS,         /* setupFlags */
	POLICY_SOCKET_FAMILIES,     /* socketFamilies: what SOCKET may make */
	POLICY_SQ_ENTRIES,          /* sqEntries: at most */
	POLICY_CQ_ENTRIES,          /* cqEntries: at most */
	POLICY_RINGS_PER_PROCESS,   /* ringsPerProcess */
	POLICY_RINGS_PER_CONTAINER, /* ringsPerContainer */
	POLICY_BUFFER_BYTES,        /* registeredBufferBytes */
	POLICY_REGISTERED_FILES,    /* registeredFiles */
	POLICY_WORKERS_BOUNDED,     /* workers: { bounded } of a process, as IOWQ_MAX_WORKERS sets them per node */
	POLICY_WORKERS_UNBOUNDED,   /* workers: { unbounded } */
	POLICY_SQPOLL,              /* sqpoll: { allowed, perContainer, perCpu, maxIdleMs } */
	POLICY_PERSONALITIES,       /* personalities: credentials may be registered and used */
	POLICY_N_FIELDS,
};

enum {
	POLICY_OP_WORDS = 4,
	POLICY_MAX_OPS = 64 * POLICY_OP_WORDS,
	POLICY_MAX_FAMILIES = 64,
	POLICY_NAME_BYTES = 64,
	POLICY_FILE_BYTES = 256
};

#define POLICY_NO_LIMIT UINT32_MAX

enum policy_answer { POLICY_ANSWER_EPERM, POLICY_ANSWER_ENOSYS };

struct policy {
	char name[POLICY_NAME_BYTES];
	char file[POLICY_FILE_BYTES]; /* where it came from, for messages; "built-in NAME" for curated profiles */

	uint64_t ops[POLICY_OP_WORDS]; /* bit per opcode */
	uint64_t register_ops;         /* bit per register opcode; those of personalities as that field says */
	uint64_t socket_families;      /* bit per AF_*; all bits = any, also families beyond 63 */
	uint32_t setup_flags; /* enum uring_setup_flag that may be asked for; SQPOLL and SQ_AFF are sqpoll's, and never
				 set here */
	uint8_t sqe_flags;    /* enum uring_sqe_flag that may be set */
	uint8_t required_sqe_flags;

	/* At most; POLICY_NO_LIMIT (UINT64_MAX for bytes) = what the kernel allows. */
	uint32_t sq_entries, cq_entries;
	uint32_t rings_per_process, rings_per_container;
	uint64_t buffer_bytes;
	uint32_t registered_files;
	uint32_t workers_bounded, workers_unbounded;

	struct {
		bool allowed;
		uint32_t per_container; /* live pollers; POLICY_NO_LIMIT */
		bool per_cpu;           /* host-wide at most one for each CPU */
		uint32_t max_idle_ms;   /* sq_thread_idle is lowered to it; POLICY_NO_LIMIT */
	} sqpoll;
	bool personalities;
	uint8_t answer; /* enum policy_answer: what a denied io_uring_setup returns */

	/* Where `file` itself speaks of the field; 0 = it does not (what it extends, or the default, holds). */
	uint32_t lines[POLICY_N_FIELDS];
};

static inline bool policy_allows_op(const struct policy *policy, unsigned int opcode)
{
	return opcode < POLICY_MAX_OPS && (policy->ops[opcode / 64] >> opcode % 64 & 1);
}

static inline bool policy_allows_register(const struct policy *policy, unsigned int opcode)
{
	return opcode < 64 && (policy->register_ops >> opcode & 1);
}

/* Everything allowed, no limits. */
struct policy policy_allow_all(void);

/*
 * What holds where a policy with `defaultAction: deny` says nothing: no operations, the register calls and set-up flags
 * that concern the ring alone ("basic"), no SQPOLL, no personalities; everything else without limit.
 */
struct policy policy_deny_all(void);

/* Whether both allow the same; names, files and lines do not count. */
bool policy_equal(const struct policy *a, const struct policy *b);

/* "ops", "sqeFlags" ...; as in the file. */
const char *policy_field_name(enum policy_field field);

/* The field so called (any case), or -ENOENT. */
int policy_field_find(const char *name);

/* Whether the policy restricts anything in this field, so that a mechanism has something to enforce. */
bool policy_restricts(const struct policy *policy, enum policy_field field);

/*
 * Reads YAML or JSON. Text errors name file, line, column and what was expected. 0, -EINVAL, or another -errno.
 * policy_find(): NAME of a curated profile ("default", "database" ...), or a file's path where it contains '/' or '.'.
 */
int policy_parse(const char *text, size_t size, const char *file, struct policy *ret_policy, struct err *err);
int policy_load(const char *path, struct policy *ret_policy, struct err *err);
int policy_find(const char *name_or_path, struct policy *ret_policy, struct err *err);

/* The names of the curated profiles, one by one; NULL ends them. */
const char *policy_profile(size_t i);

/*
 * Writes YAML that policy_parse() reads as an equal policy: every field that allows or limits anything, so that nothing
 * depends on defaults. `comment` may be NULL; else it is asked for a text to stand beside each member of a set (-1:
 * beside the field itself), and lists are written one member a line. The stream's state says whether writing worked.
 */
typedef const char *policy_comment(void *context, enum policy_field field, int member);
void policy_write(const struct policy *policy, FILE *file, policy_comment *comment, void *context);

/*
 * Calls `each` for everything that one of both allows and the other does not, or limits otherwise: "+READ", "-READ",
 * "64 -> unlimited". The field is POLICY_N_FIELDS for the answer. Returns how many.
 */
typedef void policy_difference(void *context, enum policy_field field, const char *text);
size_t policy_diff(const struct policy *from, const struct policy *to, policy_difference *each, void *context);
