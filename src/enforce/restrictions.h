/* SPDX-License-Identifier: MIT */
/*
 * A policy as the kernel takes it: the list of restrictions of a ring (Linux 5.10) or of a task (7.0), and the filters
 * of a task that look into an entry (7.0).
 *
 * What the kernel does with a list, and what follows for it:
 * - Up to 6.19 any entry restricts operations and register calls both; from 7.0 each kind is free until it is named. So
 *   both kinds are always named.
 * - An entry's flags are denied altogether unless SQE_FLAGS_ALLOWED names them.
 * - A number beyond the kernel's last makes the whole list invalid.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy;

struct restrictions_entry {
	uint16_t kind; /* enum restrictions_kind */
	uint8_t value;
	uint8_t resv;
	uint32_t resv2[3];
};
_Static_assert(sizeof(struct restrictions_entry) == 16, "kernel ABI");

enum restrictions_kind {
	RESTRICTIONS_REGISTER_OP,
	RESTRICTIONS_SQE_OP,
	RESTRICTIONS_SQE_FLAGS_ALLOWED,
	RESTRICTIONS_SQE_FLAGS_REQUIRED,
};

enum { RESTRICTIONS_MAX = 256 };

/* For io_uring_register(fd, RESTRICTIONS, task.entries, task.n); with fd -1: &task, 1. */
struct restrictions {
	struct { /* struct io_uring_task_restriction */
		uint16_t flags;
		uint16_t n;
		uint32_t resv[3];
		struct restrictions_entry entries[RESTRICTIONS_MAX];
	} task;
};

/* The last numbers that the running kernel takes in a list. */
struct restrictions_kernel {
	unsigned int last_op, last_register;
};

/* Asks the kernel, with rings made for it; 0 or -errno. Not for the process that answers notifications (maker.h). */
int restrictions_probe(struct restrictions_kernel *ret_kernel);

/* Whether there is anything to restrict: a list, even of everything, keeps a program from setting its own. */
bool restrictions_needed(const struct policy *policy);

void restrictions_of(const struct policy *policy, const struct restrictions_kernel *kernel,
		     struct restrictions *ret_restrictions);

/*
 * The register calls that the policy allows, without those that would undo another field: RESIZE_RINGS a bounded CQ,
 * IOWQ_MAX_WORKERS a bounded pool, SEND_MSG_RING a denied MSG_RING, REGISTER_PERSONALITY denied personalities.
 */
uint64_t restrictions_register_ops(const struct policy *policy);

/* A filter of io_uring_register(-1, BPF_FILTER, ..., 1) for one operation. */
struct restrictions_filter {
	struct { /* struct io_uring_bpf */
		uint16_t command;
		uint16_t command_flags;
		uint32_t resv;
		uint32_t opcode;
		uint32_t flags;
		uint32_t length;
		uint8_t pdu_size;
		uint8_t resv2[3];
		uint64_t program;
		uint64_t resv3[5];
	} call;
	struct sock_filter program[72];
};

/* SOCKET may make these families only. Points into itself: not to be copied. */
void restrictions_filter_families(const struct policy *policy, struct restrictions_filter *ret_filter);
