/* SPDX-License-Identifier: MIT */
/* What a process may use at most, as its control groups and their ancestors have it, in the unified hierarchy or the
 * old ones. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

enum budget_kind { BUDGET_MEMORY, BUDGET_CPU, BUDGET_PIDS, BUDGET_KINDS };

enum { BUDGET_NO_LIMIT = -1, BUDGET_UNKNOWN = -2 };

struct budget {
	/* Bytes, thousandths of a CPU, processes and threads; or BUDGET_NO_LIMIT, BUDGET_UNKNOWN. */
	int64_t limit[BUDGET_KINDS];
	char path[256]; /* of the group, for people */
};

/* Of a process (0 = this one). */
void budget_read(pid_t pid, struct budget *ret_limits);

/* "max 100000" and the like: thousandths of a CPU, BUDGET_NO_LIMIT, or BUDGET_UNKNOWN. */
int64_t budget_parse_cpu(const char *text);
