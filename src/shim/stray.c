/* SPDX-License-Identifier: MIT */
/*
 * Calls on descriptors that are no rings, made after a failed io_uring_setup by a program that did not look. Told only
 * when the kernel refused them as such, so that a ring which merely is not known here is none of them.
 */
#include <errno.h>
#include <sys/syscall.h>

#include "shim/inner.h"

enum { REGISTER_NR = 427 };

static int setup_failed; /* the newest one */

void stray_setup(long result)
{
	setup_failed = result < 0;
}

void stray_before(struct call *call)
{
	struct emit emit;

	if (!setup_failed || !emit_open(&emit))
		return;
	call->stack = stack_take(&emit, call->registers);
	emit_close(&emit);
}

void stray_after(struct call *call)
{
	struct event_stray event = { .number = (uint32_t)call->number,
				     .fd = (int32_t)call->args[0],
				     .result = (int32_t)call->result };
	struct emit emit;

	if (!setup_failed || (call->result != -EOPNOTSUPP && call->result != -EBADF))
		return;
	if (call->number == REGISTER_NR)
		event.opcode = (uint32_t)call->args[1];
	if (!emit_open(&emit))
		return;
	emit.stack = call->stack;
	emit_event(&emit, EVENT_STRAY_CALL, 0, &event, sizeof(event));
	emit_close(&emit);
}
