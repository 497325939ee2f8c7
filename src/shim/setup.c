/* SPDX-License-Identifier: MIT */
/*
 * io_uring_setup. By default SQPOLL is taken away: the kernel's thread would consume entries unseen. The ring then
 * looks to the program like one whose poller always sleeps (rings.c keeps NEED_WAKEUP set).
 */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "shim/inner.h"

/* SINGLE_ISSUER: the poller is the issuer of such a ring, whoever fills it. */
enum { SETUP_NR = 425, EMULATED_FLAGS = URING_SETUP_SQPOLL | URING_SETUP_SQ_AFF | URING_SETUP_SINGLE_ISSUER };

/* Whether the kernel would make this ring with its poller: asked, so that refusals stay what they are. */
static bool kernel_would(uint32_t entries, const struct uring_params *asked)
{
	struct uring_params trial = *asked;
	struct ring *other = trial.flags & URING_SETUP_ATTACH_WQ ? rings_by_fd((int)trial.wq_fd) : NULL;
	long fd;

	if (other && other->emulated)
		trial.flags &= ~(uint32_t)URING_SETUP_ATTACH_WQ;
	if (trial.flags & URING_SETUP_NO_MMAP)
		return true;
	fd = SYS2(SETUP_NR, entries, &trial);
	if (fd < 0)
		return false;
	SYS1(SYS_close, fd);
	return true;
}

/* Writes the flags word of the program's params; false where the memory is not writable. */
static bool poke_flags(uint64_t params, uint32_t flags)
{
	struct iovec local = { &flags, 4 };
	struct iovec remote = { (void *)(params + offsetof(struct uring_params, flags)), 4 };

	return SYS6(SYS_process_vm_writev, shim_pid, &local, 1, &remote, 1, 0) == 4;
}

void setup_before(struct call *call)
{
	struct uring_params asked;
	struct emit emit;
	uint32_t added;

	if (emit_open(&emit)) {
		call->stack = stack_take(&emit, call->registers);
		emit_close(&emit);
	}
	if (shim_peek(&asked, call->args[1], sizeof(asked)) != sizeof(asked)) {
		call->state[0] = 0;
		return;
	}
	call->state[0] = 1;
	call->state[1] = asked.flags;
	call->state[2] = (uint64_t)asked.cq_entries << 32 | asked.wq_fd;
	call->state[3] = (uint64_t)asked.sq_thread_idle << 32 | asked.sq_thread_cpu;
	call->state[4] = asked.resv[0] || asked.resv[1] || asked.resv[2];
	if (!(asked.flags & URING_SETUP_SQPOLL) || shim_options & SHARED_SQPOLL_KEEP ||
	    asked.flags & (URING_SETUP_COOP_TASKRUN | URING_SETUP_TASKRUN_FLAG | URING_SETUP_DEFER_TASKRUN |
			   URING_SETUP_SQ_REWIND | URING_SETUP_IOPOLL) ||
	    !kernel_would((uint32_t)call->args[0], &asked))
		return;
	/* As the poller does, go on behind an entry that is refused. */
	added = asked.flags & URING_SETUP_SUBMIT_ALL ? 0 : (uint32_t)URING_SETUP_SUBMIT_ALL;
	if (poke_flags(call->args[1], (asked.flags & ~(uint32_t)EMULATED_FLAGS) | added))
		call->state[5] = (uint64_t)added << 32 | (asked.flags & EMULATED_FLAGS);
}

static struct ring *new_ring(struct emit *emit, const struct call *call, const struct uring_params *params)
{
	struct ring *ring = rings_new();

	if (!ring)
		return NULL;
	ring->flags = params->flags;
	ring->emulated = (uint32_t)call->state[5];
	ring->features = params->features;
	ring->sq_entries = params->sq_entries;
	ring->cq_entries = params->cq_entries;
	ring->sq_off = params->sq_off;
	ring->cq_off = params->cq_off;
	if (params->flags & URING_SETUP_NO_MMAP)
		rings_user_memory(ring, params->sq_off.user_addr, params->cq_off.user_addr);
	if (params->flags & URING_SETUP_REGISTERED_FD_ONLY)
		rings_registered(ring, (uint32_t)call->result);
	else
		rings_bind((int)call->result, ring);
	return ring;
}

static void fill_event(struct event_setup *event, const struct call *call, const struct uring_params *params)
{
	event->entries = (uint32_t)call->args[0];
	event->result = (int32_t)call->result;
	event->asked_flags = (uint32_t)call->state[1];
	event->emulated = (uint32_t)call->state[5];
	event->params = *params;
	event->asked_cq_entries = (uint32_t)(call->state[2] >> 32);
	event->asked_wq_fd = (uint32_t)call->state[2];
	event->asked_idle = (uint32_t)(call->state[3] >> 32);
	event->asked_cpu = (uint32_t)call->state[3];
	event->asked_resv = (uint32_t)call->state[4];
	event->ring_is_sqpoll_kept = call->result >= 0 && params->flags & URING_SETUP_SQPOLL && !event->emulated;
	if (params->flags & URING_SETUP_NO_MMAP) {
		event->sqes = params->sq_off.user_addr;
		event->sq_ring = event->cq_ring = params->cq_off.user_addr;
	}
}

void setup_after(struct call *call)
{
	struct uring_params params = { 0 };
	struct event_setup *event;
	struct ring *ring = NULL;
	struct emit emit;

	stray_setup(call->result);
	if (call->state[5])
		poke_flags(call->args[1], (uint32_t)call->state[1]);
	if (!emit_open(&emit))
		return;
	if (call->state[0])
		shim_peek(&params, call->args[1], sizeof(params));
	if (call->result >= 0)
		ring = new_ring(&emit, call, &params);
	emit.stack = call->stack;
	event = emit_add(&emit, EVENT_RING_SETUP, rings_number(ring), sizeof(*event));
	fill_event(event, call, &params);
	emit_close(&emit);
}
