/* SPDX-License-Identifier: MIT */
/*
 * Answers one io_uring_setup out of a policy, purely: what was asked, how many rings there are, and what the mechanism
 * can do go in; a refusal, or the parameters to make the ring with, come out. A limit that can be kept by giving less
 * (a smaller CQ, a shorter idle time) alters the request, and the numbers are written back as the kernel does it with
 * CLAMP; one that cannot refuses.
 *
 * A request that the kernel would refuse for its own reasons is handed on, so that the program gets the kernel's errno.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/uring.h"
#include "enforce/mechanism.h"

struct policy;

/* As far as could be seen; each counts what is there without the ring that is asked for. */
struct decide_counts {
	uint32_t rings_of_process, rings_of_container;
	uint32_t pollers_of_container, pollers_of_host;
	uint32_t cpus;
};

struct decide_request {
	enum mechanism mechanism;
	uint32_t entries;
	const struct uring_params *params; /* as the program wrote them */
	struct decide_counts counts;
	bool can_enable; /* the caller can be made to enable the ring; else SINGLE_ISSUER is treated as under STRIP */
};

enum decide_outcome { DECIDE_AS_ASKED, DECIDE_ALTERED, DECIDE_DENIED };

enum { DECIDE_TEXT_BYTES = 200 };

struct decide_verdict {
	enum decide_outcome outcome;
	int field;                      /* enum policy_field that denied, or altered first; -1 = the mechanism did */
	uint32_t line;                  /* of the policy's file */
	int error;                      /* positive errno, when denied */
	char what[DECIDE_TEXT_BYTES];   /* "" when as asked */
	char remedy[DECIDE_TEXT_BYTES]; /* the line of policy that would allow it, "" = none would */

	/* When not denied: */
	uint32_t entries;
	struct uring_params params; /* to make it with: R_DISABLED is in its flags */
	uint32_t hidden_flags;      /* of the ring that are not told to the program */
	uint32_t stripped_flags;    /* asked for, and taken out */
	bool leave_disabled;        /* the program wants to enable it itself */
	bool caller_enables;        /* the ring belongs to the task that enables it, which must be the caller */
};

void decide(const struct policy *policy, const struct decide_request *request, struct decide_verdict *ret_verdict);

/* Whether rings or pollers must be counted before deciding. */
bool decide_needs_counts(const struct policy *policy);
bool decide_needs_host_counts(const struct policy *policy, uint32_t flags);
