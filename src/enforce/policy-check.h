/* SPDX-License-Identifier: MIT */
/* What is doubtful about a policy that can be read: operations that are of no use without others, limits that something
 * else undoes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "enforce/policy.h"

struct policy_remark {
	enum policy_field field; /* that it is about; its line is policy->lines[field] */
	bool note;               /* worth knowing; else programs will fail, or a limit does not hold */
	const char *text;        /* what, and why */
};

/* Calls `each` for all of them and returns how many are no notes. The remark is gone when it returns. */
typedef void policy_heeder(void *context, const struct policy_remark *remark);
size_t policy_check(const struct policy *policy, policy_heeder *each, void *context);
