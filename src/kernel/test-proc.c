/* SPDX-License-Identifier: MIT */
/* The parsers of /proc, with texts of this machine and of others. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/host.h"
#include "kernel/proc.h"

static const char status_text[] =
	"Name:\tmy prog\\n\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t812\nNgid:\t0\nPid:\t813\nPPid:\t1\n"
	"TracerPid:\t42\nUid:\t1000\t1001\t1002\t1003\nGid:\t50\t51\t52\t53\nFDSize:\t64\n"
	"Groups:\t4 24 1000 \nThreads:\t3\nCapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\n"
	"CapBnd:\t000001ffffffffff\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t5\n";

static void test_status(void **state)
{
	struct proc_status s;

	proc_parse_status(status_text, &s);
	assert_string_equal(s.name, "my prog\\n");
	assert_int_equal(s.pid, 813);
	assert_int_equal(s.tgid, 812);
	assert_int_equal(s.tracer, 42);
	assert_int_equal(s.uid, 1001);
	assert_int_equal(s.gid, 51);
	assert_int_equal(s.n_groups, 3);
	assert_int_equal(s.groups[2], 1000);
	assert_int_equal(s.threads, 3);
	assert_int_equal(s.no_new_privs, 1);
	assert_int_equal(s.seccomp, 2);
	assert_int_equal(s.seccomp_filters, 5);
	assert_true(s.has_caps);
	assert_int_equal(s.cap_effective, 0xa80425fb);
}

static void test_status_without(void **state)
{
	struct proc_status s;

	proc_parse_status("Name:\tx\nSeccomp:\t\nUid:\t1\n", &s);
	assert_int_equal(s.seccomp, -1);
	assert_int_equal(s.seccomp_filters, -1);
	assert_int_equal(s.uid, -1);
	assert_false(s.has_caps);
	proc_parse_status("Pid:\t99999999999999999999999\n", &s);
	assert_int_equal(s.pid, -1);
}

static void test_own_status(void **state)
{
	struct proc_status s;

	assert_int_equal(proc_read_status(0, &s), 0);
	assert_int_equal(s.pid, getpid());
	assert_int_equal(s.uid, geteuid());
	assert_int_equal(proc_read_status(getpid(), &s), 0);
	assert_int_equal(s.parent, getppid());
	assert_int_equal(proc_read_status(0x3fffffff, &s), -ENOENT);
}

/* A child in a namespace of its own, or as we are: the pipe's end keeps it there. */
static void test_namespaces(void **state)
{
	assert_int_equal(proc_shares_namespace(getpid(), "user"), 1);
	assert_int_equal(proc_shares_namespace(0x3fffffff, "user"), -ENOENT);
	for (int apart = 0; apart < 2; apart++) {
		int to[2], from[2];
		char said = 0;
		pid_t pid;

		assert_int_equal(pipe(to) | pipe(from), 0);
		pid = fork();
		if (pid == 0) {
			close(to[1]);
			said = apart && unshare(CLONE_NEWUSER) < 0;
			_exit(write(from[1], &said, 1) != 1 || read(to[0], &said, 1) != 0);
		}
		assert_int_equal(read(from[0], &said, 1), 1);
		if (!said)
			assert_int_equal(proc_shares_namespace(pid, "user"), !apart);
		close(to[1]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(to[0]);
		close(from[0]);
		close(from[1]);
	}
}

static void test_limits(void **state)
{
	static const char text[] = "Limit                     Soft Limit           Hard Limit           Units     \n"
				   "Max cpu time              unlimited            unlimited            seconds   \n"
				   "Max locked memory         8388608              unlimited            bytes     \n";
	uint64_t soft = 1, hard = 1;

	assert_int_equal(proc_parse_limit(text, "Max locked memory", &soft, &hard), 0);
	assert_int_equal(soft, 8388608);
	assert_true(hard == UINT64_MAX);
	assert_int_equal(proc_parse_limit(text, "Max open files", &soft, &hard), -ENOENT);
	assert_int_equal(proc_parse_limit("Max open files  12\n", "Max open files", &soft, &hard), -ENOENT);
	assert_int_equal(soft, 8388608);
}

static void test_cgroup(void **state)
{
	static const char hybrid[] = "9:name=systemd:/a\n4:memory:/process:api/x\n2:cpu,cpuacct:/b\n0::/unified\n";
	char path[64];

	assert_int_equal(proc_parse_cgroup(hybrid, "", path, sizeof(path)), 0);
	assert_string_equal(path, "/unified");
	assert_int_equal(proc_parse_cgroup(hybrid, "memory", path, sizeof(path)), 0);
	assert_string_equal(path, "/process:api/x");
	assert_int_equal(proc_parse_cgroup(hybrid, "cpuacct", path, sizeof(path)), 0);
	assert_string_equal(path, "/b");
	assert_int_equal(proc_parse_cgroup(hybrid, "pids", path, sizeof(path)), -ENOENT);
	assert_int_equal(proc_parse_cgroup(hybrid, "cpu", path, 2), -ENOENT);
	assert_int_equal(proc_parse_cgroup("0:\n:::\n", "cpu", path, sizeof(path)), -ENOENT);
}

static void test_mounts(void **state)
{
	static const char text[] =
		"22 28 0:20 / /proc rw,nosuid shared:5 - proc proc rw\n"
		"31 24 0:27 /docker/ab /sys/fs/cg\\040roup ro - cgroup2 cgroup rw,nsdelegate\n"
		"32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct\n"
		"33 24 0:29 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n";
	char point[64], root[64];

	assert_int_equal(proc_parse_mount(text, "cgroup2", NULL, point, root, sizeof(point)), 0);
	assert_string_equal(point, "/sys/fs/cg roup");
	assert_string_equal(root, "/docker/ab");
	assert_int_equal(proc_parse_mount(text, "cgroup", "memory", point, NULL, sizeof(point)), 0);
	assert_string_equal(point, "/sys/fs/cgroup/memory");
	assert_int_equal(proc_parse_mount(text, "cgroup", "cpu", point, NULL, sizeof(point)), 0);
	assert_string_equal(point, "/sys/fs/cgroup/cpu,cpuacct");
	assert_int_equal(proc_parse_mount(text, "cgroup", "cpuse", point, NULL, sizeof(point)), -ENOENT);
	assert_int_equal(proc_parse_mount(text, "cgroup2", NULL, point, NULL, 4), -ENOENT);
	assert_int_equal(proc_parse_mount("- - -\n\n - ", "cgroup", NULL, point, NULL, sizeof(point)), -ENOENT);
}

static void test_versions(void **state)
{
	assert_int_equal(proc_parse_release("6.18.44-fc-v782"), PROC_VERSION(6, 18, 44));
	assert_int_equal(proc_parse_release("7.0-rc3"), PROC_VERSION(7, 0, 0));
	assert_int_equal(proc_parse_release("5.4.301"), PROC_VERSION(5, 4, 301));
	assert_int_equal(proc_parse_release("5.4.99999999"), PROC_VERSION(5, 4, 65535));
	assert_int_equal(proc_parse_release("next"), 0);
	assert_int_not_equal(proc_kernel_version(), 0);
}

static void test_modules(void **state)
{
	assert_true(host_lsm_has("lockdown,capability,bpf", "bpf"));
	assert_true(host_lsm_has("bpf", "bpf"));
	assert_false(host_lsm_has("lockdown,bpfx", "bpf"));
	assert_false(host_lsm_has("", "bpf"));
}

static void test_numbers(void **state)
{
	int64_t number = 7;

	assert_int_equal(proc_read_number("/proc/sys/kernel/pid_max", &number), 0);
	assert_true(number > 100);
	assert_int_equal(proc_read_number("/proc/version", &number), -EINVAL);
	assert_int_equal(proc_read_number("/proc/no-such-file", &number), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),     cmocka_unit_test(test_status_without),
		cmocka_unit_test(test_namespaces), cmocka_unit_test(test_own_status),
		cmocka_unit_test(test_limits),     cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_mounts),     cmocka_unit_test(test_versions),
		cmocka_unit_test(test_modules),    cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
