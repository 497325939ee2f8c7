/* SPDX-License-Identifier: MIT */
/* doctor: who may make rings. For this process it is tried; for another one each of those who might refuse is asked. */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "advise/doctor.h"
#include "advise/fix.h"
#include "kernel/bpf-lsm.h"
#include "kernel/host.h"
#include "kernel/refusal.h"

#define SAY(d, ...) doctor_say(d, DOCTOR_ACCESS, __VA_ARGS__)

/* What removes a refusal; NULL where nobody but an administrator can say. */
static const char *fix_of(const struct doctor *d, enum refusal refusal)
{
	switch (refusal) {
	case REFUSAL_SYSCTL:
		return d->disabled == 1 ? "sysctl-group" : "sysctl";
	case REFUSAL_SECCOMP:
	case REFUSAL_KILLED:
		return fix_for_filter(d->subject.limits.path);
	case REFUSAL_LSM:
		return host_lsm_has(d->modules, "selinux") ? "selinux" : NULL;
	case REFUSAL_MEMLOCK:
		return "memlock";
	case REFUSAL_MEMORY:
		return "limits";
	default:
		return NULL;
	}
}

/* Whether this kernel has io_uring at all, whoever forbids it. */
static enum kernel_state has_uring(const struct doctor *d)
{
	const struct kernel_answer *uring = kernel_feature(KERNEL_URING);

	if (uring->state == KERNEL_YES || d->disabled >= 0)
		return KERNEL_YES;
	return uring->state == KERNEL_NO && uring->value == REFUSAL_ABSENT ? KERNEL_NO : KERNEL_UNKNOWN;
}

static void tried_here(struct doctor *d)
{
	const struct kernel_answer *uring = kernel_feature(KERNEL_URING);
	enum refusal refusal = uring->state == KERNEL_NO ? (enum refusal)uring->value : REFUSAL_NONE;

	d->usable = uring->state;
	if (uring->state == KERNEL_YES)
		SAY(d, "ring", DOCTOR_GOOD, NULL, "a ring was made here");
	else if (uring->state == KERNEL_NO)
		SAY(d, "ring", DOCTOR_OBSTACLE, fix_of(d, refusal), "no ring can be made: %s", uring->why);
	else
		SAY(d, "ring", DOCTOR_UNKNOWN, NULL, "%s", uring->why);
}

/* ---- the sysctl ---- */

static void sysctl(struct doctor *d)
{
	int may = subject_sysctl(&d->subject, d->disabled, d->group);
	static const char *const meanings[] = { "everybody may make rings",
						"only CAP_SYS_ADMIN and one group may make rings",
						"nobody may make rings" };
	const char *meaning =
		d->disabled >= 0 && d->disabled <= 2 ? meanings[d->disabled] : "not a value of this kernel's";

	if (d->disabled < 0)
		SAY(d, "sysctl", DOCTOR_PLAIN, NULL, "this kernel has no kernel.io_uring_disabled (Linux 6.6)");
	else if (may == 1)
		SAY(d, "sysctl", DOCTOR_GOOD, NULL, "kernel.io_uring_disabled is %d: %s", (int)d->disabled, meaning);
	else
		SAY(d, "sysctl", may == 0 ? DOCTOR_OBSTACLE : DOCTOR_UNKNOWN, fix_of(d, REFUSAL_SYSCTL),
		    "kernel.io_uring_disabled is %d: %s (kernel.io_uring_group is %d)%s", (int)d->disabled, meaning,
		    (int)d->group, may == 0 ? ", and this one may not: EPERM" : "");
}

/* ---- seccomp ---- */

/* Each is the same call in the kernel, by another number or another way in. */
static void hole(struct doctor *d, enum subject_call call, enum kernel_feature way, const char *how)
{
	if (d->subject.filter != SUBJECT_REFUSED ||
	    subject_meaning(d->subject.answers[call].action) != SUBJECT_ALLOWED ||
	    kernel_feature(way)->state == KERNEL_NO)
		return;
	d->has_hole = true;
	SAY(d, "seccomp-hole", DOCTOR_WARNING, NULL,
	    "the filter refuses io_uring_setup, but lets it through %s: it should refuse foreign calls", how);
}

/* A ring that may be made but not entered is of little use. */
static enum doctor_mark mark_of_filter(const struct subject *s)
{
	if (s->filter == SUBJECT_REFUSED)
		return DOCTOR_OBSTACLE;
	if (subject_meaning(s->answers[SUBJECT_ENTER].action) == SUBJECT_REFUSED ||
	    subject_meaning(s->answers[SUBJECT_REGISTER].action) == SUBJECT_REFUSED)
		return DOCTOR_WARNING;
	return s->filter == SUBJECT_ALLOWED ? DOCTOR_GOOD : DOCTOR_PLAIN;
}

