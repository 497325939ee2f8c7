/* SPDX-License-Identifier: MIT */
/* Who refused, from evidence of hosts that cannot all be had here. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/proc.h"
#include "kernel/refusal.h"

/* What an unhindered kernel with io_uring answers to the other two calls. */
#define KERNEL_ANSWERS .enter = EBADF, .reg = EINVAL, .unlimited = -1, .version = PROC_VERSION(6, 12, 0)

static const struct {
	struct refusal_evidence evidence;
	enum refusal refusal;
	const char *word;
} cases[] = {
	{ { KERNEL_ANSWERS }, REFUSAL_NONE, "" },
	{ { KERNEL_ANSWERS, .setup = EPERM, .disabled = 2, .privileged = true }, REFUSAL_SYSCTL, "is 2" },
	{ { KERNEL_ANSWERS, .setup = EPERM, .disabled = 1, .group = 7 }, REFUSAL_SYSCTL, "(7)" },
	/* The sysctl lets this one in, so it was somebody else. */
	{ { KERNEL_ANSWERS, .setup = EPERM, .disabled = 1, .in_group = true }, REFUSAL_LSM, "security module" },
	{ { KERNEL_ANSWERS, .setup = EPERM, .disabled = 1, .privileged = true }, REFUSAL_LSM, "EPERM" },
	{ { KERNEL_ANSWERS, .setup = EPERM, .disabled = 0 }, REFUSAL_LSM, "security module" },
	{ { KERNEL_ANSWERS, .setup = EACCES }, REFUSAL_LSM, "EACCES" },
	/* A filter that only knows of the set-up cannot be told from a module. */
	{ { KERNEL_ANSWERS, .setup = EPERM, .seccomp = 2 }, REFUSAL_UNKNOWN, "could not be told" },
	{ { KERNEL_ANSWERS, .setup = EACCES, .seccomp = 2 }, REFUSAL_UNKNOWN, "seccomp mode 2" },
	/* Before 6.6 there is no sysctl, and before 5.16 no module that could. */
	{ { KERNEL_ANSWERS, .setup = EPERM, .disabled = -1 }, REFUSAL_UNKNOWN, "could not be told" },
	{ { .setup = EPERM, .enter = EPERM, .reg = EPERM, .seccomp = 2 }, REFUSAL_SECCOMP, "io_uring_enter (EPERM)" },
	{ { .setup = EPERM, .enter = EPERM, .reg = EPERM, .seccomp = 2, .disabled = 2 }, REFUSAL_SECCOMP, "seccomp" },
	{ { .setup = ENOSYS, .enter = ENOSYS, .reg = ENOSYS, .seccomp = 2 }, REFUSAL_SECCOMP, "ENOSYS" },
	{ { .setup = ENOSYS, .enter = ENOSYS, .reg = ENOSYS, .disabled = -1 }, REFUSAL_ABSENT, "no io_uring" },
	{ { .setup = ENOSYS,
	    .enter = ENOSYS,
	    .reg = ENOSYS,
	    .disabled = -1,
	    .seccomp = 2,
	    .version = PROC_VERSION(4, 19, 0) },
	  REFUSAL_ABSENT,
	  "5.1" },
	{ { .setup = ENOSYS,
	    .enter = ENOSYS,
	    .reg = ENOSYS,
	    .disabled = -1,
	    .seccomp = 2,
	    .version = PROC_VERSION(5, 15, 0) },
	  REFUSAL_UNKNOWN,
	  "could not be told" },
	{ { KERNEL_ANSWERS, .setup = ENOSYS, .disabled = -1, .seccomp = 2 }, REFUSAL_SECCOMP, "hides" },
	{ { .setup = EACCES, .enter = EACCES, .reg = EACCES, .seccomp = 2 }, REFUSAL_SECCOMP, "EACCES" },
	{ { .killed_by = SIGSYS, .seccomp = 2 }, REFUSAL_KILLED, "SIGSYS" },
	{ { KERNEL_ANSWERS, .setup = ENOMEM, .memlock = 65536 }, REFUSAL_MEMLOCK, "65536" },
	{ { KERNEL_ANSWERS, .setup = ENOMEM, .memlock = 65536, .ipc_lock = true }, REFUSAL_MEMORY, "memory.max" },
	{ { KERNEL_ANSWERS, .setup = ENOMEM, .memlock = UINT64_MAX }, REFUSAL_MEMORY, "memory.max" },
	{ { .setup = ENOMEM, .unlimited = 0, .memlock = 65536 }, REFUSAL_MEMLOCK, "RLIMIT_MEMLOCK" },
	{ { .setup = ENOMEM, .unlimited = ENOMEM, .memlock = 65536 }, REFUSAL_MEMORY, "ENOMEM" },
	{ { KERNEL_ANSWERS, .setup = EMFILE }, REFUSAL_FILES, "EMFILE" },
	{ { KERNEL_ANSWERS, .setup = EINVAL }, REFUSAL_FLAGS, "EINVAL" },
	{ { KERNEL_ANSWERS, .setup = EIO }, REFUSAL_UNKNOWN, "EIO" },
};

static void test_judgement(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[256] = "";

		refusal_explain(&cases[i].evidence, text, sizeof(text));
		print_message("%zu: %s\n", i, text);
		assert_int_equal(refusal_judge(&cases[i].evidence), cases[i].refusal);
		assert_non_null(strstr(text, cases[i].word));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_judgement) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
