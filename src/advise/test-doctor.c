/* SPDX-License-Identifier: MIT */
/* What doctor concludes from numbers and texts, without a host that has them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "advise/budget.h"
#include "advise/container.h"
#include "advise/cve.h"
#include "advise/doctor.h"
#include "advise/fix.h"
#include "kernel/proc.h"

/* ---- vulnerabilities ---- */

static const struct cve *find(const char *id)
{
	const struct cve *cve;

	for (size_t i = 0; (cve = cve_get(i)); i++)
		if (strcmp(cve->id, id) == 0)
			return cve;
	fail_msg("no %s", id);
	return NULL;
}

static void test_vulnerable_releases(void **state)
{
	const struct cve *exec = find("CVE-2026-80713"), *msg = find("CVE-2022-2602");

	assert_false(cve_affects(exec, PROC_VERSION(6, 18, 44)));
	assert_true(cve_affects(exec, PROC_VERSION(7, 0, 0)));
	assert_true(cve_affects(exec, PROC_VERSION(7, 1, 7)));
	assert_false(cve_affects(exec, PROC_VERSION(7, 1, 8)));
	/* Repaired in each stable branch by itself. */
	assert_true(cve_affects(msg, PROC_VERSION(5, 10, 149)));
	assert_false(cve_affects(msg, PROC_VERSION(5, 10, 150)));
	assert_true(cve_affects(msg, PROC_VERSION(5, 15, 0)));
	assert_int_equal(cve_repaired(msg, PROC_VERSION(5, 15, 0)), PROC_VERSION(5, 15, 75));
	assert_true(cve_affects(msg, PROC_VERSION(5, 14, 21)));
	assert_int_equal(cve_repaired(msg, PROC_VERSION(5, 14, 21)), 0);
	assert_false(cve_affects(msg, PROC_VERSION(6, 1, 0)));
	assert_false(cve_affects(msg, PROC_VERSION(4, 19, 300)));
}

static void test_ranges_are_in_order(void **state)
{
	const struct cve *cve;

	for (size_t i = 0; (cve = cve_get(i)); i++) {
		assert_true(strncmp(cve->id, "CVE-20", 6) == 0 && *cve->title && *cve->feature);
		assert_int_not_equal(cve->ranges[0].to, 0);
		for (int j = 0; j < CVE_RANGES_MAX && cve->ranges[j].to; j++) {
			assert_true(cve->ranges[j].from < cve->ranges[j].to);
			assert_true(j == 0 || cve->ranges[j].from >= cve->ranges[j - 1].to);
			assert_true(cve->ranges[j].from >= PROC_VERSION(5, 1, 0));
		}
	}
}

