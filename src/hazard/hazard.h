/* SPDX-License-Identifier: MIT */
/*
 * The catalogue's rules. A rule is a const descriptor and one function; the function sees a moment and the model behind it and may
 * report findings. It prints nothing, allocates nothing, calls no system.
 *
 * Rules live in src/hazard/<family>.c beside their relatives and are listed in src/hazard/catalogue.c. Each has its folder in hazards/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/source.h"
#include "model/model.h"

enum hazard_level { HAZARD_NOTE = 1, HAZARD_WARNING, HAZARD_ERROR };

struct hazard_engine;
struct hazard_context;

/*
 * SUBMIT, CONSUMED and COMPLETE come with every request, and most rules care about few of them. What they do not care about they say in
 * their descriptor, and are not called for: all that is asked must hold. A completion that is nobody's is shown to all.
 */
enum hazard_when {
	HAZARD_WHEN_CELL = 1u << 0,	 /* the rule's own cell of the ring is not 0: something was remembered there */
	HAZARD_WHEN_CHAINED = 1u << 1,	 /* the request is part of a chain */
	HAZARD_WHEN_MULTISHOT = 1u << 2,
	HAZARD_WHEN_SQPOLL = 1u << 3,	 /* the ring was asked for with a polling thread */
	HAZARD_WHEN_FIXED = 1u << 4,	 /* the ring has fixed files, or the request asks for one */
	HAZARD_WHEN_STREAM = 1u << 5,	 /* the request's file is a stream socket or a pipe */
	HAZARD_WHEN_CLOSED = 1u << 6,	 /* the request's descriptor was closed since it was submitted */
	HAZARD_WHEN_SENDING = 1u << 7,	 /* the process has zero-copy sends that were answered and whose memory is still in use */
};

struct hazard {
	const char *name;	/* kebab-case, never reused */
	const char *family;	/* "setup" "submission" "links" "buffers" "files" "completion" "multishot" "provided-buffers" "sqpoll" "threads" "teardown" "privilege" */
	enum hazard_level level; /* highest level it reports at */
	const char *why;	/* one or two sentences: what the kernel will do */
	const char *fix;	/* one or two sentences: how to repair it */
	uint64_t wants;		/* bits 1 << enum moment_kind */
	uint32_t needs;		/* enum source_ability: without all of them it is "not checked" */
	/* Of the moments that come with every request, those of operations with any of these traits (enum abi_trait) or in this set (see
	 * HAZARD_OP); all when both are 0. */
	uint32_t only_traits;
	uint64_t only_ops;
	bool only_failures;	/* of COMPLETE: results below zero */
	struct {
		uint8_t submit, consumed, complete; /* enum hazard_when */
	} when;
	void (*look)(struct hazard_context *context, const struct moment *moment);
	const char *const *supersedes; /* names, NULL-terminated: where both speak of the same request (or ring, or place) only this one is reported */
};

#define HAZARD_WANTS(kind) (UINT64_C(1) << MOMENT_##kind)
#define HAZARD_OP(name)	   (UINT64_C(1) << URING_OP_##name)

enum { FINDING_STACKS = 3, FINDING_STEPS = 16, FINDING_STEP_BYTES = 200 };

struct finding_stack {
	const char *label;	/* "submitted by", "released by", "allocated by", "armed by" ...; static text */
	uint32_t pid, stack;	/* stack 0 = none */
};

/* One misuse. A value: it can outlive the model. */
struct finding {
	const struct hazard *hazard;
	enum hazard_level level;
	uint32_t pid, tid;
	uint32_t ring;
	int32_t ring_fd;
	bool has_sqe;
	struct uring_sqe sqe;		/* the entry it is about */
	uint64_t request_seq;		/* identity of the request for supersession, 0 = none */
	char message[400];		/* what happened here, with the numbers of this case */
	const char *why, *fix;		/* the hazard's, unless the rule says it better */
	struct finding_stack stacks[FINDING_STACKS];
	uint64_t time, seq;
	uint64_t in_flight_ns;		/* how long the request had been in flight, 0 = does not apply */
	uint64_t count;			/* times seen at this place so far */
	uint64_t held_for;		/* the rule's own, while it holds the finding back: see hazard_hold() */
	uint64_t held_until;		/* at the latest; 0 = until its process ends */
	size_t n_steps;
	char steps[FINDING_STEPS][FINDING_STEP_BYTES]; /* a deadlock's steps, a chain's members */
};

/*
 * Starts a finding of the rule being run: level, texts, ids, time and (from `request`, which may be NULL: then from the moment) entry and
 * "submitted by" stack are filled in. The caller adds message and the rest and hands it to hazard_report().
 */
struct finding *hazard_finding(struct hazard_context *context, const struct moment *moment, const struct model_request *request);
void hazard_message(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hazard_step(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hazard_stack(struct finding *finding, const char *label, uint32_t pid, uint32_t stack);
void hazard_report(struct hazard_context *context, struct finding *finding);

/*
 * As hazard_report(), but held back until the enter call of the finding's request has returned, so that a rule which knows more (and
 * supersedes it) can still speak; dropped when the request turns out not to have been consumed if `only_if_consumed`.
 */
void hazard_report_after_call(struct hazard_context *context, struct finding *finding, bool only_if_consumed);

/*
 * As hazard_report(), but held back until this rule knows better: hazard_decide_held() asks `decide` about each finding the rule holds. What
 * nobody decided is told after `at_most_ns`, or when its process ends (0: only then).
 */
enum { HAZARD_SECOND = 1000000000 };
enum hazard_decision { HAZARD_KEEP, HAZARD_DROP, HAZARD_TELL };
typedef enum hazard_decision hazard_decide(struct finding *finding, const void *opaque);

void hazard_hold(struct hazard_context *context, struct finding *finding, uint64_t at_most_ns);
void hazard_decide_held(struct hazard_context *context, hazard_decide *decide, const void *opaque);

/* True the first time it is called for this rule and request (or ring, or process): "say it once". */
bool hazard_mark_request(struct hazard_context *context, struct model_request *request);
bool hazard_mark_ring(struct hazard_context *context, struct model_ring *ring);
bool hazard_mark_process(struct hazard_context *context, struct model_process *process);

/* The model, and a zeroed 64-bit cell of this rule per ring. */
struct model *hazard_model(struct hazard_context *context);
uint64_t *hazard_ring_cell(struct hazard_context *context, struct model_ring *ring);

/* What the engine was told. */
struct hazard_options {
	uint64_t overdue_ns;	/* requests older than this are named; 0 = off */
};
const struct hazard_options *hazard_options(struct hazard_context *context);

/* The catalogue: NULL-terminated, sorted by name. */
extern const struct hazard *const hazard_catalogue[];
const struct hazard *hazard_find(const char *name);	/* NULL = no such hazard */
