/* SPDX-License-Identifier: MIT */
/* System calls that Debian 12's libc has no function for, or hides the error of: a result, or -errno; -ENOSYS where
 * missing. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct uring_params;

int kernel_setup(unsigned int entries, struct uring_params *params);
int kernel_enter(int fd, unsigned int to_submit, unsigned int min_complete, unsigned int flags, const void *arg,
		 size_t size);
int kernel_register(int fd, unsigned int opcode, const void *arg, unsigned int n_args);

int kernel_pidfd_open(pid_t pid, unsigned int flags);
int kernel_pidfd_getfd(int pidfd, int fd, unsigned int flags);

int kernel_seccomp(unsigned int operation, unsigned int flags, const void *arg);

/* `attr` is a union bpf_attr, or the beginning of one. */
int kernel_bpf(unsigned int command, const void *attr, size_t size);

int kernel_execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags);

/* The active security modules' numbers (Linux 6.8): how many, or -errno. */
int kernel_lsm_list(uint64_t *ids, size_t n_ids);

/* A file system that is mounted nowhere: a descriptor of its root, closing which ends it. Needs CAP_SYS_ADMIN. */
int kernel_mount_detached(const char *type);
