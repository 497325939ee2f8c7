/* SPDX-License-Identifier: MIT */
/* Features of the host: security modules, cgroups, tracing. Looked at where they are mounted, or through a mount of our
 * own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/bpf-lsm.h"
#include "kernel/call.h"
#include "kernel/feature-inner.h"
#include "kernel/host.h"
#include "kernel/proc.h"

void feature_host_lsm_bpf(struct kernel_answer *answer)
{
	char names[KERNEL_LSM_TEXT];
	int r = kernel_lsm_names(names, sizeof(names));

	if (r < 0)
		feature_say(answer, KERNEL_UNKNOWN, -r, "the list of security modules cannot be read: %s",
			    feature_errno(-r));
	else
		feature_say(answer, host_lsm_has(names, "bpf") ? KERNEL_YES : KERNEL_NO, 0, "lsm=%s", names);
}

void feature_host_lsm_bpf_load(struct kernel_answer *answer)
{
	int r = bpf_lsm_try();

	if (r == 0)
		feature_say(answer, KERNEL_YES, 0, "%s", "");
	else if (r == -ENOENT)
		feature_say(answer, KERNEL_NO, ENOENT, "the kernel has no type information (BTF), or no such hooks");
	else
		feature_say(answer, KERNEL_NO, -r, "%s: the kernel refuses one, whatever lsm= says", feature_errno(-r));
}

void feature_host_cgroup2(struct kernel_answer *answer)
{
	char point[PROC_PATH_MAX];
	int r = kernel_cgroup2(point, sizeof(point));

	if (r == 0)
		feature_say(answer, KERNEL_YES, 0, "%.200s", point);
	else
		feature_say(answer, r == -ENOENT ? KERNEL_NO : KERNEL_UNKNOWN, -r, "%s",
			    r == -ENOENT ? "not mounted" : feature_errno(-r));
}

/* Older kernels (6.1) call it by the other name. */
static int submit_event(int root)
{
	static const char *const paths[] = { "events/io_uring/io_uring_submit_req/id",
					     "events/io_uring/io_uring_submit_sqe/id" };
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && i < sizeof(paths) / sizeof(*paths); i++)
		r = faccessat(root, paths[i], R_OK, 0) < 0 ? -errno : 0;
	return r;
}

void feature_host_trace(struct kernel_answer *answer)
{
	CLEANUP(cleanup_fd) int root = kernel_tracefs();
	int r = root < 0 ? root : submit_event(root);

	if (r == 0)
		feature_say(answer, KERNEL_YES, 0, "%s", "");
	else
		feature_say(answer, r == -ENOENT || r == -ENODEV ? KERNEL_NO : KERNEL_UNKNOWN, -r, "%s: %s",
			    feature_errno(-r),
			    root < 0 ? "tracefs cannot be looked into" : "no event of a request's submission");
}
