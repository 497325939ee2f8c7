/* SPDX-License-Identifier: MIT */
/*
 * What must be known of a listener when the process that answered for it is no more. In shared memory; it may outlive
 * the guardian too, where its owner keeps it and the listener (enforce/agent-keep.h).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SERVE_HELD = 256 }; /* notifications that may wait in the worker for one that it must answer before */

struct serve_shared {
	_Atomic uint64_t notification;     /* that is being answered, 0 = none */
	_Atomic uint64_t held[SERVE_HELD]; /* received and not yet begun, 0 = none */
	_Atomic uint64_t last;             /* that was received, 0 = none yet */
	_Atomic int32_t asking;            /* whose `notification` is */
	_Atomic bool astray;               /* where nobody shares it */
	_Atomic uint64_t made, altered, denied, failed, unreported;
};
