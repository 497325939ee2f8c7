/* SPDX-License-Identifier: MIT */
#include "cli/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/uring.h"
#include "base/cleanup.h"
#include "base/err.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_register 427
#endif

enum { PROBE_OPS = 256, PROBE_SUPPORTED = 1u << 0 };

/* The argument of URING_REG_PROBE; the kernel wants it zeroed. */
struct probe_argument {
	uint8_t last_op, n_ops;
	uint16_t resv;
	uint32_t resv2[3];
	struct {
		uint8_t op, resv;
		uint16_t flags;
		uint32_t resv2;
	} ops[PROBE_OPS];
};
_Static_assert(sizeof(struct probe_argument) == 16 + 8 * PROBE_OPS, "kernel ABI");

/* What the administrator has set, or -1 where the kernel has no such switch (before 6.6). */
static int disabled_switch(void)
{
	CLEANUP(cleanup_file) FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	int value;

	return file && fscanf(file, "%d", &value) == 1 ? value : -1;
}

static int no_ring(int error, struct err *err)
{
	int disabled = disabled_switch();

	if (error == EPERM && disabled > 0)
		return err_set(err, -error,
			       "io_uring_setup: EPERM: sysctl kernel.io_uring_disabled is %d (0 allows it%s)", disabled,
			       disabled == 1 ? ", and so does the group in kernel.io_uring_group" : "");
	if (error == EPERM)
		return err_set(
			err, -error,
			"io_uring_setup: EPERM: a seccomp filter refuses it here, as those of container runtimes do");
	if (error == ENOSYS)
		return err_set(err, -error,
			       "io_uring_setup: ENOSYS: the kernel has no io_uring (it came with 5.1), or a seccomp "
			       "filter hides it");
	if (error == ENOMEM)
		return err_set(err, -error, "io_uring_setup: ENOMEM: before Linux 5.12 rings count against ulimit -l");
	return err_set(err, -error, "io_uring_setup: %s", strerror(error));
}

int probe_kernel(struct probe *ret_probe, struct err *err)
{
	struct uring_params params = { 0 };
	struct probe_argument argument = { 0 };
	CLEANUP(cleanup_fd) int fd = (int)syscall(SYS_io_uring_setup, 1, &params);

	if (fd < 0)
		return no_ring(errno, err);
	if (syscall(SYS_io_uring_register, fd, URING_REG_PROBE, &argument, PROBE_OPS) < 0)
		return err_set(err, -errno, "io_uring_register(REGISTER_PROBE): %s (Linux 5.6 was the first to answer)",
			       strerror(errno));
	*ret_probe = (struct probe){ .n_ops = argument.last_op + 1u };
	for (unsigned int i = 0; i < argument.n_ops; i++)
		ret_probe->supported[argument.ops[i].op] = argument.ops[i].flags & PROBE_SUPPORTED;
	return 0;
}
