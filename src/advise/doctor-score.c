/* SPDX-License-Identifier: MIT */
/*
 * doctor: how far io_uring reaches, as one number.
 *
 * Each question has a weight and an answer from 0 (no way to abuse it) to 100 (nothing in the way); the score is their
 * mean. A question that does not apply does not count; one that nobody could answer counts in full. Where no ring can
 * be made, and none is open, all answers are 0.
 */
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "advise/doctor.h"
#include "kernel/bpf-lsm.h"
#include "kernel/host.h"
#include "kernel/refusal.h"

enum { NOT_APPLICABLE = -1, FULL = 100 };

typedef int question(const struct doctor *d, struct doctor_exposure *e);

static int answer(struct doctor_exposure *e, int badness, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int answer(struct doctor_exposure *e, int badness, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	return badness;
}

static int untold(struct doctor_exposure *e, const char *text)
{
	e->untold = true;
	return answer(e, FULL, "%s, so it counts in full", text);
}

/* ---- the questions ---- */

static int reach_of_host(const struct doctor *d, struct doctor_exposure *e)
{
	if (d->disabled == 2)
		return answer(e, 0, "nobody may make rings (sysctl)");
	if (d->disabled == 1)
		return answer(e, 40, "only CAP_SYS_ADMIN and one group may make rings (sysctl)");
	if (d->disabled == 0)
		return answer(e, FULL, "everybody may make rings");
	if (d->usable == KERNEL_NO && kernel_feature(KERNEL_URING)->value == REFUSAL_ABSENT)
		return answer(e, 0, "this kernel has no io_uring");
	return answer(e, FULL, "this kernel has no switch for it: everybody may make rings");
}

static int reach(const struct doctor *d, struct doctor_exposure *e)
{
	if (d->subject.kind == SUBJECT_HOST)
		return reach_of_host(d, e);
	if (d->has_hole)
		return answer(e, FULL, "its filter does not refuse rings by every way in");
	if (d->usable == KERNEL_NO)
		return answer(e, 0, "it cannot make rings");
	if (d->usable == KERNEL_UNKNOWN)
		return untold(e, "whether it can make rings could not be told");
	return answer(e, FULL, "it can make rings");
}

static int filter(const struct doctor *d, struct doctor_exposure *e)
{
	if (d->subject.kind == SUBJECT_HOST)
		return NOT_APPLICABLE;
	switch (d->subject.filter) {
	case SUBJECT_UNFILTERED:
		return answer(e, FULL, "no seccomp filter stands before io_uring");
	case SUBJECT_ALLOWED:
		return answer(e, FULL, "its filter lets io_uring through, and no filter can look into a ring");
	case SUBJECT_SUPERVISED:
		return answer(e, 10, "a supervisor decides on each ring");
	case SUBJECT_REFUSED:
		return answer(e, 0, "its filter refuses io_uring");
	default:
		return untold(e, "what its filters answer could not be told");
	}
}

static int privileges(const struct doctor *d, struct doctor_exposure *e)
{
	const struct subject *s = &d->subject;

	if (s->kind == SUBJECT_HOST)
		return NOT_APPLICABLE;
	if (s->privileged)
		return answer(e, FULL, "it has CAP_SYS_ADMIN on the host");
	if (s->status.uid == 0 && !s->foreign_user_namespace)
		return answer(e, 60, "it is the host's root, without CAP_SYS_ADMIN");
	if (s->status.cap_effective)
		return answer(e, 40, "it has some capabilities%s",
			      s->foreign_user_namespace ? " in its own user namespace" : "");
	return s->status.no_new_privs == 1 ? answer(e, 0, "no privileges, and it cannot gain any")
					   : answer(e, 30, "no privileges, but it may gain some by set-id programs");
}

enum { FIRST_CVE = 40, FURTHER_CVE = 20, UNSURE_CVE = 10 };

static int vulnerabilities(const struct doctor *d, struct doctor_exposure *e)
{
	int unsure = 0, badness;

	if (!d->kernel.version)
		return untold(e, "the kernel's version says nothing");
	if (!d->n_cves)
		return answer(e, 0, "no vulnerability of io_uring is known in this release");
	for (size_t i = 0; i < d->n_cves; i++)
		unsure += d->cves[i]->unsure;
	badness = ((int)d->n_cves - unsure) * FURTHER_CVE + unsure * UNSURE_CVE + FIRST_CVE - FURTHER_CVE;
	return answer(e, badness < FULL ? badness : FULL, "%zu known in this release, %d of them perhaps%s", d->n_cves,
		      unsure,
		      *d->kernel.vendor || d->kernel.backports
			      ? ", unless they were repaired without changing its number"
			      : "");
}

static int limited(const struct doctor *d, struct doctor_exposure *e, enum budget_kind which, const char *what)
{
	int64_t limit = d->subject.limits.limit[which];

	if (limit == BUDGET_UNKNOWN)
		return untold(e, "the control group cannot be read");
	return limit == BUDGET_NO_LIMIT ? answer(e, FULL, "no control group bounds %s", what)
					: answer(e, 0, "a control group bounds %s", what);
}

static int polling(const struct doctor *d, struct doctor_exposure *e)
{
	const struct kernel_answer *may = kernel_feature(KERNEL_SQPOLL_UNPRIVILEGED);

	if (may->state == KERNEL_NO && !d->subject.privileged)
		return answer(e, 0, "polling threads need privileges here");
	return limited(d, e, BUDGET_CPU, "the CPU time of polling threads");
}

static int memory(const struct doctor *d, struct doctor_exposure *e)
{
	return limited(d, e, BUDGET_MEMORY, "the memory of completions that nobody reaps");
}

static int threads(const struct doctor *d, struct doctor_exposure *e)
{
	return limited(d, e, BUDGET_PIDS, "the number of worker threads");
}

static int watched(const struct doctor *d, struct doctor_exposure *e)
{
	struct bpf_lsm_found found = { 0 };
	bool seen = bpf_lsm_find(&found) == 0;

	if (found.n_programs)
		return answer(e, 20, "BPF programs watch over io_uring");
	if (*d->subject.confinement)
		return answer(e, 20, "a security module confines it");
	if (!*d->modules)
		return untold(e, "the security modules cannot be read");
	if (!seen && host_lsm_has(d->modules, "bpf"))
		return untold(e, "whether BPF programs watch over io_uring cannot be seen");
	return answer(e, FULL, "no security module watches over io_uring%s",
		      d->subject.kind == SUBJECT_HOST ? ", as far as this process is concerned" : "");
}

static const struct {
	const char *name;
	unsigned int weight;
	question *ask;
} questions[] = {
	{ "reach", 20, reach },    { "vulnerabilities", 25, vulnerabilities },
	{ "filter", 15, filter },  { "privileges", 10, privileges },
	{ "memory", 8, memory },   { "polling", 8, polling },
	{ "watched", 8, watched }, { "threads", 4, threads },
};

/* ---- the sum ---- */

static bool is_closed(const struct doctor *d)
{
	return d->n_exposures && d->exposures[0].badness == 0 && d->subject.n_rings == 0;
}

static void set_aside(const struct doctor *d, struct doctor_exposure *e)
{
	e->badness = 0;
	e->untold = false;
	snprintf(e->text, sizeof(e->text), "no ring can be made%s, so it does not matter",
		 d->subject.kind == SUBJECT_HOST ? "" : " and none is open");
}

void doctor_score(struct doctor *d)
{
	unsigned int sum = 0, weights = 0;

	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
		struct doctor_exposure *e = &d->exposures[d->n_exposures];

		*e = (struct doctor_exposure){ .name = questions[i].name, .weight = questions[i].weight };
		e->badness = questions[i].ask(d, e);
		if (e->badness == NOT_APPLICABLE)
			continue;
		if (is_closed(d))
			set_aside(d, e);
		d->n_exposures++;
		sum += e->weight * (unsigned int)e->badness;
		weights += e->weight;
	}
	d->score = weights ? (sum + weights / 2) / weights : 0;
}

const char *doctor_grade(unsigned int score)
{
	static const struct {
		unsigned int from;
		const char *name;
	} grades[] = {
		{ 100, "DANGEROUS" }, { 90, "UNSAFE" }, { 75, "EXPOSED" },
		{ 50, "MEDIUM" },     { 10, "OK" },     { 1, "SAFE" },
	};

	for (size_t i = 0; i < sizeof(grades) / sizeof(*grades); i++)
		if (score >= grades[i].from)
			return grades[i].name;
	return "PERFECT";
}
