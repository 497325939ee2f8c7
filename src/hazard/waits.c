/* SPDX-License-Identifier: MIT */
/* Requests that wait for each other: deadlocks, told with every step. */
#include "hazard/graph.h"
#include "hazard/hazard.h"
#include "hazard/known.h"

/* So long must a call have been blocked, or a request been in flight, before it is plain that it does not move; longer
 * where completions may have come that nobody could see yet. */
#define PLAIN_NS UINT64_C(200000000)
#define SETTLED_NS UINT64_C(1000000000)

static unsigned long long id(const struct model_request *request)
{
	return (unsigned long long)request->sqe.user_data;
}

/* ---- which circle is whose ---- */

static bool is_self(const struct graph_cycle *cycle)
{
	return !cycle->n_drains && cycle->n_products == 1;
}

static bool is_cross(const struct graph_cycle *cycle)
{
	return !cycle->n_drains && cycle->n_products > 1;
}

static bool is_drain(const struct graph_cycle *cycle)
{
	return cycle->n_drains > 0;
}

typedef bool circle_kind(const struct graph_cycle *cycle);

/* ---- telling it ---- */

static void tell_steps(struct finding *finding, const struct model *model, const struct graph_cycle *cycle)
{
	char thing[64];

	for (unsigned i = 0; i < cycle->n; i++) {
		const struct model_request *from = cycle->steps[i].from, *to = cycle->steps[i].to;

		switch (cycle->steps[i].why) {
		case GRAPH_PRODUCT:
			graph_thing_name(model, from, thing, sizeof(thing));
			hazard_step(finding,
				    "%s (user_data 0x%llx) waits on %s, which %s (user_data 0x%llx) would feed",
				    from->op->name, id(from), thing, to->op->name, id(to));
			break;
		case GRAPH_LINK:
			hazard_step(finding, "%s (user_data 0x%llx) is linked behind %s (user_data 0x%llx)",
				    from->op->name, id(from), to->op->name, id(to));
			break;
		case GRAPH_DRAIN:
			hazard_step(finding,
				    "%s (user_data 0x%llx) may not start before %s (user_data 0x%llx): a drain stands "
				    "between them",
				    from->op->name, id(from), to->op->name, id(to));
			break;
		}
	}
}

static void tell_message(struct finding *finding, const struct model *model, const struct graph_cycle *cycle)
{
	const struct model_request *from = cycle->steps[0].from, *to = cycle->steps[0].to;
	char thing[64];

	graph_thing_name(model, from, thing, sizeof(thing));
	if (is_self(cycle))
		hazard_message(
			finding,
			"%s (user_data 0x%llx) waits on %s, and only %s (user_data 0x%llx), which is linked behind it, "
			"would feed that",
			from->op->name, id(from), thing, to->op->name, id(to));
	else if (is_cross(cycle))
		hazard_message(
			finding,
			"%u chains wait for each other: %s (user_data 0x%llx) waits on %s, and what would feed that is "
			"linked behind another such wait",
			cycle->n_products, from->op->name, id(from), thing);
	else
		hazard_message(finding,
			       "%s (user_data 0x%llx) waits on %s, and %s (user_data 0x%llx), which would feed that, "
			       "is held back by a drain until %s has ended",
			       from->op->name, id(from), thing, to->op->name, id(to), from->op->name);
}

/* The first circle of that kind that a request of the ring is caught in. */
static bool find_circle(const struct graph *graph, const struct model *model, const struct model_ring *ring,
			circle_kind *kind, struct graph_cycle *ret_cycle)
{
	for (unsigned i = 0; i < graph->n; i++)
		if (graph->nodes[i].request->ring == ring && !graph->nodes[i].ends &&
		    graph_cycle(graph, model, graph->nodes[i].request, ret_cycle) && kind(ret_cycle))
			return true;
	return false;
}

static struct finding *circle_finding(struct hazard_context *context, const struct moment *moment,
				      const struct graph_cycle *cycle)
{
	struct finding *finding = hazard_finding(context, moment, cycle->steps[0].from);

	finding->pid = cycle->steps[0].from->process->pid;
	finding->tid = cycle->steps[0].from->tid;
	tell_message(finding, hazard_model(context), cycle);
	tell_steps(finding, hazard_model(context), cycle);
	return finding;
}

/* ---- threads that will not come back ---- */

static uint32_t completions_of(const struct model_request *request)
{
	return request->multishot || known_trait(request, ABI_ZERO_COPY) ? UINT32_MAX : 1;
}

