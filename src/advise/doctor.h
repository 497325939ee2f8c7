/* SPDX-License-Identifier: MIT */
/*
 * circlip doctor: what a host, a process or a container allows io_uring to do, and why.
 *
 * Three kinds of statements come out. Items say what was found, each with a mark and, where something stands in the
 * way, the kind of fix that removes it (advise/fix.h). Exposures are questions that each weigh something; together they
 * make a score from 0.0 to 10.0 in the manner of `systemd-analyze security`: how far io_uring reaches for somebody who
 * wants to abuse it, not how well it works. Vulnerabilities are those that upstream knows of this kernel's version.
 * "Could not tell" is an answer of its own everywhere; the score counts it in full and says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "advise/cve.h"
#include "advise/subject.h"
#include "kernel/feature.h"

enum doctor_section { DOCTOR_ACCESS, DOCTOR_LIMITS, DOCTOR_KERNEL, DOCTOR_CVES, DOCTOR_PROTECTIONS, DOCTOR_SECTIONS };

enum doctor_mark {
	DOCTOR_GOOD,
	DOCTOR_PLAIN, /* a fact without praise or blame */
	DOCTOR_WARNING,
	DOCTOR_OBSTACLE, /* io_uring cannot be used because of it */
	DOCTOR_UNKNOWN,
};

enum { DOCTOR_ITEMS_MAX = 96, DOCTOR_EXPOSURES_MAX = 16, DOCTOR_TEXT = 512, DOCTOR_CVES_MAX = 96 };

struct doctor_item {
	enum doctor_section section;
	enum doctor_mark mark;
	const char *name;
	const char *fix; /* the kind that removes it; NULL = none */
	char text[DOCTOR_TEXT];
};

struct doctor_exposure {
	const char *name;
	unsigned int weight;
	int badness; /* 0 to 100; -1 = does not apply and does not count */
	bool untold; /* counted in full because nobody could tell */
	char text[DOCTOR_TEXT];
};

struct doctor {
	struct subject subject;
	int64_t disabled, group; /* the sysctls; -1 = there are none */
	char modules[256];       /* security modules; "" = not known */
	struct cve_kernel kernel;
	char release[65];

	bool has_hole;            /* a filter refuses rings, but not by every way in */
	enum kernel_state usable; /* whether a ring can be made by the subject, all in all */
	size_t n_items;
	struct doctor_item items[DOCTOR_ITEMS_MAX];
	size_t n_cves;
	const struct cve *cves[DOCTOR_CVES_MAX];
	size_t n_exposures;
	struct doctor_exposure exposures[DOCTOR_EXPOSURES_MAX];
	unsigned int score; /* tenths: 0 to 100 */
};

/* Fills all but the subject, which is there already, and Circlip's own protections, which are not known here. */
void doctor_examine(struct doctor *doctor);

/* "PERFECT" ... "DANGEROUS" */
const char *doctor_grade(unsigned int score);
const char *doctor_section_name(enum doctor_section section); /* "access", "limits", ... */
const char *doctor_mark_name(enum doctor_mark mark);          /* "good", "plain", "warning", "obstacle", "unknown" */

/* ---- for the files that do the examining ---- */

void doctor_say(struct doctor *doctor, enum doctor_section section, const char *name, enum doctor_mark mark,
		const char *fix, const char *format, ...) __attribute__((format(printf, 6, 7)));

void doctor_access(struct doctor *doctor); /* doctor-access.c: who may make rings */
void doctor_limits(struct doctor *doctor); /* doctor-limits.c */
void doctor_kernel(struct doctor *doctor); /* doctor-features.c: what this kernel's io_uring can do, and its CVEs */
void doctor_score(struct doctor *doctor);  /* doctor-score.c: exposures, from all the others */
