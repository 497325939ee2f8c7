/* SPDX-License-Identifier: MIT */
/*
 * Seccomp profiles of container runtimes, with io_uring allowed.
 *
 * A profile that is given to a runtime replaces its own, so it must be the runtime's own plus three calls: anything
 * written from scratch would allow more or less than what the container had. So one that is installed is read and added
 * to. Docker, Podman and CRI-O take it as it is; containerd (Kubernetes' Localhost profiles) and the OCI configuration
 * know no conditions, which are then resolved for a container with the usual capabilities.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct err;

/* The profile that is installed here, or NULL. */
const char *unblock_installed(void);

/* Reads `base`, and writes it with io_uring's calls allowed; `resolved` without conditions. 0 or -errno with a text. */
int unblock_write(const char *base, bool resolved, FILE *to, struct err *err);