/* Ends without waiting for anybody, so that it has ended by now. */
static bool ends_at_once(const struct model_request *request)
{
	uint16_t type = request->object.type;

	if (known_trait(request, ABI_MAY_BLOCK) || request->sqe.opcode == URING_OP_TIMEOUT)
		return false;
	return type != EVENT_FD_PIPE && type != EVENT_FD_STREAM && type != EVENT_FD_DGRAM && type != EVENT_FD_CHAR &&
	       type != EVENT_FD_EVENTFD && type != EVENT_FD_TIMERFD;
}

/* What is missing of the wait, 0 where it has a limit or is none. */
static uint32_t missing(const struct model_thread *thread)
{
	const struct event_enter *enter = &thread->enter;
	uint32_t wanted = enter->min_complete, there = enter->cq_tail - enter->cq_head;

	if (!thread->in_enter || !(enter->flags & URING_ENTER_GETEVENTS) || enter->timeout != UINT64_MAX ||
	    (enter->h.flags & EVENT_UNCERTAIN))
		return 0;
	if (wanted > thread->in_enter->cq_entries)
		wanted = thread->in_enter->cq_entries;
	return wanted > there ? wanted - there : 0;
}

/*
 * Completions that came since the call began are not seen before it returns. When one is enough for it to return none
 * has come; else everything that may still complete must be of the kind that has done so long ago.
 */
static bool never_returns(const struct graph *graph, const struct model_thread *thread, uint64_t blocked_ns)
{
	uint32_t needed = missing(thread);
	uint64_t possible = 0;
	bool settled = true;

	for (unsigned i = 0; i < graph->n; i++) {
		const struct graph_node *node = &graph->nodes[i];

		if (node->request->ring != thread->in_enter || !node->ends)
			continue;
		possible += completions_of(node->request);
		settled &= ends_at_once(node->request);
	}
	return possible < needed && (needed == 1 || (settled && blocked_ns >= SETTLED_NS));
}

/* Every living thread of the process is in a wait without limit, and has been for a while. */
struct standstill {
	uint64_t since; /* when the last of them began */
	uint64_t call;
};

static bool is_waiting(const struct model *model, const struct model_thread *thread)
{
	const struct model_ring *ring = thread->in_enter;

	return missing(thread) && ring->process == thread->process && !ring->sqpoll_kept && !ring->n_unknown &&
	       !known_others_post(model, ring);
}

static bool stands_still(const struct model *model, const struct model_process *process,
			 struct standstill *ret_standstill)
{
	struct standstill standstill = { 0 };
	uint32_t n = 0;

	if (process->forked || process->exited || model->lost)
		return false;
	MAP_FOR_EACH(&process->threads, entry)
	{
		const struct model_thread *thread = entry->value;

		if (thread->exited)
			continue;
		if (!is_waiting(model, thread))
			return false;
		n++;
		if (thread->enter.h.time >= standstill.since)
			standstill = (struct standstill){ thread->enter.h.time, thread->enter.call };
	}
	*ret_standstill = standstill;
	return n && n == process->n_threads;
}

static bool none_returns(const struct graph *graph, const struct model_process *process, uint64_t blocked_ns)
{
	MAP_FOR_EACH(&process->threads, entry)
	{
		const struct model_thread *thread = entry->value;

		if (!thread->exited && !never_returns(graph, thread, blocked_ns))
			return false;
	}
	return true;
}

static void report_deadlock(struct hazard_context *context, const struct moment *moment, const struct graph *graph,
			    const struct model_thread *thread, circle_kind *kind)
{
	struct graph_cycle cycle;
	struct finding *finding;

	if (!find_circle(graph, hazard_model(context), thread->in_enter, kind, &cycle) ||
	    !hazard_mark_process(context, thread->process))
		return;
	finding = circle_finding(context, moment, &cycle);
	finding->level = HAZARD_ERROR;
	hazard_stack(finding, "waits at", thread->process->pid, thread->enter.h.stack);
	hazard_report(context, finding);
}

/* The cell is the newest call when it was looked at, with its lowest bit set when that was after it had settled. */
static bool is_new(struct hazard_context *context, const struct model_process *process, uint64_t looked)
{
	bool is_new = false;

	MAP_FOR_EACH(&process->threads, entry)
	{
		const struct model_thread *thread = entry->value;
		uint64_t *cell = thread->exited ? NULL : hazard_ring_cell(context, thread->in_enter);

		if (cell && *cell != looked) {
			*cell = looked;
			is_new = true;
		}
	}
	return is_new;
}

