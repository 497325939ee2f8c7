/* SPDX-License-Identifier: MIT */
#include "advise/cve.h"

#include <string.h>
#include <sys/utsname.h>

#include "kernel/proc.h"

#define V(major, minor, patch) PROC_VERSION(major, minor, patch)
#define SURE false
#define UNSURE true
#define CVE(id, title, feature, unsure, ...) { id, title, feature, unsure, { __VA_ARGS__ } },
static const struct cve cves[] = {
#include "cves.def"
};

const struct cve *cve_get(size_t i)
{
	return i < sizeof(cves) / sizeof(*cves) ? &cves[i] : NULL;
}

static int range_of(const struct cve *cve, uint32_t version)
{
	for (int i = 0; i < CVE_RANGES_MAX && cve->ranges[i].to; i++)
		if (version >= cve->ranges[i].from && version < cve->ranges[i].to)
			return i;
	return -1;
}

bool cve_affects(const struct cve *cve, uint32_t version)
{
	return range_of(cve, version) >= 0;
}

uint32_t cve_repaired(const struct cve *cve, uint32_t version)
{
	int i = range_of(cve, version);
	uint32_t to = i < 0 ? 0 : cve->ranges[i].to;

	return to >> 16 == version >> 16 ? to : 0;
}

/* ---- the kernel ---- */

/* Debian writes the release that it builds into uname -v: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-05-01)". */
static bool is_debian(const char *version, struct cve_kernel *kernel)
{
	static const char mark[] = "Debian ";
	const char *at = strstr(version, mark);
	uint32_t number = at ? proc_parse_release(at + sizeof(mark) - 1) : 0;

	if (number)
		*kernel = (struct cve_kernel){ .version = number, .vendor = "Debian" };
	return number;
}

/* Ubuntu has a file for it: "Ubuntu 6.8.0-45.45-generic 6.8.12". */
static bool is_ubuntu(const char *signature, struct cve_kernel *kernel)
{
	const char *last = signature ? strrchr(signature, ' ') : NULL;
	uint32_t number = last && strncmp(signature, "Ubuntu ", 7) == 0 ? proc_parse_release(last + 1) : 0;

	if (number)
		*kernel = (struct cve_kernel){ .version = number, .vendor = "Ubuntu", .backports = true };
	return number;
}

static const struct {
	const char *mark, *vendor;
} vendors[] = {
	{ ".el", "Red Hat" },      { ".fc", "Fedora" },           { "-default", "SUSE" },
	{ "-generic", "Ubuntu" },  { ".amzn", "Amazon" },         { "-gke", "Google" },
	{ "-azure", "Microsoft" }, { "-microsoft", "Microsoft" }, { "linuxkit", "Docker" },
};

void cve_parse_kernel(const char *release, const char *version, const char *signature, struct cve_kernel *ret_kernel)
{
	struct cve_kernel kernel = { .version = proc_parse_release(release), .vendor = "" };

	if (!is_debian(version, &kernel) && !is_ubuntu(signature, &kernel)) {
		for (size_t i = 0; i < sizeof(vendors) / sizeof(*vendors); i++)
			if (strstr(release, vendors[i].mark)) {
				kernel.vendor = vendors[i].vendor;
				kernel.backports = true;
				break;
			}
		kernel.backports |= release[strspn(release, "0123456789.")] != '\0';
	}
	*ret_kernel = kernel;
}

void cve_this_kernel(struct cve_kernel *ret_kernel)
{
	struct utsname name;
	char signature[256];
	ssize_t n = proc_read("/proc/version_signature", signature, sizeof(signature));

	if (n > 0)
		signature[strcspn(signature, "\n")] = '\0';
	if (uname(&name) < 0)
		name.release[0] = name.version[0] = '\0';
	cve_parse_kernel(name.release, name.version, n > 0 ? signature : NULL, ret_kernel);
}
