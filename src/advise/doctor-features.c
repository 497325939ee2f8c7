/* SPDX-License-Identifier: MIT */
/* doctor: what this kernel's io_uring can do, and what is known to be wrong with it. */
#include <stdio.h>
#include <string.h>

#include "abi/decode.h"
#include "abi/uring.h"
#include "advise/doctor.h"
#include "kernel/proc.h"

#define SAY(d, ...) doctor_say(d, DOCTOR_KERNEL, __VA_ARGS__)

enum { ALL_SETUP_FLAGS = (URING_SETUP_SQ_REWIND << 1) - 1, ALL_FEATURES = (URING_FEAT_NO_IOWAIT << 1) - 1 };

static void version(struct doctor *d)
{
	uint32_t v = d->kernel.version;

	SAY(d, "kernel", DOCTOR_PLAIN, NULL, "Linux %s%s%s, from upstream's %u.%u.%u", d->release,
	    *d->kernel.vendor ? " of " : "", d->kernel.vendor, v >> 24, v >> 16 & 0xff, v & 0xffff);
}

static void counted(struct doctor *d, enum kernel_feature feature, unsigned int known, const char *what)
{
	const struct kernel_answer *answer = kernel_feature(feature);
	unsigned int n = (unsigned int)answer->value + 1;

	if (answer->state != KERNEL_YES)
		SAY(d, kernel_feature_name(feature), DOCTOR_UNKNOWN, NULL, "%s", answer->why);
	else if (n > known)
		SAY(d, kernel_feature_name(feature), DOCTOR_PLAIN, NULL, "%u %s, %u more than circlip knows%s%s", n,
		    what, n - known, *answer->why ? ", " : "", answer->why);
	else
		SAY(d, kernel_feature_name(feature), DOCTOR_PLAIN, NULL, "%u of the %u %s that circlip knows%s%s", n,
		    known, what, *answer->why ? ", " : "", answer->why);
}

static void masked(struct doctor *d, enum kernel_feature feature, enum abi_flags which, unsigned int all)
{
	const struct kernel_answer *answer = kernel_feature(feature);
	unsigned int missing = all & ~(unsigned int)answer->value;
	char names[320];

	abi_decode_flags(names, sizeof(names), which, missing);
	if (answer->state != KERNEL_YES)
		SAY(d, kernel_feature_name(feature), DOCTOR_UNKNOWN, NULL, "%s", answer->why);
	else if (missing)
		SAY(d, kernel_feature_name(feature), DOCTOR_PLAIN, NULL, "all but %s%s%s", names,
		    *answer->why ? "; " : "", answer->why);
	else
		SAY(d, kernel_feature_name(feature), DOCTOR_GOOD, NULL, "all that circlip knows%s%s",
		    *answer->why ? "; " : "", answer->why);
}

static void simple(struct doctor *d, enum kernel_feature feature)
{
	static const enum doctor_mark marks[] = {
		[KERNEL_UNKNOWN] = DOCTOR_UNKNOWN, [KERNEL_NO] = DOCTOR_PLAIN, [KERNEL_YES] = DOCTOR_GOOD
	};
	static const char *const words[] = { "could not tell (", "no (", "" };
	const struct kernel_answer *answer = kernel_feature(feature);

	SAY(d, kernel_feature_name(feature), marks[answer->state], NULL, "%s%s%s%s", words[answer->state],
	    answer->state == KERNEL_YES ? "" : answer->why,
	    answer->state == KERNEL_YES ? "" : "): ", kernel_feature_description(feature));
}

/* ---- vulnerabilities ---- */

static bool is_disproved(const struct cve *cve)
{
	return kernel_feature(KERNEL_TASK_RESTRICTIONS_EXEC)->state == KERNEL_YES &&
	       strcmp(cve->id, "CVE-2026-80713") == 0;
}

static void hedge(const struct cve_kernel *kernel, char *text, size_t size)
{
	if (*kernel->vendor)
		snprintf(text, size, "; %s may have repaired them without changing it: see its tracker",
			 kernel->vendor);
	else
		snprintf(text, size, "%s",
			 kernel->backports ? "; who built this kernel may have repaired them all the same" : "");
}

static void vulnerabilities(struct doctor *d)
{
	const struct cve *cve;
	char hedged[128];
	size_t known = 0;

	for (; (cve = cve_get(known)); known++)
		if (cve_affects(cve, d->kernel.version) && !is_disproved(cve) && d->n_cves < DOCTOR_CVES_MAX)
			d->cves[d->n_cves++] = cve;
	hedge(&d->kernel, hedged, sizeof(hedged));
	if (!d->kernel.version)
		doctor_say(d, DOCTOR_CVES, "cves", DOCTOR_UNKNOWN, NULL, "the kernel's version says nothing");
	else if (!d->n_cves)
		doctor_say(d, DOCTOR_CVES, "cves", DOCTOR_GOOD, NULL,
			   "none of the %zu that this circlip knows (until October 2026) is in upstream's release of "
			   "that number",
			   known);
	else
		doctor_say(d, DOCTOR_CVES, "cves", DOCTOR_WARNING, "update",
			   "%zu of the %zu that this circlip knows are in upstream's release of that number%s",
			   d->n_cves, known, hedged);
}

void doctor_kernel(struct doctor *d)
{
	static const enum kernel_feature simples[] = {
		KERNEL_SQPOLL_UNPRIVILEGED, KERNEL_MEMLOCK_COUNTS,         KERNEL_QUERY,      KERNEL_RING_RESTRICTIONS,
		KERNEL_TASK_RESTRICTIONS,   KERNEL_TASK_RESTRICTIONS_EXEC, KERNEL_BPF_FILTER, KERNEL_TRACE_EVENTS,
	};

	version(d);
	counted(d, KERNEL_OPS, URING_OP_LAST, "operations");
	counted(d, KERNEL_REGISTER_OPS, URING_REG_LAST, "register calls");
	masked(d, KERNEL_SETUP_FLAGS, ABI_FLAGS_SETUP, ALL_SETUP_FLAGS);
	masked(d, KERNEL_FEATURES, ABI_FLAGS_FEATURES, ALL_FEATURES);
	for (size_t i = 0; i < sizeof(simples) / sizeof(*simples); i++)
		simple(d, simples[i]);
	vulnerabilities(d);
}
