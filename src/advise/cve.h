/* SPDX-License-Identifier: MIT */
/*
 * Which known vulnerabilities of io_uring a kernel has by its version. Upstream's versions, that is: a distribution may
 * have repaired one without changing the number, or may carry a newer bug in an older kernel, so nothing here is more
 * than a reason to look.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CVE_RANGES_MAX = 6 };

struct cve {
	const char *id, *title, *feature;
	bool unsure; /* a bound of the versions is not known */
	struct {
		uint32_t from,
			to; /* PROC_VERSION; affected from the first, no more from the second on. 0 ends the list */
	} ranges[CVE_RANGES_MAX];
};

/* The i-th of all, NULL after the last. */
const struct cve *cve_get(size_t i);

bool cve_affects(const struct cve *cve, uint32_t version);

/* The release of the stable branch in which this one's is repaired, 0 when none is on record. */
uint32_t cve_repaired(const struct cve *cve, uint32_t version);

/* Of which upstream release a kernel was made. */
struct cve_kernel {
	uint32_t version;
	const char *vendor; /* "Debian", "Ubuntu", "Red Hat"; "" = not known or upstream itself */
	bool backports;     /* the number says little: the vendor repairs old releases for years */
};

/* From uname -r, uname -v and /proc/version_signature (NULL when there is none). */
void cve_parse_kernel(const char *release, const char *version, const char *signature, struct cve_kernel *ret_kernel);
void cve_this_kernel(struct cve_kernel *ret_kernel);
