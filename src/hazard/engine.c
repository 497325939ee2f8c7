/* SPDX-License-Identifier: MIT */
#include "hazard/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/op.h"
#include "hazard/findings.h"

enum { RULES_MAX = 192, OPS = URING_OP_LAST + 1 /* and one that is not known */ };

/* Moments that come with every request have lists by operation. */
enum by_op { ON_SUBMIT, ON_CONSUMED, ON_SUCCESS, ON_FAILURE, BY_OP };

struct list {
	size_t n;
	struct {
		uint8_t number, when; /* of the rule; enum hazard_when */
	} entries[RULES_MAX];
};

/* A rule that runs, and what it sees of the engine while it looks. */
struct hazard_context {
	void (*look)(struct hazard_context *context, const struct moment *moment); /* the rule's, close at hand */
	const struct hazard *hazard;
	struct hazard_engine *engine;
	size_t number;
};

struct hazard_engine {
	struct model *model;
	struct findings *findings;
	struct hazard_options options;
	uint32_t abilities;
	const struct hazard *const *catalogue; /* all that were given */
	const struct hazard *rules[RULES_MAX]; /* those that run */
	struct hazard_context contexts[RULES_MAX];
	size_t n_rules;
	struct list by_moment[MOMENT_COUNT];
	struct list by_op[BY_OP][OPS];
	struct finding draft;
};

static const struct {
	uint32_t ability;
	const char *reason;
} reasons[] = {
	{ SOURCE_SQES, "needs whole entries with their arguments" },
	{ SOURCE_COMPLETIONS, "needs completions" },
	{ SOURCE_MEMORY, "needs to see memory being released" },
	{ SOURCE_BOUNDS, "needs the sizes of allocations" },
	{ SOURCE_FDS, "needs to see descriptors" },
	{ SOURCE_CQ_STATE, "needs the completion ring's head and tail" },
	{ SOURCE_THREADS, "needs to see threads" },
	{ SOURCE_CREDENTIALS, "needs to see changes of user ids" },
	{ SOURCE_STACKS, "needs call stacks" },
	{ SOURCE_SQPOLL_TIMING, "needs to see when a polling thread takes an entry" },
	{ SOURCE_PBUFS, "needs to see provided-buffer rings" },
	{ SOURCE_FRAMES, "needs to see functions return" },
	{ SOURCE_WAITS, "needs to look while a call blocks" },
	{ SOURCE_FILTERS, "needs to know under which seccomp filters a process runs" },
};

/* ---- moments ---- */

static const struct list *list_for(const struct hazard_engine *engine, const struct moment *moment)
{
	uint8_t opcode;

	if (!moment->request)
		return &engine->by_moment[moment->kind];
	opcode = moment->request->sqe.opcode < URING_OP_LAST ? moment->request->sqe.opcode : URING_OP_LAST;
	switch (moment->kind) {
	case MOMENT_SUBMIT:
		return &engine->by_op[ON_SUBMIT][opcode];
	case MOMENT_CONSUMED:
		return &engine->by_op[ON_CONSUMED][opcode];
	case MOMENT_COMPLETE:
		return &engine->by_op[((const struct event_complete *)moment->event)->cqe.res < 0 ? ON_FAILURE
												  : ON_SUCCESS][opcode];
	default:
		return &engine->by_moment[moment->kind];
	}
}

/* What holds of enum hazard_when; whether a rule has a cell is asked rule by rule. */
static unsigned circumstances(const struct moment *moment)
{
	const struct model_request *request = moment->request;
	unsigned holds = HAZARD_WHEN_CELL;

	if (!request)
		return ~0u;
	holds |= request->chained ? HAZARD_WHEN_CHAINED : 0;
	holds |= request->multishot ? HAZARD_WHEN_MULTISHOT : 0;
	holds |= request->ring->setup_flags & URING_SETUP_SQPOLL ? HAZARD_WHEN_SQPOLL : 0;
	holds |= request->ring->n_slots || request->sqe.flags & URING_SQE_FIXED_FILE ? HAZARD_WHEN_FIXED : 0;
	holds |= request->object.type == EVENT_FD_STREAM || request->object.type == EVENT_FD_PIPE ? HAZARD_WHEN_STREAM
												  : 0;
	holds |= request->fd && request->fd_generation != request->fd->generation ? HAZARD_WHEN_CLOSED : 0;
	holds |= request->process->n_sending ? HAZARD_WHEN_SENDING : 0;
	return holds;
}

static bool is_asleep(const struct moment *moment, size_t number, unsigned when)
{
	return when & HAZARD_WHEN_CELL && moment->request && !moment->request->ring->rule_cells[number];
}

