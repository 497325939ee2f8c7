/* SPDX-License-Identifier: MIT */
/*
 * What the seccomp filters of another process would answer to a call.
 *
 * Nobody can try a call under somebody else's filters: entering the namespaces does not bring them along. But the
 * kernel hands out the programs (PTRACE_SECCOMP_GET_FILTER, with CAP_SYS_ADMIN), and they are pure functions of the
 * call, so they can be run here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

enum { SECCOMP_CALLS_MAX = 16, SECCOMP_FILTERS_MAX = 64 };

struct seccomp_call {
	uint32_t arch; /* AUDIT_ARCH_* */
	int nr;
};

struct seccomp_answer {
	uint32_t action; /* SECCOMP_RET_* with its data */
	bool depends;    /* on the arguments or on where the call is made from */
};

/*
 * The answers to `calls`, in their order. 0, or -errno with a text: -EPERM no right to ask (CAP_SYS_ADMIN, not filtered
 * oneself, and nobody else tracing it), -ESRCH, -EMEDIUMTYPE a filter that is not classic BPF, -ETIMEDOUT it did not
 * stop. The process is stopped for a moment, which a wait in it may notice as EINTR.
 */
int seccomp_ask(pid_t pid, const struct seccomp_call *calls, size_t n_calls, struct seccomp_answer *ret_answers,
		unsigned int *ret_n_filters, struct err *err);

/* "ERRNO(EPERM)", "ALLOW", ... */
const char *seccomp_action_text(uint32_t action, char *buf, size_t size);
