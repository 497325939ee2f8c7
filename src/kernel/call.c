/* SPDX-License-Identifier: MIT */
#include "kernel/call.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/uring.h"
#include "base/cleanup.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif
#ifndef SYS_lsm_list_modules
#define SYS_lsm_list_modules 461
#endif

static int outcome(long r)
{
	return r < 0 ? -errno : (int)r;
}

int kernel_setup(unsigned int entries, struct uring_params *params)
{
	return outcome(syscall(SYS_io_uring_setup, entries, params));
}

int kernel_enter(int fd, unsigned int to_submit, unsigned int min_complete, unsigned int flags, const void *arg,
		 size_t size)
{
	return outcome(syscall(SYS_io_uring_enter, fd, to_submit, min_complete, flags, arg, size));
}

int kernel_register(int fd, unsigned int opcode, const void *arg, unsigned int n_args)
{
	return outcome(syscall(SYS_io_uring_register, fd, opcode, arg, n_args));
}

int kernel_pidfd_open(pid_t pid, unsigned int flags)
{
	return outcome(syscall(SYS_pidfd_open, pid, flags));
}

int kernel_pidfd_getfd(int pidfd, int fd, unsigned int flags)
{
	return outcome(syscall(SYS_pidfd_getfd, pidfd, fd, flags));
}

int kernel_seccomp(unsigned int operation, unsigned int flags, const void *arg)
{
	return outcome(syscall(SYS_seccomp, operation, flags, arg));
}

int kernel_bpf(unsigned int command, const void *attr, size_t size)
{
	return outcome(syscall(SYS_bpf, command, attr, size));
}

int kernel_execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	return outcome(syscall(SYS_execveat, fd, path, argv, envp, flags));
}

int kernel_lsm_list(uint64_t *ids, size_t n_ids)
{
	uint32_t size = (uint32_t)(n_ids * sizeof(*ids));

	return outcome(syscall(SYS_lsm_list_modules, ids, &size, 0));
}

int kernel_mount_detached(const char *type)
{
	CLEANUP(cleanup_fd) int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);

	if (context < 0)
		return -errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	return outcome(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY));
}
