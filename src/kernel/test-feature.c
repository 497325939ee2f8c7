/* SPDX-License-Identifier: MIT */
/* Features on the running kernel, whose answers are compared with what is known of it in other ways, and leave nothing
 * behind. */
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <liburing.h>

#include "abi/uring.h"
#include "kernel/call.h"
#include "kernel/child.h"
#include "kernel/feature-inner.h"
#include "kernel/feature.h"
#include "kernel/proc.h"
#include "kernel/refusal.h"

static size_t open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(folder);
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

static void test_every_row_answers(void **state)
{
	size_t before = open_descriptors();

	for (unsigned int i = 0; i < KERNEL_FEATURE_LAST; i++) {
		const struct kernel_answer *answer = kernel_feature(i);

		print_message("%-24s %-8s %3d %#llx %s\n", kernel_feature_name(i), kernel_state_name(answer->state),
			      answer->error, (unsigned long long)answer->value, answer->why);
		assert_true(*kernel_feature_name(i) && *kernel_feature_description(i));
		assert_true(answer->state == KERNEL_YES || *answer->why);
		assert_ptr_equal(answer, kernel_feature(i));
	}
	assert_int_equal(open_descriptors(), before);
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_agrees_with_liburing(void **state)
{
	struct io_uring ring;
	struct io_uring_probe *probe;
	bool supported[256];

	if (io_uring_queue_init(4, &ring, 0) < 0)
		skip();
	probe = io_uring_get_probe_ring(&ring);
	assert_non_null(probe);
	assert_int_equal(kernel_feature(KERNEL_URING)->state, KERNEL_YES);
	assert_int_equal(kernel_feature(KERNEL_OPS)->value, probe->last_op);
	assert_int_equal(kernel_feature(KERNEL_FEATURES)->value, ring.features);
	assert_int_equal(kernel_ops_supported(supported), 0);
	for (int i = 0; i <= probe->last_op; i++)
		assert_int_equal(supported[i], io_uring_opcode_supported(probe, i));
	io_uring_free_probe(probe);
	io_uring_queue_exit(&ring);
}

static void ask_flags_known(void *answer, const void *argument)
{
	struct uring_query_opcodes opcodes = { 0 };
	struct uring_query head = { .query_data = (uint64_t)(uintptr_t)&opcodes, .size = sizeof(opcodes) };

	if (kernel_register(-1, URING_REG_QUERY, &head, 0) == 0)
		*(uint64_t *)answer = opcodes.setup_flags;
}

/* Every flag that the kernel says it has could be used, except those that need hardware or rights. */
static void test_flags_agree_with_query(void **state)
{
	uint64_t known = 0, tried = kernel_feature(KERNEL_SETUP_FLAGS)->value;

	if (kernel_feature(KERNEL_QUERY)->state != KERNEL_YES)
		skip();
	assert_int_equal(child_run(ask_flags_known, NULL, &known, sizeof(known), NULL), CHILD_ANSWERED);
	assert_int_equal(tried & ~known, 0);
	assert_int_equal(known & ~tried & ((1u << 21) - 1), 0);
}

/* Tried with a request in place of a register call. */
static void test_restrictions(void **state)
{
	static const struct uring_restriction only_nop = { .opcode = URING_RESTRICT_SQE_OP, .value = URING_OP_NOP };
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	char byte;

	if (io_uring_queue_init(4, &ring, IORING_SETUP_R_DISABLED) < 0)
		skip();
	if (kernel_register(ring.ring_fd, URING_REG_RESTRICTIONS, &only_nop, 1) < 0) {
		assert_int_equal(kernel_feature(KERNEL_RING_RESTRICTIONS)->state, KERNEL_NO);
		io_uring_queue_exit(&ring);
		return;
	}
	assert_int_equal(kernel_register(ring.ring_fd, URING_REG_ENABLE_RINGS, NULL, 0), 0);
	io_uring_prep_read(io_uring_get_sqe(&ring), 0, &byte, 1, 0);
	assert_int_equal(io_uring_submit_and_wait(&ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(&ring, &cqe), 0);
	assert_int_equal(kernel_feature(KERNEL_RING_RESTRICTIONS)->state, cqe->res == -EACCES ? KERNEL_YES : KERNEL_NO);
	io_uring_queue_exit(&ring);
}

/* The program that is started by the trial runs, and says what this process sees itself. */
static void test_exec_control(void **state)
{
	struct kernel_answer control = { 0 };
	bool can = kernel_feature(KERNEL_TASK_RESTRICTIONS)->state == KERNEL_YES;

	feature_restrict_exec_control(&control);
	if (can)
		assert_int_equal(control.state, KERNEL_NO);
	else
		assert_int_equal(control.error, kernel_feature(KERNEL_TASK_RESTRICTIONS)->error);
}

/* ---- as others see it: each in a child, because it cannot be taken back ---- */

static int filter_uring(unsigned int action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 425, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 427, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);
}

struct circumstances {
	unsigned int action; /* of a filter; 0 = no filter */
	bool no_memlock;
};

static void judge_in(void *answer, const void *argument)
{
	const struct circumstances *c = argument;
	const struct rlimit nothing = { 0, 0 };

	if (c->action && filter_uring(c->action) < 0)
		return;
	if (c->no_memlock) {
		setrlimit(RLIMIT_MEMLOCK, &nothing);
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			return;
	}
	feature_uring(answer);
}

static struct kernel_answer judge(const struct circumstances *circumstances)
{
	struct kernel_answer answer = { 0 };

	assert_int_equal(child_run(judge_in, circumstances, &answer, sizeof(answer), NULL), CHILD_ANSWERED);
	print_message("%s %d: %s\n", kernel_state_name(answer.state), answer.error, answer.why);
	return answer;
}

static void test_filters_are_told(void **state)
{
	static const struct {
		unsigned int action;
		int error;
		enum refusal refusal;
	} rows[] = {
		{ SECCOMP_RET_ERRNO | EPERM, EPERM, REFUSAL_SECCOMP },
		{ SECCOMP_RET_ERRNO | ENOSYS, ENOSYS, REFUSAL_SECCOMP },
		{ SECCOMP_RET_ERRNO | EACCES, EACCES, REFUSAL_SECCOMP },
		{ SECCOMP_RET_KILL_PROCESS, 0, REFUSAL_KILLED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct kernel_answer answer = judge(&(struct circumstances){ .action = rows[i].action });

		assert_int_equal(answer.state, KERNEL_NO);
		assert_int_equal(answer.error, rows[i].error);
		assert_int_equal(answer.value, rows[i].refusal);
	}
}

static void test_memlock_is_told(void **state)
{
	struct kernel_answer answer;

	if (geteuid() != 0 || kernel_feature(KERNEL_URING)->state != KERNEL_YES)
		skip();
	answer = judge(&(struct circumstances){ .no_memlock = true });
	if (answer.state == KERNEL_YES)
		skip(); /* rings are not counted on this kernel */
	assert_int_equal(answer.error, ENOMEM);
	assert_int_equal(answer.value, REFUSAL_MEMLOCK);
}

static void hang(void *answer, const void *argument)
{
	raise(SIGKILL);
}

static void die(void *answer, const void *argument)
{
	raise(SIGSEGV);
}

static void test_children_that_end(void **state)
{
	int answer = 7, sig = 0;

	assert_int_equal(child_run(hang, NULL, &answer, sizeof(answer), &sig), CHILD_SILENT);
	assert_int_equal(child_run(die, NULL, &answer, sizeof(answer), &sig), CHILD_KILLED);
	assert_int_equal(sig, SIGSEGV);
	assert_int_equal(answer, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_answers),      cmocka_unit_test(test_agrees_with_liburing),
		cmocka_unit_test(test_flags_agree_with_query), cmocka_unit_test(test_restrictions),
		cmocka_unit_test(test_exec_control),           cmocka_unit_test(test_filters_are_told),
		cmocka_unit_test(test_memlock_is_told),        cmocka_unit_test(test_children_that_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
