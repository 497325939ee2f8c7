/* SPDX-License-Identifier: MIT */
/* The interpreter against the kernel: each program is installed in a child, which makes the call, and must be answered
 * as foretold. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "kernel/call.h"
#include "kernel/cbpf.h"
#include "kernel/child.h"
#include "kernel/feature-inner.h"
#include "kernel/seccomp.h"

#define ERRNO(e) (SECCOMP_RET_ERRNO | (e))
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct cbpf_call, member))
#define RET(value) BPF_STMT(BPF_RET | BPF_K, value)
#define UNLESS_WATCHED LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgrp, 1, 0), RET(SECCOMP_RET_ALLOW)

/* Draws its errno from computations that any slip would change. */
static struct sock_filter arithmetic[] = {
	UNLESS_WATCHED,
	BPF_STMT(BPF_LD | BPF_IMM, 1000),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0), /* 1000000 */
	BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 7), /* 142857 */
	BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), /* 141857 */
	BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 0x5555),
	BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 3),
	BPF_STMT(BPF_ALU | BPF_NEG, 0),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7f),
	BPF_STMT(BPF_ST, 5),
	BPF_STMT(BPF_LDX | BPF_MEM, 5),
	BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0),
	BPF_STMT(BPF_LD | BPF_MEM, 5),
	BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
	BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
	BPF_STMT(BPF_RET | BPF_A, 0),
};

static struct sock_filter jumps[] = {
	UNLESS_WATCHED,
	BPF_STMT(BPF_LDX | BPF_IMM, 12),
	BPF_STMT(BPF_LD | BPF_IMM, 12),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 3, 0),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, 0, 2),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 1),
	BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
	RET(ERRNO(EXDEV)),
	RET(ERRNO(EDOM)),
};

static struct sock_filter by_zero[] = {
	UNLESS_WATCHED,
	BPF_STMT(BPF_LDX | BPF_IMM, 0),
	BPF_STMT(BPF_LD | BPF_IMM, 12),
	BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
	RET(SECCOMP_RET_ALLOW),
};

static struct sock_filter by_argument[] = {
	UNLESS_WATCHED,    LOAD(args[0]),    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
	RET(ERRNO(EXDEV)), RET(ERRNO(EDOM)),
};

static struct sock_filter wide_shift[] = {
	UNLESS_WATCHED,
	BPF_STMT(BPF_LDX | BPF_IMM, 33),
	BPF_STMT(BPF_LD | BPF_IMM, 9),
	BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0),
	BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
	BPF_STMT(BPF_RET | BPF_A, 0),
};

#define PROGRAM(code)                                                                                                  \
	{                                                                                                              \
		sizeof(code) / sizeof(*(code)), code                                                                   \
	}
static const struct sock_fprog programs[] = {
	PROGRAM(arithmetic), PROGRAM(jumps), PROGRAM(by_zero), PROGRAM(by_argument), PROGRAM(wide_shift),
};

static const struct cbpf_call watched = { .nr = SYS_getpgrp, .arch = AUDIT_ARCH_X86_64 };

static int foretold(const struct sock_fprog *program, struct cbpf_result *ret_result)
{
	return cbpf_run((const struct cbpf_insn *)program->filter, program->len, &watched, ret_result);
}

static void call_under(void *answer, const void *argument)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, argument) == 0)
		*(int *)answer = syscall(SYS_getpgrp, 0) < 0 ? errno : 0;
	else
		*(int *)answer = -1;
}

static void test_as_the_kernel(void **state)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		struct cbpf_result result;
		int seen = -2, sig = 0, r;

		assert_int_equal(foretold(&programs[i], &result), 0);
		r = child_run(call_under, &programs[i], &seen, sizeof(seen), &sig);
		if (seen == -1)
			skip();
		if (r == CHILD_KILLED)
			assert_int_equal(result.action, SECCOMP_RET_KILL_THREAD);
		else
			assert_int_equal(result.action, ERRNO(seen));
		print_message("program %zu: %#x\n", i, result.action);
	}
}

static void test_arguments_are_noticed(void **state)
{
	struct cbpf_result result;

	assert_int_equal(foretold(&programs[3], &result), 0);
	assert_true(result.looked_at_args);
	assert_int_equal(foretold(&programs[1], &result), 0);
	assert_false(result.looked_at_args || result.looked_at_ip);
}

