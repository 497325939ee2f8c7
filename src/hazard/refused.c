/* SPDX-License-Identifier: MIT */
/* What a program makes of a refusal: of a ring, of memory, of operations that it forbade itself. */
#include <errno.h>
#include <string.h>

#include "abi/op.h"
#include "hazard/hazard.h"
#include "hazard/known.h"

/* ---- uring-unavailable-no-fallback ---- */

static void look_unavailable(struct hazard_context *context, const struct moment *moment)
{
	const struct event_stray *event = (const struct event_stray *)moment->event;
	struct finding *finding;

	if (moment->uncertain || !moment->process || !moment->process->setup_error ||
	    !hazard_mark_process(context, moment->process))
		return;
	finding = hazard_finding(context, moment, NULL);
	finding->ring_fd = event->fd;
	hazard_message(finding,
		       "%s was called on descriptor %d, which is no ring (%s): io_uring_setup had failed with %d",
		       event->number == 426 ? "io_uring_enter" : "io_uring_register", event->fd,
		       event->result == -EBADF ? "nothing is open there" : "something else is open there",
		       moment->process->setup_error);
	hazard_stack(finding, "no ring made by", moment->event->pid, moment->process->setup_error_stack);
	hazard_report(context, finding);
}

const struct hazard hazard_uring_unavailable_no_fallback = {
	.name = "uring-unavailable-no-fallback",
	.family = "setup",
	.level = HAZARD_ERROR,
	.why = "io_uring_setup was refused, as containers and hardened hosts do, and the program goes on as if it had "
	       "a ring: a zeroed struct io_uring names descriptor 0.",
	.fix = "Look at what the set-up returned, and do the work with ordinary system calls where there is no ring.",
	.wants = HAZARD_WANTS(STRAY_CALL),
	.needs = 0,
	.look = look_unavailable,
};

/* ---- ring-memlock-enomem ---- */

enum { OF_SETUP = 1 << 16 }; /* beside register opcodes, for held_for */

struct outcome {
	uint32_t pid, ring, what;
};

/* It was asked for again and granted, with less: the program knows what to do. */
static enum hazard_decision decide_granted(struct finding *finding, const void *opaque)
{
	const struct outcome *outcome = opaque;

	if (finding->pid != outcome->pid || finding->held_for != outcome->what || finding->ring != outcome->ring)
		return HAZARD_KEEP;
	finding->level = HAZARD_NOTE;
	return HAZARD_TELL;
}

static uint64_t buffer_bytes(const struct event_register *event)
{
	const uint64_t *vectors = (const uint64_t *)(event + 1);
	uint64_t bytes = 0;

	if (event->opcode != URING_REG_REGISTER_BUFFERS)
		return 0;
	for (uint32_t i = 0; i < event->nr_args && (i + UINT64_C(1)) * 16 <= event->length; i++)
		bytes += vectors[2 * i + 1];
	return bytes;
}

static void say_setup(struct finding *finding, const struct moment *moment)
{
	const struct event_setup *setup = (const struct event_setup *)moment->event;

	hazard_message(finding,
		       "io_uring_setup(%u entries) failed with ENOMEM: where the kernel accounts a ring's memory, it "
		       "counts against RLIMIT_MEMLOCK (ulimit -l)",
		       setup->entries);
}

static void say_register(struct finding *finding, const struct moment *moment)
{
	const struct event_register *event = (const struct event_register *)moment->event;
	uint64_t bytes = buffer_bytes(event);

	if (bytes)
		hazard_message(finding,
			       "registering %llu bytes of buffers failed with ENOMEM: they count against "
			       "RLIMIT_MEMLOCK (ulimit -l)",
			       (unsigned long long)bytes);
	else
		hazard_message(finding,
			       "io_uring_register(opcode %u) failed with ENOMEM: buffers count against RLIMIT_MEMLOCK "
			       "(ulimit -l)",
			       event->opcode);
}

static bool pins_memory(uint32_t opcode)
{
	return opcode == URING_REG_REGISTER_BUFFERS || opcode == URING_REG_BUFFERS2 ||
	       opcode == URING_REG_BUFFERS_UPDATE;
}

