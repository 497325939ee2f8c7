/* SPDX-License-Identifier: MIT */
/* Features: rings themselves, with every operation and flag. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/decode.h"
#include "abi/uring.h"
#include "base/cleanup.h"
#include "kernel/call.h"
#include "kernel/feature-inner.h"
#include "kernel/proc.h"
#include "kernel/refusal.h"

static void say_no_ring(struct kernel_answer *answer, int r)
{
	feature_say(answer, KERNEL_UNKNOWN, -r, "no ring can be made to ask: %s", feature_errno(-r));
}

void feature_uring(struct kernel_answer *answer)
{
	struct refusal_evidence evidence;
	enum refusal refusal;
	int r = refusal_gather(&evidence);

	if (r < 0) {
		feature_say(answer, KERNEL_UNKNOWN, -r, "it could not be tried: %s", feature_errno(-r));
		return;
	}
	refusal = refusal_judge(&evidence);
	answer->state = refusal == REFUSAL_NONE ? KERNEL_YES : KERNEL_NO;
	answer->error = evidence.setup;
	answer->value = refusal;
	refusal_explain(&evidence, answer->why, sizeof(answer->why));
}

/* ---- REGISTER_QUERY ---- */

static int query(struct uring_query_opcodes *ret_opcodes)
{
	struct uring_query_opcodes opcodes = { 0 };
	struct uring_query head = { .query_data = (uint64_t)(uintptr_t)&opcodes, .size = sizeof(opcodes) };
	int r = kernel_register(-1, URING_REG_QUERY, &head, 0);

	if (r < 0 || head.result < 0)
		return r < 0 ? r : head.result;
	*ret_opcodes = opcodes;
	return 0;
}

/* Without a ring the kernel may still say what it would have. */
static bool said(struct kernel_answer *answer, int ring, struct uring_query_opcodes *ret_opcodes)
{
	if (query(ret_opcodes) < 0) {
		say_no_ring(answer, ring);
		return false;
	}
	feature_say(answer, KERNEL_YES, -ring, "as the kernel says; no ring can be made: %s", feature_errno(-ring));
	return true;
}

/* ---- operations ---- */

enum { PROBE_OPS = 256, PROBE_SUPPORTED = 1u << 0 };

/* The argument of URING_REG_PROBE; the kernel wants it zeroed. */
struct probe_argument {
	uint8_t last_op, n_ops;
	uint16_t resv;
	uint32_t resv2[3];
	struct {
		uint8_t op, resv;
		uint16_t flags;
		uint32_t resv2;
	} ops[PROBE_OPS];
};
_Static_assert(sizeof(struct probe_argument) == 16 + 8 * PROBE_OPS, "kernel ABI");

struct ops_answer {
	struct kernel_answer answer;
	bool supported[PROBE_OPS];
};

static void ask_ops(void *result, const void *argument)
{
	CLEANUP(cleanup_fd) int ring = feature_ring(0);
	struct probe_argument probe = { 0 };
	struct ops_answer *ops = result;
	struct uring_query_opcodes opcodes;
	int r;

	if (ring < 0) {
		if (said(&ops->answer, ring, &opcodes) && opcodes.n_ops && opcodes.n_ops <= PROBE_OPS) {
			ops->answer.value = opcodes.n_ops - 1;
			memset(ops->supported, true, opcodes.n_ops);
		}
		return;
	}
	r = kernel_register(ring, URING_REG_PROBE, &probe, PROBE_OPS);
	if (r < 0) {
		feature_say(&ops->answer, KERNEL_UNKNOWN, -r, "REGISTER_PROBE: %s (Linux 5.6 was the first to answer)",
			    feature_errno(-r));
		return;
	}
	ops->answer.state = KERNEL_YES;
	ops->answer.value = probe.last_op;
	for (unsigned int i = 0; i < probe.n_ops; i++)
		ops->supported[probe.ops[i].op] = probe.ops[i].flags & PROBE_SUPPORTED;
}

static void ask_for_ops(struct ops_answer *ops)
{
	int r = child_run(ask_ops, NULL, ops, sizeof(*ops), NULL);

	if (r)
		feature_say(&ops->answer, KERNEL_UNKNOWN, r < 0 ? -r : 0, "no process could ask");
}

