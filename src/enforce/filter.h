/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filter that goes with a policy: who answers io_uring_setup, and which register calls fail.
 *
 * The restrictions of a ring are not in force before it is enabled, and do not concern calls without a ring (descriptor
 * -1), so register calls that the policy denies are denied here too. The opcode is compared under a mask: its upper
 * half is not looked at by the kernel, and bit 31 only says how the ring is named. Entry by another instruction set
 * (int 0x80, x32) reaches the same calls with other numbers, and is refused.
 *
 * io_uring_enter is let through without a look, which the kernel knows beforehand.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>

struct err;
struct policy;

struct filter {
	struct sock_filter *program;
	unsigned short length;
};

enum filter_setup {
	FILTER_SETUP_ALLOW,  /* restrictions of the task hold for every ring */
	FILTER_SETUP_NOTIFY, /* the supervisor answers */
	/* Also ENABLE_RINGS where rings are restricted, and the program cannot restrict its own (EBUSY). */
	FILTER_SETUP_CALLER,
	FILTER_SETUP_DENY, /* nobody is there to answer */
};

int filter_build(const struct policy *policy, enum filter_setup setup, struct filter *ret_filter, struct err *err);
void filter_done(struct filter *filter);

/* Whether the filter refuses the register opcode as the program passes it. */
bool filter_denies_register(const struct policy *policy, unsigned int opcode);
