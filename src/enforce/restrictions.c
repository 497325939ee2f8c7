/* SPDX-License-Identifier: MIT */
#include "enforce/restrictions.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "abi/uring.h"
#include "base/cleanup.h"
#include "enforce/policy.h"
#include "kernel/call.h"

_Static_assert(offsetof(struct restrictions, task.entries) == 16, "kernel ABI");
_Static_assert(sizeof(((struct restrictions_filter *)NULL)->call) == 72, "kernel ABI");

enum {
	FILTER_COMMAND = 1,
	FILTER_SZ_STRICT = 2,
	FILTER_FAMILY = 16, /* where the filter finds it */
	FILTER_SOCKET_BYTES = 12,
	SQE_FLAGS = 0x7f,
};

/* A refused list leaves the ring as it was, so one ring is enough to search downward. */
static int probe_last(enum restrictions_kind kind, unsigned int from, unsigned int *ret_last)
{
	struct uring_params params = { .flags = URING_SETUP_R_DISABLED };
	CLEANUP(cleanup_fd) int ring = kernel_setup(1, &params);
	int r = ring;

	for (unsigned int value = from; ring >= 0; value--) {
		struct restrictions_entry entry = { .kind = (uint16_t)kind, .value = (uint8_t)value };

		r = kernel_register(ring, URING_REG_RESTRICTIONS, &entry, 1);
		if (r == 0)
			*ret_last = value;
		if (r != -EINVAL || value == 0)
			break;
	}
	return r < 0 ? r : 0;
}

int restrictions_probe(struct restrictions_kernel *ret_kernel)
{
	struct restrictions_kernel kernel = { 0 };
	int r = probe_last(RESTRICTIONS_SQE_OP, URING_OP_LAST - 1, &kernel.last_op);

	if (r == 0)
		r = probe_last(RESTRICTIONS_REGISTER_OP, URING_REG_LAST - 1, &kernel.last_register);
	if (r == 0)
		*ret_kernel = kernel;
	return r;
}

static void add(struct restrictions *restrictions, enum restrictions_kind kind, unsigned int value)
{
	struct restrictions_entry *entry = &restrictions->task.entries[restrictions->task.n++];

	*entry = (struct restrictions_entry){ .kind = (uint16_t)kind, .value = (uint8_t)value };
}

uint64_t restrictions_register_ops(const struct policy *policy)
{
	uint64_t ops = policy->register_ops;
	const struct {
		bool undoes;
		unsigned int op;
	} rows[] = {
		{ policy->cq_entries != POLICY_NO_LIMIT || policy->sq_entries != POLICY_NO_LIMIT,
		  URING_REG_RESIZE_RINGS },
		{ policy->workers_bounded != POLICY_NO_LIMIT || policy->workers_unbounded != POLICY_NO_LIMIT,
		  URING_REG_IOWQ_MAX_WORKERS },
		{ !policy_allows_op(policy, URING_OP_MSG_RING), URING_REG_SEND_MSG_RING },
		{ !policy->personalities, URING_REG_REGISTER_PERSONALITY },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].undoes)
			ops &= ~(UINT64_C(1) << rows[i].op);
	return ops;
}

bool restrictions_needed(const struct policy *policy)
{
	const uint64_t every_register = (UINT64_C(1) << URING_REG_LAST) - 1;

	for (unsigned int op = 0; op < URING_OP_LAST; op++)
		if (!policy_allows_op(policy, op))
			return true;
	return (restrictions_register_ops(policy) & every_register) != every_register ||
	       (policy->sqe_flags & SQE_FLAGS) != SQE_FLAGS || policy->required_sqe_flags;
}

void restrictions_of(const struct policy *policy, const struct restrictions_kernel *kernel,
		     struct restrictions *ret_restrictions)
{
	/* A program that makes its ring disabled enables it itself; on an enabled ring the call does nothing. */
	uint64_t registers = restrictions_register_ops(policy) | UINT64_C(1) << URING_REG_ENABLE_RINGS;
	struct restrictions *to = ret_restrictions;

	memset(to, 0, sizeof(*to));
	for (unsigned int op = 0; op <= kernel->last_op && op < URING_OP_LAST; op++)
		if (policy_allows_op(policy, op))
			add(to, RESTRICTIONS_SQE_OP, op);
	for (unsigned int op = 0; op <= kernel->last_register && op < URING_REG_LAST; op++)
		if (registers >> op & 1)
			add(to, RESTRICTIONS_REGISTER_OP, op);
	add(to, RESTRICTIONS_SQE_FLAGS_ALLOWED, policy->sqe_flags);
	if (policy->required_sqe_flags)
		add(to, RESTRICTIONS_SQE_FLAGS_REQUIRED, policy->required_sqe_flags);
}

/* The operation's family is a word; one jump for each family that is allowed, all to the end. */
void restrictions_filter_families(const struct policy *policy, struct restrictions_filter *ret_filter)
{
	struct restrictions_filter *to = ret_filter;
	unsigned int n = 0, wanted = (unsigned int)__builtin_popcountll(policy->socket_families);

	memset(to, 0, sizeof(*to));
	to->program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FILTER_FAMILY);
	for (unsigned int family = 0; family < POLICY_MAX_FAMILIES; family++)
		if (policy->socket_families >> family & 1) {
			/* To the last statement; n - 1 of the wanted ones are done. */
			to->program[n] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family,
								      (uint8_t)(wanted - n + 1), 0);
			n++;
		}
	to->program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	to->program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 1);
	to->call.command = FILTER_COMMAND;
	to->call.opcode = URING_OP_SOCKET;
	to->call.flags = FILTER_SZ_STRICT;
	to->call.length = n;
	to->call.pdu_size = FILTER_SOCKET_BYTES;
	to->call.program = (uintptr_t)to->program;
}
