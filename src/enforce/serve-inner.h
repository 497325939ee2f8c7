/* SPDX-License-Identifier: MIT */
/* Between the guardian (serve.c) and its worker (serve-worker.c). */
#pragma once

#include <linux/audit.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "enforce/policy.h"
#include "enforce/serve-shared.h"
#include "enforce/serve.h"

#define SERVE_ARCH AUDIT_ARCH_X86_64

struct serve_worker_options {
	int listener, socket; /* the guardian's: SOCK_SEQPACKET. Reports go out, policies come in. */
	pid_t guardian;
	struct serve_shared *shared;
	enum mechanism mechanism;
	struct policy policy;
	pid_t root;
	_Atomic bool *astray; /* there may be a disabled ring that nobody had in his hand; see serve-caller.c */
	bool set_limits;
	uint32_t patience_ms;
};

/* What the worker does, in a process of its own. */
void serve_worker_main(struct serve_worker_options *options) __attribute__((noreturn));

/* 0, -ENOENT (its caller has gone), -EINPROGRESS (nobody has received it). `error` is positive. */
int serve_answer(int listener, uint64_t id, int64_t value, int error);

/* Answers with a positive errno; a caller that has gone is no error. */
void serve_refuse(int listener, uint64_t notification, int error);

/* Process and name of the thread that asked, as far as it is still there. */
void serve_name(struct serve_report *report);
