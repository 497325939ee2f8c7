/* SPDX-License-Identifier: MIT */
/* What removes an obstacle, or bounds a danger: whole files and exact commands, by kind. */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct err;
struct subject;

/* The i-th kind, and what it is for; NULL after the last. */
const char *fix_kind(size_t i);
const char *fix_summary(size_t i);

struct fix_request {
	const char *base; /* a seccomp profile to add to; NULL = the one that is installed */
	const char *unit; /* a systemd service; NULL = a placeholder */
	const char *user; /* whose limits; NULL = all users' */
};

/*
 * Writes the file to `to` and, where that cannot hold comments, what to do with it to `notes`. 0 or -errno with a text:
 * -ENOENT no profile is installed.
 */
int fix_write(size_t kind, const struct fix_request *request, FILE *to, FILE *notes, struct err *err);

/* The kind that opens the filters of whoever started this process, by its control group. */
const char *fix_for_filter(const char *cgroup_path);
