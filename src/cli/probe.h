/* SPDX-License-Identifier: MIT */
/* Which operations the running kernel knows, asked of a ring. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

struct probe {
	uint32_t n_ops; /* that the kernel knows */
	bool supported[256];
};

/* 0, or -errno with a text that says why a ring could not be made or asked, and what would help. */
int probe_kernel(struct probe *ret_probe, struct err *err);