void feature_uring_ops(struct kernel_answer *answer)
{
	struct ops_answer ops = { .answer = { .state = KERNEL_UNKNOWN } };

	ask_for_ops(&ops);
	*answer = ops.answer;
}

int kernel_ops_supported(bool *ret_supported)
{
	struct ops_answer ops = { .answer = { .state = KERNEL_UNKNOWN } };

	ask_for_ops(&ops);
	if (ops.answer.state != KERNEL_YES)
		return ops.answer.error ? -ops.answer.error : -EIO;
	memcpy(ret_supported, ops.supported, sizeof(ops.supported));
	return 0;
}

/* ---- register calls ---- */

static void ask_query(void *answer, const void *argument)
{
	struct uring_query_opcodes opcodes;
	int r = query(&opcodes);

	feature_say(answer, r < 0 ? KERNEL_NO : KERNEL_YES, -r, "%s", r < 0 ? feature_errno(-r) : "");
}

void feature_uring_query(struct kernel_answer *answer)
{
	feature_in_child(answer, ask_query, NULL);
}

/* Some calls want one argument and some want none to be counted. */
static bool reads_argument(int ring, unsigned int opcode)
{
	return kernel_register(ring, opcode, (void *)1, 1) == -EFAULT ||
	       kernel_register(ring, opcode, (void *)1, 0) == -EFAULT;
}

/*
 * Without the query: from the top down, the first that complains of its argument's address knows the opcode. Several
 * complain of other things first, so this is a lower bound.
 */
static void ask_register_ops(void *result, const void *argument)
{
	CLEANUP(cleanup_fd) int ring = -1;
	struct kernel_answer *answer = result;
	struct uring_query_opcodes opcodes;

	if (query(&opcodes) == 0 && opcodes.n_register_ops) {
		answer->state = KERNEL_YES;
		answer->value = opcodes.n_register_ops - 1;
		return;
	}
	ring = feature_ring(0);
	if (ring < 0) {
		say_no_ring(answer, ring);
		return;
	}
	answer->value = URING_REG_LAST - 1;
	while (answer->value > 0 && !reads_argument(ring, (unsigned int)answer->value))
		answer->value--;
	feature_say(answer, KERNEL_YES, 0, "at least; this kernel cannot be asked");
}

void feature_uring_register_ops(struct kernel_answer *answer)
{
	feature_in_child(answer, ask_register_ops, NULL);
}

/* ---- set-up flags ---- */

enum { RING_MEMORY = 1 << 16 };

/* What a flag cannot do without. */
static const struct companion {
	unsigned int flag, with;
} companions[] = {
	{ URING_SETUP_SQ_AFF, URING_SETUP_SQPOLL },
	{ URING_SETUP_TASKRUN_FLAG, URING_SETUP_COOP_TASKRUN },
	{ URING_SETUP_DEFER_TASKRUN, URING_SETUP_SINGLE_ISSUER },
	{ URING_SETUP_REGISTERED_FD_ONLY, URING_SETUP_NO_MMAP },
	{ URING_SETUP_HYBRID_IOPOLL, URING_SETUP_IOPOLL },
	{ URING_SETUP_SQ_REWIND, URING_SETUP_NO_SQARRAY },
};

