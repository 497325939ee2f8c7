/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/capability.h>

#include "enforce/limits.h"

/* A child that waits for its pipe to close: its number, and the end that keeps it. */
static pid_t start(int *ret_keep, void (*prepare)(void))
{
	int life[2], ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(life) | pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(life[1]);
		if (prepare)
			prepare();
		if (write(ready[1], &byte, 1) != 1 || read(life[0], &byte, 1) != 0)
			_exit(1);
		_exit(0);
	}
	close(life[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_keep = life[1];
	return pid;
}

static void end(pid_t pid, int keep)
{
	close(keep);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static struct policy policy_with(uint64_t bytes, uint32_t files)
{
	struct policy policy = policy_allow_all();

	policy.buffer_bytes = bytes;
	policy.registered_files = files;
	return policy;
}

/* What is higher is lowered, hard limit and soft; what is lower already stays. */
static void test_lowering(void **state)
{
	struct policy policy = policy_with(65536, 40);
	struct rlimit limit, low = { 30, 35 };
	struct limits limits;
	int keep;
	pid_t pid = start(&keep, NULL);

	limits = limits_of(&policy, pid);
	assert_int_equal(limits_lower(&limits), 0);
	assert_int_equal(prlimit(pid, RLIMIT_MEMLOCK, NULL, &limit), 0);
	assert_true(limit.rlim_cur <= 65536 && limit.rlim_max <= 65536);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
	assert_int_equal(limit.rlim_cur, 40);
	assert_int_equal(limit.rlim_max, 40);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &low, NULL), 0);
	assert_int_equal(limits_lower(&limits), 0);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
	assert_int_equal(limit.rlim_cur, 30);
	assert_int_equal(limit.rlim_max, 35);
	end(pid, keep);
}

static void test_no_limits(void **state)
{
	struct policy policy = policy_allow_all();
	struct limits limits = limits_of(&policy, 1);
	const char *capability = NULL;

	assert_int_equal(limits_lower(&limits), 0);
	assert_int_equal(limits_undone(&limits, &capability), 0);
	assert_null(capability);
}

/* A process that is gone, or out of reach, is not one that is limited. */
static void test_what_cannot_be_lowered(void **state)
{
	struct policy files = policy_with(UINT64_MAX, 40), both = policy_with(4096, 40);
	struct limits limits;
	const char *capability = NULL;
	int keep;
	pid_t pid = start(&keep, NULL);

	end(pid, keep);
	limits = limits_of(&files, pid);
	assert_int_equal(limits_lower(&limits), POLICY_REGISTERED_FILES);
	assert_true(limits_undone(&limits, &capability) < 0);
	limits = limits_of(&both, pid);
	assert_int_equal(limits_lower(&limits), POLICY_BUFFER_BYTES);
}

static rlim_t own_memlock(rlim_t *ret_hard)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	*ret_hard = limit.rlim_max;
	return limit.rlim_cur;
}

static void lock_little(void)
{
	struct rlimit little = { 4096, 8192 };

	if (setrlimit(RLIMIT_MEMLOCK, &little) < 0)
		_exit(1);
}

/* What is made in the name of a process counts against the limit that it has now, up or down. */
static void test_taking(void **state)
{
	struct policy policy = policy_allow_all();
	struct limits limits, nobody = { 0 };
	rlim_t hard, before = own_memlock(&hard);
	struct rlimit more = { 6000, 8192 };
	int keep;
	pid_t pid = start(&keep, lock_little);

	assert_int_equal(limits_take(&nobody), 0);
	assert_true(own_memlock(&hard) == before);
	limits = limits_of(&policy, pid);
	assert_int_equal(limits_take(&limits), 0);
	assert_int_equal(own_memlock(&hard), 4096);
	assert_int_equal(prlimit(pid, RLIMIT_MEMLOCK, &more, NULL), 0);
	assert_int_equal(limits_take(&limits), 0);
	assert_int_equal(own_memlock(&hard), 6000);
	end(pid, keep);
	assert_true(limits_take(&limits) < 0);
	assert_int_equal(own_memlock(&hard), 6000);
}

static void set_capabilities(uint32_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (i >= 32 || !(keep >> i & 1))
			(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	data[0].effective = data[0].permitted = keep;
	if (syscall(SYS_capset, &header, data) < 0)
		_exit(1);
}

static void have_nothing(void)
{
	set_capabilities(0);
}

static void have_lock(void)
{
	set_capabilities(UINT32_C(1) << CAP_IPC_LOCK);
}

static void test_capabilities(void **state)
{
	struct policy both = policy_with(4096, 40), files = policy_with(UINT64_MAX, 40);
	struct limits limits;
	const char *capability = NULL;
	int keep;
	pid_t pid;

	if (geteuid() != 0 || prctl(PR_CAPBSET_READ, CAP_IPC_LOCK, 0, 0, 0) != 1)
		skip();
	pid = start(&keep, have_nothing);
	limits = limits_of(&both, pid);
	assert_int_equal(limits_undone(&limits, &capability), 0);
	end(pid, keep);
	pid = start(&keep, have_lock);
	limits = limits_of(&both, pid);
	assert_int_equal(limits_undone(&limits, &capability), POLICY_BUFFER_BYTES);
	assert_string_equal(capability, "CAP_IPC_LOCK");
	limits = limits_of(&files, pid);
	assert_int_equal(limits_undone(&limits, &capability), 0);
	end(pid, keep);
}

static void test_names(void **state)
{
	assert_string_equal(limits_resource(POLICY_REGISTERED_FILES), "RLIMIT_NOFILE");
	assert_string_equal(limits_ulimit(POLICY_BUFFER_BYTES), "memlock");
	assert_int_equal(limits_field(1), POLICY_REGISTERED_FILES);
	assert_null(limits_resource(POLICY_OPS));
	assert_null(limits_ulimit(POLICY_OPS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lowering),
		cmocka_unit_test(test_no_limits),
		cmocka_unit_test(test_what_cannot_be_lowered),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_taking),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