static void observe(void *opaque, struct model *model, const struct moment *moment)
{
	struct hazard_engine *engine = opaque;
	const struct list *list = list_for(engine, moment);
	unsigned holds;

	if (moment->kind == MOMENT_CONSUMED)
		findings_consumed(engine->findings, moment->request->seq);
	if (!list->n)
		return;
	holds = circumstances(moment);
	for (size_t i = 0; i < list->n; i++) {
		unsigned when = list->entries[i].when, number = list->entries[i].number;
		struct hazard_context *context = &engine->contexts[number];

		if (!(when & ~holds) && !is_asleep(moment, number, when))
			context->look(context, moment);
	}
}

static bool concerns(const struct hazard *hazard, unsigned opcode)
{
	if (!hazard->only_traits && !hazard->only_ops)
		return true;
	return (abi_op(opcode)->traits & hazard->only_traits) || (opcode < 64 && hazard->only_ops >> opcode & 1);
}

static void list_add(struct list *list, size_t number, uint8_t when)
{
	list->entries[list->n].number = (uint8_t)number;
	list->entries[list->n++].when = when;
}

static void add_rule(struct hazard_engine *engine, const struct hazard *hazard)
{
	size_t number = engine->n_rules++;

	engine->rules[number] = hazard;
	engine->contexts[number] = (struct hazard_context){ hazard->look, hazard, engine, number };
	for (unsigned kind = 0; kind < MOMENT_COUNT; kind++)
		if (hazard->wants >> kind & 1)
			list_add(&engine->by_moment[kind], number, 0);
	for (unsigned opcode = 0; opcode < OPS; opcode++) {
		if (!concerns(hazard, opcode))
			continue;
		if (hazard->wants & HAZARD_WANTS(SUBMIT))
			list_add(&engine->by_op[ON_SUBMIT][opcode], number, hazard->when.submit);
		if (hazard->wants & HAZARD_WANTS(CONSUMED))
			list_add(&engine->by_op[ON_CONSUMED][opcode], number, hazard->when.consumed);
		if (!(hazard->wants & HAZARD_WANTS(COMPLETE)))
			continue;
		list_add(&engine->by_op[ON_FAILURE][opcode], number, hazard->when.complete);
		if (!hazard->only_failures)
			list_add(&engine->by_op[ON_SUCCESS][opcode], number, hazard->when.complete);
	}
}

static uint64_t wanted_moments(const struct hazard_engine *engine)
{
	uint64_t wanted = HAZARD_WANTS(CONSUMED); /* for findings that are held */

	for (size_t i = 0; i < engine->n_rules; i++)
		wanted |= engine->rules[i]->wants;
	return wanted;
}

struct hazard_engine *hazard_engine_new(const struct hazard *const *rules, uint32_t abilities,
					const struct hazard_options *options, hazard_sink *sink, void *context)
{
	struct hazard_engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return NULL;
	engine->catalogue = rules;
	engine->abilities = abilities;
	if (options)
		engine->options = *options;
	for (; *rules && engine->n_rules < RULES_MAX; rules++)
		if (((*rules)->needs & ~abilities) == 0)
			add_rule(engine, *rules);
	engine->findings = findings_new(engine->rules, engine->n_rules, sink, context);
	engine->model = model_new(observe, engine);
	if (!engine->findings || !engine->model)
		return hazard_engine_free(engine);
	engine->model->wanted = wanted_moments(engine);
	return engine;
}

struct hazard_engine *hazard_engine_free(struct hazard_engine *engine)
{
	if (!engine)
		return NULL;
	engine->findings = findings_free(engine->findings);
	engine->model = model_free(engine->model);
	free(engine);
	return NULL;
}

int hazard_engine_apply(struct hazard_engine *engine, const struct event *event)
{
	int r = model_apply(engine->model, event);

	if (event->kind == EVENT_ENTER_RETURN && event->size >= sizeof(struct event_enter_return))
		findings_returned(engine->findings, event->pid, ((const struct event_enter_return *)event)->call);
	else if (event->kind == EVENT_PROCESS_EXIT)
		findings_process_ended(engine->findings, event->pid);
	else if (event->kind == EVENT_TICK)
		findings_late(engine->findings, engine->model->time);
	findings_flush(engine->findings, false);
	return r;
}

void hazard_engine_finish(struct hazard_engine *engine)
{
	model_finish(engine->model);
	findings_flush(engine->findings, true);
}

struct model *hazard_engine_model(struct hazard_engine *engine)
{
	return engine->model;
}

void hazard_engine_unchecked(const struct hazard_engine *engine,
			     void (*each)(void *context, const struct hazard *hazard, const char *reason),
			     void *context)
{
	for (const struct hazard *const *rule = engine->catalogue; *rule; rule++) {
		uint32_t missing = (*rule)->needs & ~engine->abilities;

		for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
			if (missing & reasons[i].ability) {
				each(context, *rule, reasons[i].reason);
				break;
			}
	}
}

