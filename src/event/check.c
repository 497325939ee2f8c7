/* SPDX-License-Identifier: MIT */
/* The one place that says what a well-formed event is. */
#include <errno.h>
#include <stddef.h>

#include "base/err.h"
#include "event/event.h"
#include "event/file.h"

#define MINIMUM(kind, type) [EVENT_##kind] = sizeof(struct type)

/* Bytes of the fixed part; kinds that are not listed have a header only. */
static const uint16_t minimum[EVENT_KIND_COUNT] = {
	MINIMUM(PROCESS_START, event_process),
	MINIMUM(EXEC, event_process),
	MINIMUM(FORK, event_process),
	MINIMUM(PROCESS_EXIT, event_exit),
	MINIMUM(THREAD_START, event_thread),
	MINIMUM(CREDENTIALS, event_credentials),
	MINIMUM(MODULE, event_module),
	MINIMUM(RING_SETUP, event_setup),
	MINIMUM(RING_UNMAPPED, event_ring_state),
	MINIMUM(RING_CLOSED, event_ring_state),
	MINIMUM(RING_RESIZED, event_setup),
	MINIMUM(REGISTER, event_register),
	MINIMUM(FD, event_fd),
	MINIMUM(FD_CLOSE, event_fd),
	MINIMUM(FD_DUP, event_fd_dup),
	MINIMUM(FD_PAIR, event_fd_pair),
	MINIMUM(ENTER, event_enter),
	MINIMUM(SUBMIT, event_submit),
	MINIMUM(ENTER_RETURN, event_enter_return),
	MINIMUM(COMPLETE, event_complete),
	MINIMUM(OVERFLOW, event_ring_state),
	MINIMUM(CQ_LOST, event_lost),
	MINIMUM(BUFFERS_ADDED, event_buffers),
	MINIMUM(BOUNDS, event_bounds),
	MINIMUM(RELEASE, event_release),
	MINIMUM(STACK, event_stack),
	MINIMUM(LOST, event_lost),
	MINIMUM(NOTICE, event_notice),
	MINIMUM(CHECKSUM, event_checksum),
	MINIMUM(SLOT_CHANGED, event_slot_changed),
	MINIMUM(STALLED, event_ring_state),
	MINIMUM(STRAY_CALL, event_stray),
};

/* What the fixed part says of its tail, in bytes. */
static uint64_t tail_claimed(const struct event *event)
{
	switch (event->kind) {
	case EVENT_PROCESS_START:
	case EVENT_EXEC:
		return ((const struct event_process *)event)->length;
	case EVENT_MODULE:
		return ((const struct event_module *)event)->length;
	case EVENT_REGISTER:
		return ((const struct event_register *)event)->length;
	case EVENT_SUBMIT:
		return ((const struct event_submit *)event)->sqe_size == 128 ? 64 : 0;
	case EVENT_BUFFERS_ADDED:
		return (uint64_t)((const struct event_buffers *)event)->n * sizeof(struct uring_buf);
	case EVENT_STACK:
		return ((const struct event_stack *)event)->bytes;
	case EVENT_NOTICE:
		return ((const struct event_notice *)event)->length;
	default:
		return 0;
	}
}

int event_check(const struct event *event, size_t available, struct err *err)
{
	size_t least = sizeof(*event);

	if (available < sizeof(*event))
		return err_set(err, -EBADMSG, "%zu bytes are left, an event has %zu at least", available, sizeof(*event));
	if (event->size < sizeof(*event) || event->size % 8)
		return err_set(err, -EBADMSG, "an event of %u bytes", event->size);
	if (event->size > available)
		return err_set(err, -EBADMSG, "an event of %u bytes where %zu are left", event->size, available);
	if (event->kind >= EVENT_KIND_COUNT)
		return 0; /* of a later version: skipped by its size */
	if (minimum[event->kind])
		least = minimum[event->kind];
	if (event->size < least)
		return err_set(err, -EBADMSG, "an event of kind %u has %u bytes, %zu at least are needed", event->kind,
			       event->size, least);
	if (tail_claimed(event) > event->size - least)
		return err_set(err, -EBADMSG, "an event of kind %u claims a tail of %llu bytes and has %zu", event->kind,
			       (unsigned long long)tail_claimed(event), event->size - least);
	return 0;
}