static void filter_answers(struct doctor *d)
{
	const struct subject *s = &d->subject;
	char setup[32], enter[32], reg[32];

	seccomp_action_text(s->answers[SUBJECT_SETUP].action, setup, sizeof(setup));
	seccomp_action_text(s->answers[SUBJECT_ENTER].action, enter, sizeof(enter));
	seccomp_action_text(s->answers[SUBJECT_REGISTER].action, reg, sizeof(reg));
	SAY(d, "seccomp", mark_of_filter(s), s->filter == SUBJECT_REFUSED ? fix_of(d, REFUSAL_SECCOMP) : NULL,
	    "its %u filter%s, run here, answer%s io_uring_setup with %s, io_uring_enter with %s, io_uring_register "
	    "with %s%s%s",
	    s->n_filters, s->n_filters == 1 ? "" : "s", s->n_filters == 1 ? "s" : "", setup, enter, reg,
	    s->filter == SUBJECT_SUPERVISED ? "; what the supervisor says cannot be foretold" : "",
	    s->answers[SUBJECT_SETUP].depends ? " (it also looks at the arguments: another set-up may fare otherwise)"
					      : "");
	hole(d, SUBJECT_SETUP_I386, KERNEL_CALLS_I386, "as a 32-bit call (int 0x80)");
	hole(d, SUBJECT_SETUP_X32, KERNEL_CALLS_X32, "by its x32 number");
}

static void seccomp(struct doctor *d)
{
	static const struct {
		enum doctor_mark mark;
		const char *text;
	} rows[] = {
		[SUBJECT_UNFILTERED] = { DOCTOR_PLAIN, "no filter" },
		[SUBJECT_ALLOWED] = { DOCTOR_GOOD, "filtered, and io_uring_setup is let through" },
		[SUBJECT_REFUSED] = { DOCTOR_OBSTACLE, "filtered, and io_uring_setup is refused" },
		[SUBJECT_SUPERVISED] = { DOCTOR_PLAIN, "supervised" },
		[SUBJECT_UNTOLD] = { DOCTOR_UNKNOWN, "filtered; whether io_uring is refused could not be told: " },
	};
	const struct subject *s = &d->subject;

	if (s->answers_known)
		filter_answers(d);
	else
		SAY(d, "seccomp", rows[s->filter].mark,
		    s->filter == SUBJECT_REFUSED ? fix_of(d, REFUSAL_SECCOMP) : NULL, "%s%s", rows[s->filter].text,
		    s->why_not);
	if (s->threads_differ)
		SAY(d, "seccomp-threads", DOCTOR_WARNING, NULL,
		    "its threads have different filters; these are the first thread's");
}

/* ---- security modules ---- */

static void modules(struct doctor *d)
{
	struct bpf_lsm_found found;
	int r = bpf_lsm_find(&found);

	if (!*d->modules)
		SAY(d, "lsm", DOCTOR_UNKNOWN, NULL, "which security modules are active cannot be read");
	else
		SAY(d, "lsm", DOCTOR_PLAIN, NULL, "active: %s%s%s", d->modules,
		    *d->subject.confinement ? "; it is confined as " : "", d->subject.confinement);
	if (r == 0 && found.n_programs)
		SAY(d, "lsm-bpf", DOCTOR_PLAIN, NULL, "BPF programs watch over io_uring: %s", found.names);
	else if (r < 0 && strstr(d->modules, "bpf"))
		SAY(d, "lsm-bpf", DOCTOR_UNKNOWN, NULL,
		    "whether BPF programs watch over io_uring needs CAP_SYS_ADMIN to see");
}

/* ---- memory that must be locked ---- */

/* The smallest ring takes two pages, as it was measured. */
enum { SMALLEST_RING = 8192, SCANTY_KIB = 64 };

static bool has_no_memory(const struct doctor *d)
{
	const struct subject *s = &d->subject;

	return s->pid && s->memlock_known && !s->ipc_lock && s->memlock < SMALLEST_RING &&
	       kernel_has(KERNEL_MEMLOCK_COUNTS);
}

