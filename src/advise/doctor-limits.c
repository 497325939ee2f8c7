/* SPDX-License-Identifier: MIT */
/* doctor: what a ring can eat, and whether a control group bounds it. Caps on a ring's size do not: entries that nobody
 * reaps pile up in kernel memory. */
#include <stdio.h>

#include "advise/doctor.h"

static const struct {
	const char *name, *bounded, *unbounded;
	unsigned int unit; /* of the number that is shown */
} rows[BUDGET_KINDS] = {
	[BUDGET_MEMORY] = { "memory",
			    "MiB of memory at most, in which rings and completions that nobody reaps are counted",
			    "no limit on memory: completions that nobody reaps pile up in the kernel without bound",
			    1 << 20 },
	[BUDGET_CPU] = { "cpu", "thousandths of a CPU at most, polling threads included",
			 "no limit on CPU time: each polling thread (SQPOLL) may take a whole one", 1 },
	[BUDGET_PIDS] = { "pids", "processes and threads at most, io_uring's workers included",
			  "no limit on threads: io_uring may start as many workers as the user's limit allows", 1 },
};

void doctor_limits(struct doctor *d)
{
	enum doctor_mark unbounded = d->subject.kind == SUBJECT_HOST ? DOCTOR_PLAIN : DOCTOR_WARNING;

	for (int i = 0; i < BUDGET_KINDS; i++) {
		int64_t limit = d->subject.limits.limit[i];

		if (limit == BUDGET_UNKNOWN)
			doctor_say(d, DOCTOR_LIMITS, rows[i].name, DOCTOR_UNKNOWN, NULL,
				   "its control group's limit cannot be read");
		else if (limit == BUDGET_NO_LIMIT)
			doctor_say(d, DOCTOR_LIMITS, rows[i].name, unbounded, "limits", "%s", rows[i].unbounded);
		else
			doctor_say(d, DOCTOR_LIMITS, rows[i].name, DOCTOR_GOOD, NULL, "%lld %s",
				   (long long)limit / rows[i].unit, rows[i].bounded);
	}
}
