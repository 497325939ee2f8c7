/* SPDX-License-Identifier: MIT */
/*
 * Rings that the kernel refuses to make.
 *
 * Programs also ask for more than goes together on purpose and drop flags until the kernel agrees (fio does, with
 * SQPOLL and DEFER_TASKRUN). So the finding waits for what comes next: when the same thread gets its ring with some of
 * the same flags, nothing was lost and it is only a note.
 */
#include "hazard/hazard.h"
#include "hazard/known.h"

/* A combination that every kernel refuses: each flag of `all` is set and none of `none`. */
struct conflict {
	uint32_t all, none;
	const char *text;
};

static const struct conflict conflicts[] = {
	{ URING_SETUP_DEFER_TASKRUN, URING_SETUP_SINGLE_ISSUER, "DEFER_TASKRUN needs SINGLE_ISSUER" },
	{ URING_SETUP_DEFER_TASKRUN | URING_SETUP_SQPOLL, 0, "DEFER_TASKRUN and SQPOLL exclude each other" },
	{ URING_SETUP_COOP_TASKRUN | URING_SETUP_SQPOLL, 0, "COOP_TASKRUN and SQPOLL exclude each other" },
	{ URING_SETUP_TASKRUN_FLAG, URING_SETUP_COOP_TASKRUN | URING_SETUP_DEFER_TASKRUN,
	  "TASKRUN_FLAG needs COOP_TASKRUN or DEFER_TASKRUN" },
	{ URING_SETUP_SQ_AFF, URING_SETUP_SQPOLL, "SQ_AFF needs SQPOLL" },
	{ URING_SETUP_HYBRID_IOPOLL, URING_SETUP_IOPOLL, "HYBRID_IOPOLL needs IOPOLL" },
	{ URING_SETUP_REGISTERED_FD_ONLY, URING_SETUP_NO_MMAP, "REGISTERED_FD_ONLY needs NO_MMAP" },
	{ URING_SETUP_CQE_MIXED | URING_SETUP_CQE32, 0, "CQE_MIXED and CQE32 exclude each other" },
	{ URING_SETUP_SQE_MIXED | URING_SETUP_SQE128, 0, "SQE_MIXED and SQE128 exclude each other" },
};

static const char *flag_conflict(uint32_t flags)
{
	for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++)
		if ((flags & conflicts[i].all) == conflicts[i].all && !(flags & conflicts[i].none))
			return conflicts[i].text;
	return NULL;
}

static const char *size_conflict(const struct event_setup *setup)
{
	uint32_t flags = setup->asked_flags, rounded = 1;

	if (setup->entries == 0)
		return "a ring of 0 entries";
	if (setup->entries > URING_SETUP_MAX_SQ && !(flags & URING_SETUP_CLAMP))
		return "more than 32768 entries need CLAMP";
	if (!(flags & URING_SETUP_CQSIZE))
		return NULL;
	if (setup->asked_cq_entries == 0)
		return "CQSIZE with cq_entries 0";
	if (setup->asked_cq_entries > URING_SETUP_MAX_CQ && !(flags & URING_SETUP_CLAMP))
		return "more than 65536 completion entries need CLAMP";
	while (rounded < setup->entries && rounded < URING_SETUP_MAX_SQ)
		rounded *= 2;
	return setup->asked_cq_entries <= rounded / 2 ? "cq_entries smaller than the submission ring" : NULL;
}

static const char *why_refused(const struct event_setup *setup)
{
	const char *text;

	if (setup->result == -6 /* ENXIO */ || setup->result == -9 /* EBADF */)
		return setup->asked_flags & URING_SETUP_ATTACH_WQ ? "ATTACH_WQ with a wq_fd that is not open" : NULL;
	if (setup->result != -22 /* EINVAL */)
		return NULL;
	text = size_conflict(setup);
	if (!text)
		text = flag_conflict(setup->asked_flags);
	return text || !setup->asked_resv ? text : "the reserved fields of io_uring_params are not zero";
}

static enum hazard_decision decide_retried(struct finding *finding, const void *opaque)
{
	const struct event_setup *setup = opaque;

	if (finding->pid != setup->h.pid || finding->tid != setup->h.tid)
		return HAZARD_KEEP;
	if (setup->asked_flags == finding->held_for || (setup->asked_flags & ~finding->held_for))
		return HAZARD_KEEP;
	finding->level = HAZARD_NOTE;
	return HAZARD_TELL;
}

static void look_setup_flag_conflict(struct hazard_context *context, const struct moment *moment)
{
	const struct event_setup *setup = (const struct event_setup *)moment->event;
	struct finding *finding;
	const char *text;

	if (setup->result >= 0) {
		hazard_decide_held(context, decide_retried, setup);
		return;
	}
	text = why_refused(setup);
	if (!text)
		return;
	finding = hazard_finding(context, moment, NULL);
	hazard_message(finding, "io_uring_setup(%u entries, flags 0x%x) failed with %d: %s", setup->entries,
		       setup->asked_flags, setup->result, text);
	finding->held_for = setup->asked_flags;
	hazard_hold(context, finding, HAZARD_SECOND); /* who wants to try again has done so by then */
}

const struct hazard hazard_setup_flag_conflict = {
	.name = "setup-flag-conflict",
	.family = "setup",
	.level = HAZARD_ERROR,
	.why = "Setup flags have preconditions and exclude one another; the kernel answers EINVAL for all of them and "
	       "makes no ring.",
	.fix = "Ask for a combination that any kernel can grant; where a flag may be too new, try again without it.",
	.wants = HAZARD_WANTS(RING_SETUP),
	.needs = 0,
	.look = look_setup_flag_conflict,
};
