/* SPDX-License-Identifier: MIT */
/* Where the host keeps things: pseudo file systems that may be mounted elsewhere, twice, or nowhere. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { KERNEL_LSM_TEXT = 256 };

/* "lockdown,capability,bpf", in the kernel's order where it says so; 0 or -errno. */
int kernel_lsm_names(char *text, size_t size);
bool host_lsm_has(const char *names, const char *name);

/* Where the unified cgroup hierarchy is mounted; -ENOENT when it is not. */
int kernel_cgroup2(char *point, size_t size);

/* A descriptor of tracefs' root, or -errno: mounted, or (with CAP_SYS_ADMIN) a mount that nobody else sees. */
int kernel_tracefs(void);