static void look_at_process(struct hazard_context *context, const struct moment *moment, struct model_process *process,
			    circle_kind *kind)
{
	struct model *model = hazard_model(context);
	struct standstill still;
	struct graph graph;
	uint64_t blocked_ns;

	if (!stands_still(model, process, &still) || moment->time < still.since + PLAIN_NS)
		return;
	blocked_ns = moment->time - still.since;
	if (!is_new(context, process, still.call << 1 | (blocked_ns >= SETTLED_NS)) ||
	    !graph_solve(&graph, model, process) || !none_returns(&graph, process, blocked_ns))
		return;
	MAP_FOR_EACH(&process->threads, entry)
	{
		const struct model_thread *thread = entry->value;

		if (!thread->exited)
			report_deadlock(context, moment, &graph, thread, kind);
	}
}

static void look_at_blocked(struct hazard_context *context, const struct moment *moment, circle_kind *kind)
{
	MAP_FOR_EACH(&hazard_model(context)->processes, entry)
	{
		look_at_process(context, moment, entry->value, kind);
	}
}

/* ---- a ring that goes while requests on it wait for each other: nobody helped them till the end ---- */

/* Nobody else could have helped. */
static bool alone(const struct model *model, const struct model_process *process)
{
	return process->n_threads <= 1 && !process->forked && !process->exited && !model->lost;
}

static bool waited_long(const struct graph_cycle *cycle, uint64_t now)
{
	for (unsigned i = 0; i < cycle->n; i++)
		if (!known_inflight(cycle->steps[i].from) || now < cycle->steps[i].from->time + PLAIN_NS)
			return false;
	return true;
}

static void look_at_end(struct hazard_context *context, const struct moment *moment, struct model_ring *ring,
			circle_kind *kind)
{
	struct model *model = hazard_model(context);
	struct graph_cycle cycle;
	struct finding *finding;
	struct graph graph;

	if (!ring->process || !alone(model, ring->process) || !graph_solve(&graph, model, ring->process) ||
	    !find_circle(&graph, model, ring, kind, &cycle) || !waited_long(&cycle, moment->time) ||
	    !hazard_mark_process(context, ring->process))
		return;
	finding = circle_finding(context, moment, &cycle);
	finding->level = HAZARD_WARNING;
	hazard_stack(finding, "given up by", moment->event->pid, moment->event->stack);
	hazard_report(context, finding);
}

static bool is_clean_end(const struct moment *moment)
{
	if (moment->event->flags & EVENT_SYNTHETIC)
		return false;
	if (moment->kind == MOMENT_PROCESS_EXIT)
		return ((const struct event_exit *)moment->event)->clean;
	return ((const struct event_ring_state *)moment->event)->known;
}

static void look_for(struct hazard_context *context, const struct moment *moment, circle_kind *kind)
{
	if (!known_sure(hazard_model(context), moment))
		return;
	if (moment->kind == MOMENT_TICK) {
		look_at_blocked(context, moment, kind);
		return;
	}
	if (!is_clean_end(moment))
		return;
	MAP_FOR_EACH(&hazard_model(context)->rings, entry)
	{
		struct model_ring *ring = entry->value;

		if (moment->ring ? ring == moment->ring : ring->process == moment->process)
			look_at_end(context, moment, ring, kind);
	}
}

#define WAIT_MOMENTS                                                                                                   \
	(HAZARD_WANTS(TICK) | HAZARD_WANTS(RING_UNMAPPED) | HAZARD_WANTS(RING_CLOSED) | HAZARD_WANTS(PROCESS_EXIT))

static const char *const wait_supersedes[] = { "wait-without-inflight", NULL };

static void look_self_wait(struct hazard_context *context, const struct moment *moment)
{
	look_for(context, moment, is_self);
}

const struct hazard hazard_link_self_wait = {
	.name = "link-self-wait",
	.family = "links",
	.level = HAZARD_ERROR,
	.why = "A member of a chain starts when the one before it has ended. One that waits for what a later member "
	       "produces waits for ever, and all behind it too.",
	.fix = "Put the producer first, or outside the chain.",
	.wants = WAIT_MOMENTS,
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.look = look_self_wait,
	.supersedes = wait_supersedes,
};

static void look_cross_wait(struct hazard_context *context, const struct moment *moment)
{
	look_for(context, moment, is_cross);
}

