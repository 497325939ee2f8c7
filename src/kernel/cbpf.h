/* SPDX-License-Identifier: MIT */
/*
 * Classic BPF as seccomp runs it, to learn what a filter of another process would answer without making the call.
 *
 * The kernel checks a program when it is installed and then trusts it; here every step is checked as it is taken, so
 * that any bytes at all are a program, though perhaps one that is not valid. Jumps only lead forward, so it always
 * ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CBPF_MAX = 4096 }; /* instructions: BPF_MAXINSNS */

struct cbpf_insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};
_Static_assert(sizeof(struct cbpf_insn) == 8, "kernel ABI");

/* struct seccomp_data */
struct cbpf_call {
	int32_t nr;
	uint32_t arch;
	uint64_t ip;
	uint64_t args[6];
};
_Static_assert(sizeof(struct cbpf_call) == 64, "kernel ABI");

struct cbpf_result {
	uint32_t action;   /* SECCOMP_RET_* with its data */
	bool looked_at_ip; /* before it decided; another call from elsewhere may get another answer */
	bool looked_at_args;
};

/* 0, or -EINVAL when the program does something that the kernel would not have let in. */
int cbpf_run(const struct cbpf_insn *program, size_t n, const struct cbpf_call *call, struct cbpf_result *ret_result);

/* The one of two actions that the kernel obeys. */
uint32_t cbpf_stronger(uint32_t a, uint32_t b);