static void look_memlock(struct hazard_context *context, const struct moment *moment)
{
	bool setup = moment->kind == MOMENT_RING_SETUP;
	const struct event_setup *made = (const struct event_setup *)moment->event;
	const struct event_register *registered = (const struct event_register *)moment->event;
	int32_t result = setup ? made->result : registered->result;
	struct outcome outcome = { moment->event->pid, setup || !moment->ring ? 0 : moment->ring->id,
				   setup ? (uint32_t)OF_SETUP : registered->opcode };
	struct finding *finding;

	if (!setup && !pins_memory(registered->opcode))
		return;
	if (result >= 0)
		hazard_decide_held(context, decide_granted, &outcome);
	if (result != -ENOMEM)
		return;
	finding = hazard_finding(context, moment, NULL);
	(setup ? say_setup : say_register)(finding, moment);
	finding->held_for = outcome.what;
	hazard_hold(context, finding, 0);
}

const struct hazard hazard_ring_memlock_enomem = {
	.name = "ring-memlock-enomem",
	.family = "setup",
	.level = HAZARD_WARNING,
	.why = "Registered buffers, and on many kernels rings, count against RLIMIT_MEMLOCK of a user without "
	       "CAP_IPC_LOCK, who gets ENOMEM where root does not.",
	.fix = "Raise the limit (ulimit -l, LimitMEMLOCK=), or ask for less when ENOMEM comes; what a closed ring held "
	       "is free only a little later.",
	.wants = HAZARD_WANTS(RING_SETUP) | HAZARD_WANTS(REGISTER),
	.needs = 0,
	.look = look_memlock,
};

/* ---- restrictions-misused ---- */

static void report_not_in_force(struct hazard_context *context, const struct moment *moment, int32_t result)
{
	struct finding *finding = hazard_finding(context, moment, NULL);

	hazard_message(finding, "restrictions were refused with %s: this ring is %s",
		       result == -EBADFD ? "EBADFD" : "EBUSY",
		       result == -EBADFD ? "enabled already and stays without them"
					 : "restricted already, and keeps what it has");
	hazard_report(context, finding);
}

/* Also file permissions say EACCES: it is the ring's doing only where its list says so. */
static const char *why_denied(const struct model_ring *ring, const struct uring_sqe *sqe)
{
	if (!(ring->allowed_ops[sqe->opcode / 64] >> sqe->opcode % 64 & 1))
		return "its operation is not among those allowed";
	if (sqe->flags & ~(ring->allowed_flags | ring->required_flags))
		return "its flags are not among those allowed (SQE_FLAGS_ALLOWED)";
	if ((sqe->flags & ring->required_flags) != ring->required_flags)
		return "a required flag is missing";
	return NULL;
}

static void look_denied(struct hazard_context *context, const struct moment *moment)
{
	const struct event_complete *event = (const struct event_complete *)moment->event;
	struct model_request *request = moment->request;
	const char *why = request && moment->certain && event->cqe.res == -EACCES && moment->ring->restricted
				  ? why_denied(moment->ring, &request->sqe)
				  : NULL;
	struct finding *finding;

	if (!why)
		return;
	finding = hazard_finding(context, moment, request);
	finding->level = HAZARD_WARNING;
	hazard_message(finding, "%s was refused with EACCES by the restrictions that the program gave this ring: %s",
		       request->op ? request->op->name : "an entry", why);
	hazard_report(context, finding);
}

static void look_restrictions(struct hazard_context *context, const struct moment *moment)
{
	const struct event_register *event = (const struct event_register *)moment->event;

	if (moment->uncertain || !moment->ring)
		return;
	if (moment->kind == MOMENT_COMPLETE)
		look_denied(context, moment);
	else if (event->opcode == URING_REG_RESTRICTIONS && (event->result == -EBADFD || event->result == -EBUSY))
		report_not_in_force(context, moment, event->result);
}

const struct hazard hazard_restrictions_misused = {
	.name = "restrictions-misused",
	.family = "privilege",
	.level = HAZARD_ERROR,
	.why = "A ring takes restrictions once, while it is disabled (IORING_SETUP_R_DISABLED); what its list does not "
	       "allow, flags of entries included, is refused with EACCES.",
	.fix = "Make the ring with R_DISABLED, register every operation, entry flag and register call it needs, then "
	       "enable it, and look at each result.",
	.wants = HAZARD_WANTS(REGISTER) | HAZARD_WANTS(COMPLETE),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS,
	.only_failures = true,
	.look = look_restrictions,
};