/* In a child: a ring with this flag, or -errno. REGISTERED_FD_ONLY gives an index. */
static int ring_with(unsigned int flag)
{
	CLEANUP(cleanup_fd) int other = -1;
	struct uring_params params = { .flags = flag, .cq_entries = 8 };

	for (size_t i = 0; i < sizeof(companions) / sizeof(*companions); i++)
		if (companions[i].flag == flag)
			params.flags |= companions[i].with;
	if (params.flags & URING_SETUP_SQPOLL)
		params.sq_thread_idle = 1;
	if (params.flags & URING_SETUP_NO_MMAP) {
		char *memory = mmap(NULL, 2 * RING_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return -errno;
		params.cq_off.user_addr = (uint64_t)(uintptr_t)memory;
		params.sq_off.user_addr = (uint64_t)(uintptr_t)memory + RING_MEMORY;
	}
	if (params.flags & URING_SETUP_ATTACH_WQ) {
		other = feature_ring(0);
		params.wq_fd = (uint32_t)other;
	}
	return kernel_setup(4, &params);
}

static void ask_setup_flags(void *result, const void *argument)
{
	struct kernel_answer *answer = result;
	int plain = feature_ring(0), other_error = 0;
	struct uring_query_opcodes opcodes;
	char names[128];

	if (plain < 0) {
		if (said(answer, plain, &opcodes))
			answer->value = opcodes.setup_flags;
		return;
	}
	for (unsigned int flag = 1; flag <= URING_SETUP_SQ_REWIND; flag <<= 1) {
		int ring = ring_with(flag);

		if (ring >= 0)
			answer->value |= flag;
		else if (ring != -EINVAL)
			other_error |= (int)flag;
		if (ring > plain)
			(void)close(ring);
	}
	answer->state = KERNEL_YES;
	if (other_error) {
		abi_decode_flags(names, sizeof(names), ABI_FLAGS_SETUP, (unsigned int)other_error);
		snprintf(answer->why, sizeof(answer->why), "known, but refused here for another reason than EINVAL: %s",
			 names);
	}
}

void feature_uring_setup_flags(struct kernel_answer *answer)
{
	feature_in_child(answer, ask_setup_flags, NULL);
}

/* ---- the rest ---- */

static void ask_features(void *result, const void *argument)
{
	struct kernel_answer *answer = result;
	struct uring_params params = { 0 };
	CLEANUP(cleanup_fd) int ring = kernel_setup(1, &params);
	struct uring_query_opcodes opcodes;

	if (ring < 0) {
		if (said(answer, ring, &opcodes))
			answer->value = opcodes.features;
		return;
	}
	answer->state = KERNEL_YES;
	answer->value = params.features;
}

void feature_uring_features(struct kernel_answer *answer)
{
	feature_in_child(answer, ask_features, NULL);
}

enum { LARGE_RING = 4096 };

static void ask_memlock(void *result, const void *argument)
{
	struct kernel_answer *answer = result;
	struct uring_params params = { 0 };
	CLEANUP(cleanup_fd) int ring = kernel_setup(LARGE_RING, &params);
	struct rlimit limit;

	if (ring == -ENOMEM)
		feature_say(answer, KERNEL_NO, ENOMEM, "ENOMEM: a ring of %d entries does not fit", LARGE_RING);
	else if (ring < 0)
		say_no_ring(answer, ring);
	else
		answer->state = KERNEL_YES;
	answer->value = getrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? limit.rlim_cur : 0;
}

void feature_uring_memlock(struct kernel_answer *answer)
{
	feature_in_child(answer, ask_memlock, NULL);
}

enum { NOBODY = 65534 };

/* Directly by the kernel, because libc's functions would try to tell threads that the child does not have. */
static int become_nobody(void)
{
	struct proc_status status;

	if (proc_read_status(0, &status) < 0 || !status.cap_effective)
		return 0;
	if (syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) < 0 || syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) < 0)
		return -errno;
	return 0;
}

/* Without privileges and without a byte of locked memory. */
static void ask_memlock_counts(void *answer, const void *argument)
{
	struct rlimit limit = { 0, 0 };
	int r = become_nobody();

	if (r == 0) {
		setrlimit(RLIMIT_MEMLOCK, &limit);
		r = feature_ring(0);
	}
	if (r >= 0)
		feature_say(answer, KERNEL_NO, 0, "a ring could be made under a limit of 0");
	else
		feature_say(answer, r == -ENOMEM ? KERNEL_YES : KERNEL_UNKNOWN, -r, "%s", feature_errno(-r));
}

void feature_uring_memlock_counts(struct kernel_answer *answer)
{
	feature_in_child(answer, ask_memlock_counts, NULL);
}

static void ask_sqpoll(void *answer, const void *argument)
{
	int r = become_nobody();

	if (r < 0) {
		feature_say(answer, KERNEL_UNKNOWN, -r, "privileges could not be dropped: %s", feature_errno(-r));
		return;
	}
	r = feature_ring(0);
	if (r < 0) {
		say_no_ring(answer, r);
		return;
	}
	r = ring_with(URING_SETUP_SQPOLL);
	if (r >= 0)
		feature_say(answer, KERNEL_YES, 0, "%s", "");
	else
		feature_say(answer, r == -EPERM || r == -EACCES ? KERNEL_NO : KERNEL_UNKNOWN, -r, "%s",
			    feature_errno(-r));
}

void feature_uring_sqpoll(struct kernel_answer *answer)
{
	feature_in_child(answer, ask_sqpoll, NULL);
}
