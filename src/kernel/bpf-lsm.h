/* SPDX-License-Identifier: MIT */
/* BPF programs as security modules: whether they can be loaded, and which watch over io_uring already. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Loads, and drops, the smallest program. -ENOENT when the kernel has no type information or no hook for it, else
 * -errno as the kernel answers: that BPF stands among the active modules does not mean that it may be used.
 */
int bpf_lsm_try(void);

struct bpf_lsm_found {
	unsigned int n_programs; /* on a hook of io_uring */
	unsigned int n_all;      /* on any hook */
	char names[256];         /* "HOOK by NAME (id N), ..." of the first of them */
};

/* 0, or -errno: -EPERM without CAP_SYS_ADMIN. */
int bpf_lsm_find(struct bpf_lsm_found *ret_found);