static void memlock(struct doctor *d)
{
	const struct kernel_answer *counts = kernel_feature(KERNEL_MEMLOCK_COUNTS),
				   *fits = kernel_feature(KERNEL_MEMLOCK);
	const struct subject *s = &d->subject;
	unsigned long long kib = (unsigned long long)s->memlock >> 10;

	if (s->ipc_lock)
		SAY(d, "memlock", DOCTOR_GOOD, NULL, "CAP_IPC_LOCK: rings and registered buffers are not counted");
	else if (!s->memlock_known)
		SAY(d, "memlock", DOCTOR_UNKNOWN, NULL, "its limits cannot be read");
	else if (s->memlock == UINT64_MAX)
		SAY(d, "memlock", DOCTOR_GOOD, NULL, "no limit");
	else if (has_no_memory(d))
		SAY(d, "memlock", DOCTOR_OBSTACLE, "memlock", "%llu bytes, and the smallest ring takes %d: ENOMEM",
		    (unsigned long long)s->memlock, SMALLEST_RING);
	else if (!s->pid && fits->state == KERNEL_NO)
		SAY(d, "memlock", d->usable == KERNEL_YES ? DOCTOR_WARNING : DOCTOR_OBSTACLE, "memlock",
		    "%llu KiB, of which a ring of 4096 entries does not get what it needs: ENOMEM", kib);
	else if (counts->state == KERNEL_YES)
		SAY(d, "memlock", kib < SCANTY_KIB ? DOCTOR_WARNING : DOCTOR_PLAIN, "memlock",
		    "%llu KiB for the rings and registered buffers of all of the user's processes (this kernel counts "
		    "both)",
		    kib);
	else
		SAY(d, "memlock", DOCTOR_PLAIN, "memlock",
		    "%llu KiB for the registered buffers of all of the user's processes%s", kib,
		    counts->state == KERNEL_NO ? " (rings are not counted on this kernel)" : "");
}

/* ---- all in all ---- */

/*
 * Security modules that are asked whether a ring may be made: SELinux, and BPF programs. AppArmor and Smack only have a
 * word in polling threads, other credentials and commands.
 */
static bool may_be_refused_by_module(const struct doctor *d)
{
	struct bpf_lsm_found found;

	return (*d->subject.confinement && host_lsm_has(d->modules, "selinux")) ||
	       (bpf_lsm_find(&found) == 0 && found.n_programs);
}

/* Another process: who might refuse has been asked, so what remains is that nobody does. */
static void conclude(struct doctor *d)
{
	enum kernel_state has = has_uring(d);
	int may = subject_sysctl(&d->subject, d->disabled, d->group);
	enum subject_filter filter = d->subject.filter;

	if (has == KERNEL_NO || may == 0 || filter == SUBJECT_REFUSED || has_no_memory(d))
		d->usable = KERNEL_NO;
	else if (has == KERNEL_UNKNOWN || filter == SUBJECT_UNTOLD || filter == SUBJECT_SUPERVISED ||
		 (may < 0 && d->disabled >= 0) || may_be_refused_by_module(d))
		d->usable = KERNEL_UNKNOWN;
	else
		d->usable = KERNEL_YES;
}

static void say_conclusion(struct doctor *d)
{
	if (d->usable == KERNEL_YES)
		SAY(d, "ring", DOCTOR_GOOD, NULL, "it can make rings: neither the sysctl nor a filter refuses");
	else if (d->usable == KERNEL_UNKNOWN)
		SAY(d, "ring", DOCTOR_UNKNOWN, NULL, "whether it can make rings could not be told%s",
		    may_be_refused_by_module(d) ? ": what a security module allows cannot be tried from outside" : "");
	else
		SAY(d, "ring", DOCTOR_OBSTACLE, NULL,
		    has_uring(d) == KERNEL_NO ? "this kernel has no io_uring" : "it cannot make rings; see below");
}

static void open_rings(struct doctor *d)
{
	const struct subject *s = &d->subject;

	if (s->kind == SUBJECT_HOST || s->n_rings == 0)
		return;
	if (s->n_rings < 0)
		SAY(d, "open-rings", DOCTOR_UNKNOWN, NULL, "its descriptors cannot be read");
	else
		SAY(d, "open-rings", d->usable == KERNEL_NO ? DOCTOR_WARNING : DOCTOR_PLAIN, NULL,
		    "it has %d ring%s open, %d with a polling thread%s", s->n_rings, s->n_rings == 1 ? "" : "s",
		    s->n_pollers,
		    d->usable == KERNEL_NO ? "; rings that exist go on working, whatever refuses new ones" : "");
}

void doctor_access(struct doctor *d)
{
	if (d->subject.kind == SUBJECT_HOST) {
		tried_here(d);
	} else {
		conclude(d);
		say_conclusion(d);
	}
	sysctl(d);
	seccomp(d);
	modules(d);
	memlock(d);
	open_rings(d);
}
