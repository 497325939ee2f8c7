/* SPDX-License-Identifier: MIT */
/* Rights that outlive their renunciation. */
#include "abi/op.h"
#include "base/map.h"
#include "hazard/hazard.h"

/* The ring's cell: 1 + the effective user id it was made under. */
static bool frozen(struct hazard_context *context, struct model_ring *ring, uint32_t euid)
{
	uint64_t cell = *hazard_ring_cell(context, ring);
	return cell && cell - 1 != euid;
}

static void report_change(struct hazard_context *context, const struct moment *moment, struct model_ring *ring,
			  uint32_t euid)
{
	struct finding *finding;

	if (!frozen(context, ring, euid) || !hazard_mark_ring(context, ring))
		return;
	finding = hazard_finding(context, moment, NULL);
	finding->level = HAZARD_WARNING;
	finding->ring = ring->id;
	finding->ring_fd = ring->fd;
	hazard_message(finding, "the process became user %u, but the polling thread of its ring stays user %u", euid,
		       (uint32_t)(*hazard_ring_cell(context, ring) - 1));
	hazard_stack(finding, "ids changed by", moment->event->pid, moment->event->stack);
	hazard_stack(finding, "ring set up by", ring->creator_pid, ring->setup_stack);
	hazard_report(context, finding);
}

static void look_credentials(struct hazard_context *context, const struct moment *moment)
{
	const struct event_credentials *event = (const struct event_credentials *)moment->event;

	MAP_FOR_EACH(&hazard_model(context)->rings, entry)
	{
		struct model_ring *ring = entry->value;

		if (ring->process == moment->process && !ring->closed)
			report_change(context, moment, ring, event->euid);
	}
}

static bool opens_by_path(const struct model_request *request)
{
	return request->op && (request->op->traits & ABI_FD_DIR) && !request->sqe.personality && !request->refused;
}

static void look_path(struct hazard_context *context, const struct moment *moment)
{
	struct model_request *request = moment->request;
	struct finding *finding;

	if (!moment->process || !request || !opens_by_path(request) ||
	    !frozen(context, moment->ring, moment->process->euid))
		return;
	if (!hazard_mark_request(context, request))
		return;
	finding = hazard_finding(context, moment, request);
	hazard_message(
		finding,
		"%s runs with the rights of user %u: the polling thread kept them when the process became user %u",
		request->op->name, (uint32_t)(*hazard_ring_cell(context, moment->ring) - 1), moment->process->euid);
	hazard_stack(finding, "ring set up by", moment->ring->creator_pid, moment->ring->setup_stack);
	hazard_report(context, finding);
}

static void look_frozen(struct hazard_context *context, const struct moment *moment)
{
	if (moment->uncertain || hazard_model(context)->lost)
		return;
	if (moment->kind == MOMENT_CREDENTIALS)
		look_credentials(context, moment);
	else if (!moment->ring || !moment->process || !(moment->ring->setup_flags & URING_SETUP_SQPOLL))
		return;
	else if (moment->kind == MOMENT_RING_SETUP)
		*hazard_ring_cell(context, moment->ring) = UINT64_C(1) + moment->process->euid;
	else
		look_path(context, moment);
}

const struct hazard hazard_sqpoll_frozen_credentials = {
	.name = "sqpoll-frozen-credentials",
	.family = "privilege",
	.level = HAZARD_ERROR,
	.why = "The polling thread keeps the ids under which the ring was made: dropping privileges does not reach it.",
	.fix = "Close the ring before the ids change and make a new one afterwards.",
	.wants = HAZARD_WANTS(RING_SETUP) | HAZARD_WANTS(CREDENTIALS) | HAZARD_WANTS(CONSUMED),
	.needs = SOURCE_SQES | SOURCE_CREDENTIALS,
	.only_traits = ABI_FD_DIR,
	.when = { .consumed = HAZARD_WHEN_SQPOLL },
	.look = look_frozen,
};

/* No sensor tells under which filters a process runs, so this is a page, and "not checked" in every summary. */
static void look_nowhere(struct hazard_context *context, const struct moment *moment)
{
}

const struct hazard hazard_seccomp_bypass = {
	.name = "seccomp-bypass",
	.family = "privilege",
	.level = HAZARD_ERROR,
	.why = "A seccomp filter judges system calls; what a ring does is none, so an operation does what the filter "
	       "denies to the call of the same name.",
	.fix = "Deny io_uring_setup as well, or restrict the rings (circlip run, IORING_REGISTER_RESTRICTIONS).",
	.wants = HAZARD_WANTS(RING_SETUP),
	.needs = SOURCE_FILTERS,
	.look = look_nowhere,
};