void hazard_engine_places(const struct hazard_engine *engine, hazard_sink *each, void *context)
{
	findings_each_place(engine->findings, each, context);
}

/* ---- what rules call ---- */

struct finding *hazard_finding(struct hazard_context *context, const struct moment *moment,
			       const struct model_request *request)
{
	struct finding *finding = &context->engine->draft;
	const struct model_ring *ring = request ? request->ring : moment->ring;
	const struct event *event = moment->event;

	/* Steps are long and rare: their number says which are valid. */
	memset(finding, 0, offsetof(struct finding, steps));
	finding->hazard = context->hazard;
	finding->level = context->hazard->level;
	finding->why = context->hazard->why;
	finding->fix = context->hazard->fix;
	finding->time = moment->time;
	finding->in_flight_ns = finding->count = 0;
	finding->seq = event ? event->seq : 0;
	finding->pid = event ? event->pid : 0;
	finding->tid = event ? event->tid : 0;
	if (ring) {
		finding->ring = ring->id;
		finding->ring_fd = ring->fd;
	}
	if (request) {
		finding->has_sqe = true;
		finding->sqe = request->sqe;
		finding->request_seq = request->seq;
		finding->pid = request->process->pid;
		finding->tid = request->tid;
		if (request->state == REQUEST_INFLIGHT && moment->time > request->time)
			finding->in_flight_ns = moment->time - request->time;
		hazard_stack(finding, "submitted by", request->process->pid, request->stack);
	} else if (event && event->stack) {
		hazard_stack(finding, "seen at", event->pid, event->stack);
	}
	return finding;
}

void hazard_message(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(finding->message, sizeof(finding->message), format, args);
	va_end(args);
}

void hazard_step(struct finding *finding, const char *format, ...)
{
	va_list args;

	if (finding->n_steps == FINDING_STEPS)
		return;
	va_start(args, format);
	(void)vsnprintf(finding->steps[finding->n_steps++], FINDING_STEP_BYTES, format, args);
	va_end(args);
}

void hazard_stack(struct finding *finding, const char *label, uint32_t pid, uint32_t stack)
{
	for (size_t i = 0; i < FINDING_STACKS; i++)
		if (!finding->stacks[i].label) {
			finding->stacks[i] = (struct finding_stack){ label, pid, stack };
			return;
		}
}

void hazard_report(struct hazard_context *context, struct finding *finding)
{
	findings_add(context->engine->findings, finding);
}

/* The call under way of the finding's thread, 0 = none. */
static uint64_t call_of(struct hazard_context *context, const struct finding *finding)
{
	struct model_process *process = map_get(&context->engine->model->processes, finding->pid);
	const struct model_thread *thread = process ? model_thread_get(process, finding->tid) : NULL;

	return thread && thread->in_enter ? thread->enter.call : 0;
}

void hazard_report_after_call(struct hazard_context *context, struct finding *finding, bool only_if_consumed)
{
	uint64_t call = call_of(context, finding);

	if (call)
		findings_hold(context->engine->findings, finding, call, only_if_consumed);
	else
		findings_add(context->engine->findings, finding);
}

void hazard_hold(struct hazard_context *context, struct finding *finding, uint64_t at_most_ns)
{
	finding->held_until = at_most_ns ? finding->time + at_most_ns : 0;
	findings_keep(context->engine->findings, finding);
}

void hazard_decide_held(struct hazard_context *context, hazard_decide *decide, const void *opaque)
{
	findings_decide(context->engine->findings, context->hazard, decide, opaque);
}

static bool first_time(uint64_t bits[3], size_t number)
{
	uint64_t bit = UINT64_C(1) << (number % 64);
	bool first = !(bits[number / 64] & bit);

	bits[number / 64] |= bit;
	return first;
}

bool hazard_mark_request(struct hazard_context *context, struct model_request *request)
{
	return first_time(request->rule_bits, context->number);
}

bool hazard_mark_ring(struct hazard_context *context, struct model_ring *ring)
{
	return first_time(ring->rule_bits, context->number);
}

bool hazard_mark_process(struct hazard_context *context, struct model_process *process)
{
	return first_time(process->rule_bits, context->number);
}

struct model *hazard_model(struct hazard_context *context)
{
	return context->engine->model;
}

uint64_t *hazard_ring_cell(struct hazard_context *context, struct model_ring *ring)
{
	return &ring->rule_cells[context->number];
}

const struct hazard_options *hazard_options(struct hazard_context *context)
{
	return &context->engine->options;
}