const struct hazard hazard_link_cross_wait = {
	.name = "link-cross-wait",
	.family = "links",
	.level = HAZARD_ERROR,
	.why = "Each chain's first member waits for what stands behind another chain's first member: none of them gets "
	       "any further.",
	.fix = "Let one of the chains begin with what the others wait for.",
	.wants = WAIT_MOMENTS,
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.look = look_cross_wait,
	.supersedes = wait_supersedes,
};

/* ---- drain-behind-unbounded-op ---- */

/* Runs until somebody ends it; a receive ends with its stream. */
static bool is_endless(const struct model_request *request)
{
	uint8_t opcode = request->sqe.opcode;

	if (!request->multishot || !known_inflight(request))
		return false;
	return opcode == URING_OP_ACCEPT || opcode == URING_OP_POLL_ADD ||
	       (opcode == URING_OP_TIMEOUT && !request->sqe.off);
}

/* May end another request. */
static bool is_remedy(const struct model_request *request)
{
	uint8_t opcode = request->sqe.opcode;

	return opcode == URING_OP_ASYNC_CANCEL || opcode == URING_OP_POLL_REMOVE || opcode == URING_OP_TIMEOUT_REMOVE ||
	       opcode == URING_OP_SHUTDOWN || opcode == URING_OP_CLOSE;
}

static const struct model_request *endless_before(const struct model_request *drain)
{
	const struct model_request *found = NULL;

	for (const struct model_request *older = drain->ring->first; older && older != drain; older = older->next) {
		if (older->chain && older->chain == drain->chain)
			continue;
		if (is_remedy(older))
			return NULL;
		if (!found && is_endless(older))
			found = older;
	}
	return found;
}

static void look_behind_endless(struct hazard_context *context, const struct moment *moment, struct model_ring *ring)
{
	if (!ring->n_drains || !ring->n_multishot)
		return;
	for (struct model_request *request = ring->first; request; request = request->next) {
		const struct model_request *endless;
		struct finding *finding;

		if (!(request->sqe.flags & URING_SQE_IO_DRAIN) || !known_inflight(request) || request->refused ||
		    moment->time < request->time + PLAIN_NS)
			continue;
		endless = endless_before(request);
		if (!endless || !hazard_mark_ring(context, ring))
			return;
		finding = hazard_finding(context, moment, request);
		finding->level = HAZARD_WARNING;
		hazard_message(finding,
			       "%s (user_data 0x%llx) with IOSQE_IO_DRAIN waits for the multishot %s (user_data "
			       "0x%llx) to end, and everything submitted since waits too",
			       request->op->name, id(request), endless->op->name, id(endless));
		hazard_stack(finding, "armed by", endless->process->pid, endless->stack);
		hazard_report(context, finding);
		return;
	}
}

/* Whether the requests said to be in flight still are: the call would have returned with one completion more. */
static bool is_exact(const struct model *model, const struct model_ring *ring)
{
	MAP_FOR_EACH(&model->processes, entry)
	{
		struct model_process *process = entry->value;

		MAP_FOR_EACH(&process->threads, inner)
		{
			const struct model_thread *thread = inner->value;

			if (thread->in_enter == ring && missing(thread) == 1)
				return true;
		}
	}
	return false;
}

static void look_drain(struct hazard_context *context, const struct moment *moment)
{
	struct model *model = hazard_model(context);

	if (!known_sure(model, moment))
		return;
	if (moment->kind == MOMENT_TICK) {
		MAP_FOR_EACH(&model->rings, entry)
		{
			struct model_ring *ring = entry->value;

			if (!ring->sqpoll_kept && !ring->lost && is_exact(model, ring))
				look_behind_endless(context, moment, ring);
		}
	} else if (moment->ring && !moment->ring->sqpoll_kept && !moment->ring->lost) {
		look_behind_endless(context, moment, moment->ring);
	}
	if (moment->kind != MOMENT_ENTER)
		look_for(context, moment, is_drain);
}

const struct hazard hazard_drain_behind_unbounded_op = {
	.name = "drain-behind-unbounded-op",
	.family = "links",
	.level = HAZARD_ERROR,
	.why = "A request with IOSQE_IO_DRAIN starts when all earlier ones have ended, multishot and waiting ones "
	       "included, and everything submitted later queues behind it, cancellations too.",
	.fix = "Link what must be in order instead, or end the earlier requests first; once stuck only "
	       "io_uring_register's SYNC_CANCEL helps.",
	.wants = WAIT_MOMENTS | HAZARD_WANTS(ENTER),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.look = look_drain,
	.supersedes = wait_supersedes,
};
