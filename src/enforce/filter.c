/* SPDX-License-Identifier: MIT */
#include "enforce/filter.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/uring.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/policy.h"
#include "enforce/restrictions.h"

enum { REGISTER_BITS = 6, REGISTER_OPS = 1 << REGISTER_BITS, OPCODE_ARGUMENT = 1 };

static const uint64_t opcode_mask = 0x7fffffff;

static void cleanup_context(scmp_filter_ctx *context)
{
	if (*context)
		seccomp_release(*context);
}

static uint32_t answer(const struct policy *policy)
{
	return SCMP_ACT_ERRNO(policy->answer == POLICY_ANSWER_ENOSYS ? ENOSYS : EPERM);
}

/* Enabling is no way around anything: what counts comes before. */
static uint64_t allowed_register_ops(const struct policy *policy)
{
	return restrictions_register_ops(policy) | UINT64_C(1) << URING_REG_ENABLE_RINGS;
}

bool filter_denies_register(const struct policy *policy, unsigned int opcode)
{
	uint64_t allowed = allowed_register_ops(policy);

	opcode &= opcode_mask;
	return opcode < REGISTER_OPS ? !(allowed >> opcode & 1) : allowed != UINT64_MAX;
}

static int on_register(scmp_filter_ctx context, uint32_t action, uint64_t mask, uint64_t value)
{
	return seccomp_rule_add_exact(context, action, SCMP_SYS(io_uring_register), 1,
				      SCMP_CMP64(OPCODE_ARGUMENT, SCMP_CMP_MASKED_EQ, mask, value));
}

static int deny_register(scmp_filter_ctx context, uint64_t mask, uint64_t value)
{
	return on_register(context, SCMP_ACT_ERRNO(EACCES), mask, value);
}

/* Opcodes that no policy can name yet, one rule for each bit above those that it can. */
static int deny_register_beyond(scmp_filter_ctx context)
{
	int r = 0;

	for (unsigned int bit = REGISTER_BITS; bit < 31 && r == 0; bit++)
		r = deny_register(context, UINT64_C(1) << bit, UINT64_C(1) << bit);
	return r;
}

/* What the kernel answers for a ring that is restricted already, as this one will be. */
static int keep_restrictions(scmp_filter_ctx context)
{
	int r = on_register(context, SCMP_ACT_ERRNO(EBUSY), opcode_mask, URING_REG_RESTRICTIONS);

	return r == 0 ? on_register(context, SCMP_ACT_NOTIFY, opcode_mask, URING_REG_ENABLE_RINGS) : r;
}

static int add_register_rules(scmp_filter_ctx context, const struct policy *policy, enum filter_setup setup)
{
	bool keep = setup == FILTER_SETUP_CALLER && restrictions_needed(policy);
	int r = keep ? keep_restrictions(context) : 0;

	for (unsigned int op = 0; op < REGISTER_OPS && r == 0; op++)
		if (filter_denies_register(policy, op) && !(keep && op == URING_REG_RESTRICTIONS))
			r = deny_register(context, opcode_mask, op);
	return r == 0 && filter_denies_register(policy, REGISTER_OPS) ? deny_register_beyond(context) : r;
}

static int add_native(scmp_filter_ctx context, const struct policy *policy, enum filter_setup setup)
{
	int r = 0;

	if (setup == FILTER_SETUP_NOTIFY || setup == FILTER_SETUP_CALLER)
		r = seccomp_rule_add_exact(context, SCMP_ACT_NOTIFY, SCMP_SYS(io_uring_setup), 0);
	if (setup == FILTER_SETUP_DENY)
		r = seccomp_rule_add_exact(context, answer(policy), SCMP_SYS(io_uring_setup), 0);
	return r ? r : add_register_rules(context, policy, setup);
}

static int add_foreign(scmp_filter_ctx to, uint32_t arch, const struct policy *policy)
{
	static const int calls[] = { SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register) };
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
	int r = context ? 0 : -ENOMEM;

	if (r == 0)
		r = seccomp_arch_remove(context, SCMP_ARCH_NATIVE);
	if (r == 0)
		r = seccomp_arch_add(context, arch);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls) && r == 0; i++)
		r = seccomp_rule_add(context, answer(policy), calls[i], 0);
	/* Merging takes it over. */
	if (r == 0)
		r = seccomp_merge(to, context);
	if (r < 0 && context)
		seccomp_release(context);
	return r;
}

static int export(scmp_filter_ctx context, struct filter *ret_filter)
{
	CLEANUP(cleanup_fd) int fd = memfd_create("circlip-filter", MFD_CLOEXEC);
	CLEANUP(cleanup_free) struct sock_filter *program = NULL;
	struct stat st;
	int r = fd < 0 ? -errno : seccomp_export_bpf(context, fd);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size / (off_t)sizeof(*program) > BPF_MAXINSNS)
		return -E2BIG;
	program = malloc((size_t)st.st_size);
	if (!program)
		return -ENOMEM;
	if (pread(fd, program, (size_t)st.st_size, 0) != st.st_size)
		return -EIO;
	ret_filter->length = (unsigned short)((size_t)st.st_size / sizeof(*program));
	ret_filter->program = program;
	program = NULL;
	return 0;
}

int filter_build(const struct policy *policy, enum filter_setup setup, struct filter *ret_filter, struct err *err)
{
	CLEANUP(cleanup_context) scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
	int r = context ? add_native(context, policy, setup) : -ENOMEM;

	if (r == 0)
		r = add_foreign(context, SCMP_ARCH_X86, policy);
	if (r == 0)
		r = add_foreign(context, SCMP_ARCH_X32, policy);
	if (r == 0)
		r = export(context, ret_filter);
	return r < 0 ? err_set(err, r, "the seccomp filter cannot be made: %s", strerror(-r)) : 0;
}

void filter_done(struct filter *filter)
{
	free(filter->program);
	*filter = (struct filter){ 0 };
}
