/* SPDX-License-Identifier: MIT */
/* The filter is tried where it is meant to be: in a process of its own, on the real calls. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/audit.h>
#include <linux/seccomp.h>

#include "abi/uring.h"
#include "base/err.h"
#include "enforce/filter.h"
#include "enforce/policy.h"
#include "enforce/restrictions.h"
#include "kernel/call.h"
#include "kernel/cbpf.h"

enum { SKIPPED = 77, X32 = 0x40000000 };

typedef bool trial(void);

/* Whether `attempt` answers true under the policy's filter. */
static bool holds(const struct policy *policy, enum filter_setup setup, trial *attempt)
{
	struct filter filter;
	struct err err;
	int status;
	pid_t pid;

	assert_int_equal(filter_build(policy, setup, &filter, &err), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct sock_fprog program = { filter.length, filter.program };

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
			_exit(SKIPPED);
		_exit(attempt() ? 0 : 1);
	}
	filter_done(&filter);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	return WEXITSTATUS(status) == 0;
}

/* The kernel says EBADF or EINVAL of a call without a ring; the filter says EACCES. */
static int call_register(uint64_t opcode)
{
	return syscall(SYS_io_uring_register, -1, opcode, 0, 0) < 0 ? errno : 0;
}

static bool resize_is_denied(void)
{
	return call_register(URING_REG_RESIZE_RINGS) == EACCES;
}

/* The register opcode is 32 bits wide, and its highest says only how the ring is named. */
static bool resize_is_denied_in_any_dress(void)
{
	static const uint64_t dresses[] = { 0, 0x80000000u, UINT64_C(0x100000000), UINT64_C(0xffffffff00000000),
					    UINT64_C(0xffffffff80000000) };

	for (size_t i = 0; i < sizeof(dresses) / sizeof(*dresses); i++)
		if (call_register(URING_REG_RESIZE_RINGS | dresses[i]) != EACCES)
			return false;
	return true;
}

static bool unknown_ones_are_denied(void)
{
	for (unsigned int bit = 6; bit < 31; bit++)
		if (call_register(UINT64_C(1) << bit) != EACCES ||
		    call_register(UINT64_C(1) << bit | 1u << 31) != EACCES)
			return false;
	return true;
}

static bool enabling_is_not_denied(void)
{
	return call_register(URING_REG_ENABLE_RINGS) != EACCES;
}

static bool setup_is_denied_with_eperm(void)
{
	struct uring_params params = { 0 };

	return kernel_setup(1, &params) == -EPERM;
}

static bool setup_is_denied_with_enosys(void)
{
	struct uring_params params = { 0 };

	return kernel_setup(1, &params) == -ENOSYS;
}

/* -ENOSYS where nobody listens. */
static bool setup_is_answered_by_nobody(void)
{
	return setup_is_denied_with_enosys();
}

static bool x32_is_refused(void)
{
	struct uring_params params = { 0 };

	return syscall(SYS_io_uring_setup | X32, 1, &params) < 0 && errno == EPERM &&
	       syscall(SYS_io_uring_enter | X32, 0, 0, 0, 0, NULL, 0) < 0 && errno == EPERM &&
	       syscall(SYS_io_uring_register | X32, 0, 0, NULL, 0) < 0 && errno == EPERM;
}

static long by_int80(long number)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(1L), "c"(0L), "d"(0L), "S"(0L), "D"(0L)
			 : "memory");
	return result;
}

/* Kernels without IA32 emulation kill who tries. */
static bool has_int80(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		(void)by_int80(425);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
}

static bool int80_is_refused(void)
{
	return by_int80(425) == -EPERM && by_int80(426) == -EPERM && by_int80(427) == -EPERM;
}

static void what_undoes_a_limit_is_denied(void **state)
{
	struct policy policy = policy_allow_all();

	assert_false(holds(&policy, FILTER_SETUP_ALLOW, resize_is_denied));
	policy.cq_entries = 64;
	assert_true(holds(&policy, FILTER_SETUP_ALLOW, resize_is_denied));
	assert_true(holds(&policy, FILTER_SETUP_ALLOW, resize_is_denied_in_any_dress));
}

static void what_no_policy_can_name_is_denied(void **state)
{
	struct policy policy = policy_allow_all();

	assert_false(holds(&policy, FILTER_SETUP_ALLOW, unknown_ones_are_denied));
	policy.register_ops = 0;
	assert_true(holds(&policy, FILTER_SETUP_ALLOW, unknown_ones_are_denied));
	assert_true(holds(&policy, FILTER_SETUP_ALLOW, enabling_is_not_denied));
}