static void test_refused(void **state)
{
	static const struct {
		size_t n;
		struct cbpf_insn program[2];
	} bad[] = {
		{ 0, { { 0 } } },
		{ 1, { { BPF_LD | BPF_IMM, 0, 0, 1 } } },                               /* no end */
		{ 2, { { BPF_LD | BPF_W | BPF_ABS, 0, 0, 2 }, { BPF_RET, 0, 0, 0 } } }, /* not aligned */
		{ 2, { { BPF_LD | BPF_W | BPF_ABS, 0, 0, 64 }, { BPF_RET, 0, 0, 0 } } },
		{ 2, { { BPF_LD | BPF_B | BPF_ABS, 0, 0, 0 }, { BPF_RET, 0, 0, 0 } } },
		{ 2, { { BPF_LD | BPF_MEM, 0, 0, 16 }, { BPF_RET, 0, 0, 0 } } },
		{ 2, { { BPF_ST, 0, 0, UINT32_MAX }, { BPF_RET, 0, 0, 0 } } },
		{ 2, { { BPF_JMP | BPF_JA, 0, 0, 1 }, { BPF_RET, 0, 0, 0 } } },
		{ 2, { { BPF_JMP | BPF_JA, 0, 0, UINT32_MAX }, { BPF_RET, 0, 0, 0 } } },
		{ 2, { { BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0 }, { BPF_RET, 0, 0, 0 } } },
	};
	struct cbpf_result result;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(cbpf_run(bad[i].program, bad[i].n, &watched, &result), -EINVAL);
}

static void test_the_strongest_wins(void **state)
{
	assert_int_equal(cbpf_stronger(SECCOMP_RET_ALLOW, ERRNO(EPERM)), ERRNO(EPERM));
	assert_int_equal(cbpf_stronger(SECCOMP_RET_KILL_PROCESS, ERRNO(EPERM)), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(cbpf_stronger(SECCOMP_RET_KILL_THREAD, SECCOMP_RET_KILL_PROCESS), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(cbpf_stronger(SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE), SECCOMP_RET_USER_NOTIF);
	assert_int_equal(cbpf_stronger(ERRNO(ENOSYS), ERRNO(EPERM)), ERRNO(ENOSYS));
}

/* ---- of another process ---- */

struct asked {
	int r;
	unsigned int n_filters;
	struct seccomp_answer answers[3];
};

/* A grandchild under three of the programs, whose oldest filters count too. */
static void ask_of_other(void *answer, const void *argument)
{
	static const struct seccomp_call calls[] = { { AUDIT_ARCH_X86_64, SYS_getpgrp },
						     { AUDIT_ARCH_X86_64, SYS_getpid },
						     { AUDIT_ARCH_I386, SYS_getpid } };
	struct asked *asked = answer;
	int ready[2], pid;
	char byte = 0;

	if (pipe(ready) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, 9);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &programs[1]);
		kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &programs[3]);
		(void)!write(ready[1], &byte, 1);
		for (;;)
			pause();
	}
	(void)!read(ready[0], &byte, 1);
	asked->r = seccomp_ask(pid, calls, 3, asked->answers, &asked->n_filters, NULL);
	feature_sleeper_end(pid);
}

static void test_of_another_process(void **state)
{
	struct asked asked = { 0 };

	assert_int_equal(child_run(ask_of_other, NULL, &asked, sizeof(asked), NULL), CHILD_ANSWERED);
	if (asked.r == -EPERM || asked.r == -EACCES)
		skip();
	assert_int_equal(asked.r, 0);
	assert_int_equal(asked.n_filters, 2);
	/* A draw between EDOM of the older and EXDEV of the newer. */
	assert_int_equal(asked.answers[0].action, ERRNO(EXDEV));
	assert_true(asked.answers[0].depends);
	assert_int_equal(asked.answers[1].action, SECCOMP_RET_ALLOW);
	assert_false(asked.answers[1].depends);
}

static void test_of_nobody(void **state)
{
	static const struct seccomp_call call = { AUDIT_ARCH_X86_64, 1 };
	struct seccomp_answer answer;
	struct err err = { "" };
	unsigned int n;

	assert_int_equal(seccomp_ask(0x3fffffff, &call, 1, &answer, &n, &err), -ESRCH);
	assert_non_null(strstr(err.text, "attached"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_kernel),
		cmocka_unit_test(test_arguments_are_noticed),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_the_strongest_wins),
		cmocka_unit_test(test_of_another_process),
		cmocka_unit_test(test_of_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
