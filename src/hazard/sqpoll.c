/* SPDX-License-Identifier: MIT */
/* What a polling thread makes different: entries are read later, the CPU burns. */
#include <string.h>

#include "base/map.h"
#include "hazard/hazard.h"

/* The polling thread's idle time in milliseconds where none was asked for. */
enum { IDLE_DEFAULT_MS = 1000, BURN_LEAST_MS = 500, NS_PER_MS = 1000000 };

static void look_mutation(struct hazard_context *context, const struct moment *moment)
{
	const struct event_slot_changed *event = (const struct event_slot_changed *)moment->event;
	const struct model_slot_shadow *shadow;
	struct finding *finding;

	if (moment->uncertain || hazard_model(context)->lost || !moment->ring ||
	    !(moment->ring->setup_flags & URING_SETUP_SQPOLL))
		return;
	if (!event->unchanged_between || !moment->ring->shadow || event->slot >= moment->ring->n_shadow)
		return;
	shadow = &moment->ring->shadow[event->slot];
	if (!shadow->valid || !memcmp(&shadow->sqe, &event->now, sizeof(shadow->sqe)) ||
	    !hazard_mark_ring(context, moment->ring))
		return;
	finding = hazard_finding(context, moment, moment->request);
	finding->has_sqe = true;
	finding->sqe = event->now;
	hazard_message(finding, "the entry in slot %u was changed after it had been published to the polling thread",
		       event->slot);
	hazard_stack(finding, "published by", shadow->pid, shadow->stack);
	hazard_report(context, finding);
}

const struct hazard hazard_sqpoll_sqe_mutation = {
	.name = "sqpoll-sqe-mutation",
	.family = "sqpoll",
	.level = HAZARD_ERROR,
	.why = "With SQPOLL submitting only publishes the entry; the kernel reads it, and what it points to, at any "
	       "later time.",
	.fix = "Finish the entry before io_uring_submit() and leave it and its arguments alone until the completion.",
	.wants = HAZARD_WANTS(SLOT_CHANGED),
	.needs = SOURCE_SQES,
	.look = look_mutation,
};

static uint64_t idle_ms(const struct model_ring *ring)
{
	return ring->params.sq_thread_idle ? ring->params.sq_thread_idle : IDLE_DEFAULT_MS;
}

/*
 * The thread spins after each submission until the next one, for the idle time at most. The ring's cell holds the sum
 * in milliseconds (lower half) and when the newest submission was (upper half, 0 = none yet).
 */
static uint32_t add_gap(uint64_t *cell, const struct model_ring *ring, uint64_t now)
{
	uint32_t now_ms = (uint32_t)(now / NS_PER_MS) | 1, last = (uint32_t)(*cell >> 32), burnt = (uint32_t)*cell;
	uint32_t gap = now_ms - last;

	if (last && gap < INT32_MAX)
		burnt += gap < idle_ms(ring) ? gap : (uint32_t)idle_ms(ring);
	*cell = (uint64_t)now_ms << 32 | burnt;
	return burnt;
}

static void look_burn(struct hazard_context *context, const struct moment *moment)
{
	const struct model_ring *ring = moment->ring;
	struct finding *finding;
	uint32_t burnt;

	if (!ring || !(ring->setup_flags & URING_SETUP_SQPOLL))
		return;
	burnt = add_gap(hazard_ring_cell(context, moment->ring), ring, moment->time);
	if (moment->kind == MOMENT_SUBMIT || burnt < BURN_LEAST_MS || ring->n_submitted >= burnt ||
	    !hazard_mark_ring(context, moment->ring))
		return;
	finding = hazard_finding(context, moment, NULL);
	finding->level = HAZARD_NOTE;
	hazard_message(finding, "the polling thread (idle time %llu ms) spins about %u ms for %llu requests",
		       (unsigned long long)idle_ms(ring), burnt, (unsigned long long)ring->n_submitted);
	hazard_stack(finding, "ring set up by", ring->creator_pid, ring->setup_stack);
	hazard_report(context, finding);
}

const struct hazard hazard_sqpoll_cpu_burn = {
	.name = "sqpoll-cpu-burn",
	.family = "sqpoll",
	.level = HAZARD_NOTE,
	.why = "After each burst the polling thread keeps a core busy for sq_thread_idle; 0 means one second.",
	.fix = "Set a short sq_thread_idle, or do without SQPOLL where requests come seldom.",
	.wants = HAZARD_WANTS(SUBMIT) | HAZARD_WANTS(RING_CLOSED),
	.needs = SOURCE_SQES,
	.when = { .submit = HAZARD_WHEN_SQPOLL },
	.look = look_burn,
};

/* ---- sqpoll-thread-per-ring ---- */

static bool has_own_thread(const struct model_ring *ring, const struct model_process *process)
{
	return ring->process == process && !ring->closed && ring->setup_flags & URING_SETUP_SQPOLL &&
	       !(ring->setup_flags & URING_SETUP_ATTACH_WQ);
}

static void look_thread_per_ring(struct hazard_context *context, const struct moment *moment)
{
	struct finding *finding;
	uint32_t threads = 0;

	if (!moment->ring || !moment->process || !has_own_thread(moment->ring, moment->process))
		return;
	MAP_FOR_EACH(&hazard_model(context)->rings, entry)
	threads += has_own_thread(entry->value, moment->process);
	if (threads < 2 || !hazard_mark_process(context, moment->process))
		return;
	finding = hazard_finding(context, moment, NULL);
	hazard_message(finding,
		       "the process has %u rings with a polling thread each; every one spins on a CPU of its own",
		       threads);
	hazard_report(context, finding);
}

const struct hazard hazard_sqpoll_thread_per_ring = {
	.name = "sqpoll-thread-per-ring",
	.family = "sqpoll",
	.level = HAZARD_NOTE,
	.why = "Each ring with SQPOLL has its own polling thread, and each thread takes a whole CPU while it polls.",
	.fix = "Let the rings share one: IORING_SETUP_ATTACH_WQ with the first ring's descriptor in wq_fd.",
	.wants = HAZARD_WANTS(RING_SETUP),
	.needs = 0,
	.look = look_thread_per_ring,
};