static void test_kernels(void **state)
{
	static const struct {
		const char *release, *version, *signature, *vendor;
		uint32_t number;
		bool backports;
	} rows[] = {
		{ "6.1.0-50-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-08-01)", NULL, "Debian",
		  PROC_VERSION(6, 1, 176), false },
		{ "6.8.0-45-generic", "#45-Ubuntu SMP", "Ubuntu 6.8.0-45.45-generic 6.8.12", "Ubuntu",
		  PROC_VERSION(6, 8, 12), true },
		{ "6.8.0-45-generic", "#45-Ubuntu SMP", NULL, "Ubuntu", PROC_VERSION(6, 8, 0), true },
		{ "5.14.0-427.el9.x86_64", "#1 SMP", NULL, "Red Hat", PROC_VERSION(5, 14, 0), true },
		{ "6.18.44-fc-v782", "#1 SMP", NULL, "", PROC_VERSION(6, 18, 44), true },
		{ "6.18.44", "#1 SMP", NULL, "", PROC_VERSION(6, 18, 44), false },
		{ "next", "", "nonsense", "", 0, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct cve_kernel kernel;

		cve_parse_kernel(rows[i].release, rows[i].version, rows[i].signature, &kernel);
		assert_int_equal(kernel.version, rows[i].number);
		assert_string_equal(kernel.vendor, rows[i].vendor);
		assert_int_equal(kernel.backports, rows[i].backports);
	}
}

/* ---- limits ---- */

static void test_cpu(void **state)
{
	assert_int_equal(budget_parse_cpu("max 100000\n"), BUDGET_NO_LIMIT);
	assert_int_equal(budget_parse_cpu("150000 100000\n"), 1500);
	assert_int_equal(budget_parse_cpu("150000 0\n"), BUDGET_UNKNOWN);
	assert_int_equal(budget_parse_cpu("150000\n"), BUDGET_UNKNOWN);
	assert_int_equal(budget_parse_cpu("9223372036854775807 1\n"), BUDGET_UNKNOWN);
	assert_int_equal(budget_parse_cpu(""), BUDGET_UNKNOWN);
}

/* ---- the sysctl ---- */

static void test_sysctl(void **state)
{
	struct subject s = { .status = { .gid = 5, .n_groups = 2, .groups = { 7, 9 } } };

	assert_int_equal(subject_sysctl(&s, -1, -1), SUBJECT_NOT_KNOWN);
	assert_int_equal(subject_sysctl(&s, 0, -1), 1);
	assert_int_equal(subject_sysctl(&s, 2, 7), 0);
	assert_int_equal(subject_sysctl(&s, 1, -1), 0);
	assert_int_equal(subject_sysctl(&s, 1, 9), 1);
	assert_int_equal(subject_sysctl(&s, 1, 5), 1);
	assert_int_equal(subject_sysctl(&s, 1, 8), 0);
	s.privileged = true;
	assert_int_equal(subject_sysctl(&s, 1, -1), 1);
	assert_int_equal(subject_sysctl(&s, 2, -1), 0);
	s.privileged = false;
	s.status.n_groups = PROC_GROUPS_MAX; /* there may have been more */
	assert_int_equal(subject_sysctl(&s, 1, 8), SUBJECT_NOT_KNOWN);
}

static void test_actions(void **state)
{
	assert_int_equal(subject_meaning(0x7fff0000), SUBJECT_ALLOWED);
	assert_int_equal(subject_meaning(0x7ffc0000), SUBJECT_ALLOWED); /* logged */
	assert_int_equal(subject_meaning(0x7fc00000), SUBJECT_SUPERVISED);
	assert_int_equal(subject_meaning(0x7ff00000), SUBJECT_SUPERVISED); /* traced */
	assert_int_equal(subject_meaning(0x00050001), SUBJECT_REFUSED);
	assert_int_equal(subject_meaning(0x80000000), SUBJECT_REFUSED);
	assert_int_equal(subject_meaning(0), SUBJECT_REFUSED);
}

/* ---- state of runtimes ---- */

static void test_states(void **state)
{
	static const struct {
		const char *text;
		int r, pid;
		unsigned long long start;
	} rows[] = {
		{ "{\"id\":\"a\",\"init_process_pid\":42,\"init_process_start\":77}", 0, 42, 77 },
		{ "{\"pid\":43,\"process-start-time\":78,\"cgroup-path\":\"\"}", 0, 43, 78 },
		{ "{\"pid\":43}", 0, 43, 0 },
		{ "{\"pid\":-1}", -EINVAL, 0, 0 },
		{ "{\"pid\":\"1\"}", -EINVAL, 0, 0 },
		{ "{\"pid\":99999999999}", -EINVAL, 0, 0 },
		{ "[1]", -EINVAL, 0, 0 },
		{ "", -EINVAL, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned long long start = 0;
		pid_t pid = 0;

		assert_int_equal(container_parse_state(rows[i].text, strlen(rows[i].text), &pid, &start), rows[i].r);
		assert_int_equal(pid, rows[i].pid);
		assert_int_equal(start, rows[i].start);
	}
}

static void test_fix_of_groups(void **state)
{
	assert_string_equal(fix_for_filter("/kubepods/burstable/pod1/ab"), "kubernetes");
	assert_string_equal(fix_for_filter("/system.slice/docker-ab.scope"), "docker");
	assert_string_equal(fix_for_filter("/machine.slice/libpod-ab.scope"), "podman");
	assert_string_equal(fix_for_filter("/system.slice/postgresql.service"), "systemd");
	assert_string_equal(fix_for_filter("/"), "oci");
}

/* ---- the score ---- */

static struct doctor process(enum kernel_state usable, enum subject_filter filter)
{
	struct doctor d = { .usable = usable, .disabled = 0, .kernel = { PROC_VERSION(6, 18, 0), "", false } };

	d.subject.kind = SUBJECT_PROCESS;
	d.subject.filter = filter;
	return d;
}

static void test_closed(void **state)
{
	struct doctor d = process(KERNEL_NO, SUBJECT_REFUSED);

	doctor_score(&d);
	assert_int_equal(d.score, 0);
	assert_string_equal(doctor_grade(d.score), "PERFECT");
}

static void test_not_quite_closed(void **state)
{
	struct doctor open_ring = process(KERNEL_NO, SUBJECT_REFUSED), hole = open_ring, blind = open_ring;

	open_ring.subject.n_rings = 1;
	doctor_score(&open_ring);
	assert_true(open_ring.score > 0);
	hole.has_hole = true;
	doctor_score(&hole);
	assert_true(hole.score > 0);
	blind.subject.n_rings = SUBJECT_NOT_KNOWN;
	doctor_score(&blind);
	assert_true(blind.score > 0);
}

static void test_untold_counts_in_full(void **state)
{
	struct doctor untold = process(KERNEL_UNKNOWN, SUBJECT_UNTOLD), open = process(KERNEL_YES, SUBJECT_UNFILTERED);

	doctor_score(&untold);
	doctor_score(&open);
	assert_int_equal(untold.score, open.score);
	assert_true(untold.exposures[0].untold && !open.exposures[0].untold);
}

static void test_limits_lower_it(void **state)
{
	struct doctor open = process(KERNEL_YES, SUBJECT_UNFILTERED), bounded = open;

	for (int i = 0; i < BUDGET_KINDS; i++) {
		open.subject.limits.limit[i] = BUDGET_NO_LIMIT;
		bounded.subject.limits.limit[i] = 1000;
	}
	doctor_score(&open);
	doctor_score(&bounded);
	assert_true(bounded.score < open.score);
}

static void test_grades(void **state)
{
	assert_string_equal(doctor_grade(1), "SAFE");
	assert_string_equal(doctor_grade(10), "OK");
	assert_string_equal(doctor_grade(49), "OK");
	assert_string_equal(doctor_grade(50), "MEDIUM");
	assert_string_equal(doctor_grade(75), "EXPOSED");
	assert_string_equal(doctor_grade(90), "UNSAFE");
	assert_string_equal(doctor_grade(100), "DANGEROUS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vulnerable_releases),
		cmocka_unit_test(test_ranges_are_in_order),
		cmocka_unit_test(test_kernels),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_sysctl),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_fix_of_groups),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_not_quite_closed),
		cmocka_unit_test(test_untold_counts_in_full),
		cmocka_unit_test(test_limits_lower_it),
		cmocka_unit_test(test_grades),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
