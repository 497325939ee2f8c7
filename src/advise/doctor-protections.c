/* SPDX-License-Identifier: MIT */
/* doctor: which of Circlip's ways to restrict io_uring can be used here, by what each of them needs of the kernel. */
#include <stdio.h>

#include "advise/doctor.h"

enum { NEEDS_MAX = 8, NO_MORE = -1 };

static const struct protection {
	const char *name, *text;
	int needs[NEEDS_MAX]; /* enum kernel_feature; NO_MORE ends them */
} protections[] = {
	{ "task",
	  "the program's own rings are restricted by the kernel, with nothing in between",
	  { KERNEL_TASK_RESTRICTIONS, KERNEL_TASK_RESTRICTIONS_EXEC, NO_MORE } },
	{ "caller",
	  "rings are made by the program and restricted before it can use them, every set-up flag included",
	  { KERNEL_RING_RESTRICTIONS, KERNEL_SECCOMP_NOTIFY, KERNEL_PIDFD_GETFD, KERNEL_PTRACE_CHILD,
	    KERNEL_LSM_BPF_LOAD, NO_MORE } },
	{ "enable",
	  "rings are made for the program by a helper, without polling threads",
	  { KERNEL_RING_RESTRICTIONS, KERNEL_SECCOMP_NOTIFY, KERNEL_SECCOMP_ADDFD, KERNEL_PTRACE_CHILD,
	    KERNEL_PROCESS_VM_READ, NO_MORE } },
	{ "strip",
	  "the same without tracing: flags that need it are taken out",
	  { KERNEL_RING_RESTRICTIONS, KERNEL_SECCOMP_NOTIFY, KERNEL_SECCOMP_ADDFD, KERNEL_PROCESS_VM_READ, NO_MORE } },
	{ "host-guard",
	  "budgets and bans for the whole host or per control group (circlip host)",
	  { KERNEL_LSM_BPF_LOAD, KERNEL_CGROUP2, NO_MORE } },
};

/* The first that is missing, or else the first of which nobody can tell, or NO_MORE. */
static int missing(const struct protection *p)
{
	int untold = NO_MORE;

	for (const int *need = p->needs; *need != NO_MORE; need++) {
		enum kernel_state state = kernel_feature((enum kernel_feature) * need)->state;

		if (state == KERNEL_NO)
			return *need;
		if (state == KERNEL_UNKNOWN && untold == NO_MORE)
			untold = *need;
	}
	return untold;
}

void doctor_protections(struct doctor *d)
{
	for (size_t i = 0; i < sizeof(protections) / sizeof(*protections); i++) {
		const struct protection *p = &protections[i];
		int what = missing(p);
		const struct kernel_answer *answer = what == NO_MORE ? NULL : kernel_feature((enum kernel_feature)what);

		if (!answer)
			doctor_say(d, DOCTOR_PROTECTIONS, p->name, DOCTOR_GOOD, NULL, "%s", p->text);
		else
			doctor_say(d, DOCTOR_PROTECTIONS, p->name,
				   answer->state == KERNEL_NO ? DOCTOR_PLAIN : DOCTOR_UNKNOWN, NULL, "%s: %s: %s",
				   answer->state == KERNEL_NO ? "not here" : "could not tell",
				   kernel_feature_name((enum kernel_feature)what), answer->why);
	}
}