static void setup_is_answered(void **state)
{
	struct policy policy = policy_allow_all();

	assert_true(holds(&policy, FILTER_SETUP_DENY, setup_is_denied_with_eperm));
	assert_true(holds(&policy, FILTER_SETUP_NOTIFY, setup_is_answered_by_nobody));
	policy.answer = POLICY_ANSWER_ENOSYS;
	assert_true(holds(&policy, FILTER_SETUP_DENY, setup_is_denied_with_enosys));
}

/* ENOSYS: nobody listens. */
static bool enabling_is_answered_in_any_dress(void)
{
	static const uint64_t dresses[] = { 0, 0x80000000u, UINT64_C(0x100000000), UINT64_C(0xffffffff80000000) };

	for (size_t i = 0; i < sizeof(dresses) / sizeof(*dresses); i++)
		if (call_register(URING_REG_ENABLE_RINGS | dresses[i]) != ENOSYS)
			return false;
	return true;
}

static bool restricting_is_too_late(void)
{
	return call_register(URING_REG_RESTRICTIONS) == EBUSY &&
	       call_register(URING_REG_RESTRICTIONS | UINT64_C(0xffffffff80000000)) == EBUSY;
}

/* What `caller` rests on: a ring is restricted and enabled by the supervisor alone. */
static void rings_of_callers_are_enabled_by_the_supervisor(void **state)
{
	struct policy policy = policy_allow_all();

	assert_false(holds(&policy, FILTER_SETUP_CALLER, enabling_is_answered_in_any_dress));
	policy.sqe_flags = 0;
	assert_true(holds(&policy, FILTER_SETUP_CALLER, setup_is_answered_by_nobody));
	assert_true(holds(&policy, FILTER_SETUP_CALLER, enabling_is_answered_in_any_dress));
	assert_true(holds(&policy, FILTER_SETUP_CALLER, restricting_is_too_late));
	assert_false(holds(&policy, FILTER_SETUP_NOTIFY, restricting_is_too_late));
	policy.register_ops = 0;
	assert_true(holds(&policy, FILTER_SETUP_CALLER, enabling_is_answered_in_any_dress));
	assert_true(holds(&policy, FILTER_SETUP_CALLER, restricting_is_too_late));
}

static void other_instruction_sets_are_refused(void **state)
{
	struct policy policy = policy_allow_all();

	assert_true(holds(&policy, FILTER_SETUP_ALLOW, x32_is_refused));
	if (!has_int80())
		skip();
	assert_true(holds(&policy, FILTER_SETUP_ALLOW, int80_is_refused));
}

/* Then the kernel knows the answer when the filter is installed, and runs no filter where requests are submitted. */
static void entering_is_decided_by_its_number(void **state)
{
	const struct cbpf_call enter = { .nr = SYS_io_uring_enter, .arch = AUDIT_ARCH_X86_64 };
	struct policy policy = policy_allow_all();

	policy.register_ops = 0;
	for (int setup = FILTER_SETUP_ALLOW; setup <= FILTER_SETUP_DENY; setup++) {
		struct cbpf_result result;
		struct filter filter;
		struct err err;

		assert_int_equal(filter_build(&policy, (enum filter_setup)setup, &filter, &err), 0);
		assert_int_equal(cbpf_run((const struct cbpf_insn *)filter.program, filter.length, &enter, &result), 0);
		assert_int_equal(result.action, SECCOMP_RET_ALLOW);
		assert_false(result.looked_at_args);
		assert_false(result.looked_at_ip);
		filter_done(&filter);
	}
}

static void table_says_what_the_filter_does(void **state)
{
	struct policy policy = policy_allow_all();

	assert_false(filter_denies_register(&policy, URING_REG_IOWQ_MAX_WORKERS));
	policy.workers_bounded = 2;
	assert_true(filter_denies_register(&policy, URING_REG_IOWQ_MAX_WORKERS));
	assert_true(filter_denies_register(&policy, URING_REG_IOWQ_MAX_WORKERS | URING_REG_USE_REGISTERED_RING));
	assert_false(filter_denies_register(&policy, URING_REG_SEND_MSG_RING));
	policy.ops[URING_OP_MSG_RING / 64] &= ~(UINT64_C(1) << URING_OP_MSG_RING % 64);
	assert_true(filter_denies_register(&policy, URING_REG_SEND_MSG_RING));
	policy.register_ops = 0;
	assert_false(filter_denies_register(&policy, URING_REG_ENABLE_RINGS));
	assert_true(filter_denies_register(&policy, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_undoes_a_limit_is_denied),
		cmocka_unit_test(what_no_policy_can_name_is_denied),
		cmocka_unit_test(setup_is_answered),
		cmocka_unit_test(rings_of_callers_are_enabled_by_the_supervisor),
		cmocka_unit_test(other_instruction_sets_are_refused),
		cmocka_unit_test(entering_is_decided_by_its_number),
		cmocka_unit_test(table_says_what_the_filter_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
