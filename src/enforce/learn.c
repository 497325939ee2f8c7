/* SPDX-License-Identifier: MIT */
#include "enforce/learn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/map.h"
#include "enforce/policy-inner.h"
#include "event/event.h"

enum {
	MAX_PROCESSES = 65536, /* a scribbling program can invent any number */
	MANY_RINGS = 1024,     /* from here on a program is taken to come back for ever */
	DEFAULT_IDLE_MS = 1000,
};

#define SLACK_BYTES (UINT64_C(4) << 20) /* of buffers: huge pages count whole */

struct process {
	char program[LEARN_PROGRAM_BYTES];
	uint64_t rings; /* made by it, and those that it was born with */
	uint64_t live, inherited;
	bool makes_rings;
};

struct learn {
	struct learn_mark ops[POLICY_MAX_OPS], sqe_flags[8], register_ops[64], setup_flags[32], families[64];
	struct learn_mark fields[POLICY_N_FIELDS];
	struct learn_summary summary;
	struct map processes; /* by number */
	struct map consumed;  /* by ring: the entries that were counted lie before this index, plus one */
	bool other_families;
	uint32_t sq_entries, cq_entries, idle_ms;
	uint64_t pollers, buffer_bytes, live, most_rings, most_live;
};

struct learn *learn_new(void)
{
	return calloc(1, sizeof(struct learn));
}

struct learn *learn_free(struct learn *learn)
{
	if (!learn)
		return NULL;
	MAP_FOR_EACH(&learn->processes, entry)
	free(entry->value);
	map_deinit(&learn->processes);
	map_deinit(&learn->consumed);
	free(learn);
	return NULL;
}

/* ---- processes ---- */

/* NULL with *ret_r = 0 when there are too many, else out of memory. */
static struct process *process_of(struct learn *learn, uint32_t pid, int *ret_r)
{
	struct process *process = map_get(&learn->processes, pid);

	*ret_r = 0;
	if (process || learn->processes.n_used >= MAX_PROCESSES)
		return process;
	process = calloc(1, sizeof *process);
	if (!process || map_put(&learn->processes, pid, process) < 0) {
		free(process);
		*ret_r = -ENOMEM;
		return NULL;
	}
	return process;
}

static int name_process(struct learn *learn, const struct event *event)
{
	const struct event_process *started = (const struct event_process *)event;
	const char *path = (const char *)(started + 1), *base = path;
	size_t room = event->size - sizeof *started, length = started->length < room ? started->length : room;
	struct process *process;
	int r;

	process = process_of(learn, event->pid, &r);
	for (size_t i = 0; i < length && path[i]; i++)
		if (path[i] == '/')
			base = path + i + 1;
	if (process && length)
		snprintf(process->program, sizeof process->program, "%.*s", (int)(length - (size_t)(base - path)),
			 base);
	return r;
}

static void drop_rings(struct learn *learn, struct process *process)
{
	if (!process)
		return;
	learn->live -= process->live - process->inherited;
	process->live = process->inherited = 0;
}

/* Descriptors of rings are close-on-exec. */
static int exec_process(struct learn *learn, const struct event *event)
{
	struct process *process = map_get(&learn->processes, event->pid);

	drop_rings(learn, process);
	return name_process(learn, event);
}

static int fork_process(struct learn *learn, const struct event *event)
{
	const struct process *parent = map_get(&learn->processes, event->pid);
	struct process *child;
	int r;

	child = process_of(learn, ((const struct event_process *)event)->child, &r);
	if (!child || !parent)
		return r;
	memcpy(child->program, parent->program, sizeof child->program);
	drop_rings(learn, child); /* of an earlier process with that number */
	child->rings = child->live = child->inherited = parent->live;
	return 0;
}

static int end_process(struct learn *learn, const struct event *event)
{
	struct process *process = map_get(&learn->processes, event->pid);

	drop_rings(learn, process);
	return 0;
}

/* ---- marks ---- */

static void mark(struct learn *learn, struct learn_mark *mark, const struct event *event)
{
	const struct process *process = map_get(&learn->processes, event->pid);

	if (mark->count++)
		return;
	mark->pid = event->pid;
	mark->stack = event->stack;
	if (process)
		memcpy(mark->program, process->program, sizeof mark->program);
}

static void mark_bits(struct learn *learn, struct learn_mark *marks, unsigned int n, uint32_t bits,
		      const struct event *event)
{
	for (unsigned int bit = 0; bit < n; bit++)
		if (bits >> bit & 1)
			mark(learn, &marks[bit], event);
}

static uint32_t greater(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* ---- rings ---- */

static int learn_ring(struct learn *learn, const struct event *event)
{
	struct process *process;
	int r;

	process = process_of(learn, event->pid, &r);
	learn->summary.rings++;
	if (learn->live++ >= learn->summary.live_rings)
		learn->summary.live_rings = learn->live;
	mark(learn, &learn->fields[POLICY_RINGS_PER_CONTAINER], event);
	if (!process)
		return r;
	learn->summary.processes += !process->makes_rings;
	process->makes_rings = true;
	process->rings++;
	if (process->live++ >= learn->most_live)
		learn->most_live = process->live;
	if (process->rings > learn->most_rings) {
		learn->most_rings = process->rings;
		mark(learn, &learn->fields[POLICY_RINGS_PER_PROCESS], event);
	}
	return 0;
}

static void learn_size(struct learn *learn, enum policy_field field, uint32_t *most, uint32_t size,
		       const struct event *event)
{
	if (size <= *most)
		return;
	*most = size;
	learn->fields[field].count = 0; /* the first of this size */
	mark(learn, &learn->fields[field], event);
}

static int learn_setup(struct learn *learn, const struct event *event)
{
	const struct event_setup *setup = (const struct event_setup *)event;

	mark_bits(learn, learn->setup_flags, 32, setup->asked_flags, event);
	if (setup->asked_flags & URING_SETUP_SQPOLL) {
		mark(learn, &learn->fields[POLICY_SQPOLL], event);
		learn->pollers += setup->result >= 0;
		learn->idle_ms = greater(learn->idle_ms, setup->asked_idle ? setup->asked_idle : DEFAULT_IDLE_MS);
	}
	if (setup->result < 0) {
		learn->summary.refused_rings++;
		return 0;
	}
	learn_size(learn, POLICY_SQ_ENTRIES, &learn->sq_entries, setup->params.sq_entries, event);
	learn_size(learn, POLICY_CQ_ENTRIES, &learn->cq_entries, setup->params.cq_entries, event);
	return learn_ring(learn, event);
}

static int learn_close(struct learn *learn, const struct event *event)
{
	struct process *process = map_get(&learn->processes, event->pid);

	if (!process || !process->live)
		return 0;
	process->live--;
	if (process->inherited)
		process->inherited--; /* others have it still */
	else
		learn->live--;
	return 0;
}

/* ---- entries ---- */

/* Entries that a call left behind are told again by the next one. The indices run free, and so may turn over. */
static bool is_counted(struct learn *learn, const struct event_submit *submit)
{
	uintptr_t last = (uintptr_t)map_get(&learn->consumed, submit->h.ring);
	uint64_t next = (uint64_t)submit->sq_index + 1;

	if (last && (int32_t)(submit->sq_index - (uint32_t)last) < 0)
		return true;
	/* The value must not be NULL: bit 32 is always set. */
	(void)map_put(&learn->consumed, submit->h.ring, (void *)(uintptr_t)(next | UINT64_C(1) << 32));
	return false;
}

static int learn_submit(struct learn *learn, const struct event *event)
{
	const struct event_submit *submit = (const struct event_submit *)event;
	const struct uring_sqe *sqe = &submit->sqe;
	uint32_t family = (uint32_t)sqe->fd;

	if (is_counted(learn, submit))
		return 0;
	learn->summary.entries++;
	mark(learn, &learn->ops[sqe->opcode], event);
	mark_bits(learn, learn->sqe_flags, 8, sqe->flags, event);
	if (sqe->personality)
		mark(learn, &learn->fields[POLICY_PERSONALITIES], event);
	if (sqe->opcode != URING_OP_SOCKET)
		return 0;
	if (family < 64)
		mark(learn, &learn->families[family], event);
	learn->other_families |= family >= 64;
	return 0;
}

/* ---- register calls ---- */

/* Lengths of the buffers in the event's tail, from the given byte on. */
static uint64_t bytes_of(const struct event_register *call, size_t from)
{
	size_t room = call->h.size - sizeof *call, length = call->length < room ? call->length : room;
	uint64_t sum = 0, page = 4096;

	for (struct iovec v; from + sizeof v <= length; from += sizeof v) {
		memcpy(&v, (const char *)(call + 1) + from, sizeof v);
		if (v.iov_len < UINT64_C(1) << 40)
			sum += (v.iov_len + 2 * page - 1) & ~(page - 1);
	}
	return sum;
}

/* The second number of io_uring_rsrc_register and the like: how many. */
static uint32_t number_in(const struct event_register *call)
{
	uint32_t n = 0;

	if (call->h.size >= sizeof *call + sizeof n && call->length >= sizeof n)
		memcpy(&n, call + 1, sizeof n);
	return n;
}

static void learn_resources(struct learn *learn, const struct event_register *call, unsigned int op)
{
	enum { RESOURCES_BYTES = 32 };
	uint64_t bytes = 0;

	if (op == URING_REG_REGISTER_BUFFERS)
		bytes = bytes_of(call, 0);
	else if (op == URING_REG_BUFFERS2 || op == URING_REG_BUFFERS_UPDATE)
		bytes = bytes_of(call, RESOURCES_BYTES);
	if (bytes)
		mark(learn, &learn->fields[POLICY_BUFFER_BYTES], &call->h);
	learn->buffer_bytes += bytes;
	if (op == URING_REG_REGISTER_FILES)
		learn->summary.files = greater(learn->summary.files, call->nr_args);
	else if (op == URING_REG_FILES2)
		learn->summary.files = greater(learn->summary.files, number_in(call));
}

/* They are in the argument before the call alone: what was set until then is the answer. */
static void learn_workers(struct learn *learn, const struct event_register *call)
{
	uint32_t asked[2] = { 0 };
	size_t room = call->h.size - sizeof *call;

	if (call->length < sizeof asked || room < sizeof asked)
		return;
	memcpy(asked, call + 1, sizeof asked);
	for (size_t i = 0; i < 2; i++)
		learn->summary.workers[i] = greater(learn->summary.workers[i], asked[i]);
}

static int learn_register(struct learn *learn, const struct event *event)
{
	const struct event_register *call = (const struct event_register *)event;
	unsigned int op = call->opcode & ~URING_REG_USE_REGISTERED_RING;

	if (call->phase && op == URING_REG_IOWQ_MAX_WORKERS)
		learn_workers(learn, call);
	if (call->phase || op >= 64)
		return 0;
	learn->summary.register_calls++;
	mark(learn, &learn->register_ops[op], event);
	if (op == URING_REG_REGISTER_PERSONALITY || op == URING_REG_UNREGISTER_PERSONALITY)
		mark(learn, &learn->fields[POLICY_PERSONALITIES], event);
	if (op == URING_REG_SEND_MSG_RING)
		mark(learn, &learn->ops[URING_OP_MSG_RING], event); /* without which it is denied */
	learn->summary.resized |= op == URING_REG_RESIZE_RINGS;
	if (call->result >= 0)
		learn_resources(learn, call, op);
	return 0;
}

static int learn_resize(struct learn *learn, const struct event *event)
{
	const struct event_setup *setup = (const struct event_setup *)event;

	learn_size(learn, POLICY_SQ_ENTRIES, &learn->sq_entries, setup->params.sq_entries, event);
	learn_size(learn, POLICY_CQ_ENTRIES, &learn->cq_entries, setup->params.cq_entries, event);
	return 0;
}

static int learn_lost(struct learn *learn, const struct event *event)
{
	uint64_t count = ((const struct event_lost *)event)->count;

	learn->summary.lost += count ? count : 1;
	return 0;
}

int learn_apply(struct learn *learn, const struct event *event)
{
	static const struct {
		uint16_t kind, least; /* bytes */
		int (*learn)(struct learn *learn, const struct event *event);
	} rows[] = {
		{ EVENT_PROCESS_START, sizeof(struct event_process), name_process },
		{ EVENT_EXEC, sizeof(struct event_process), exec_process },
		{ EVENT_FORK, sizeof(struct event_process), fork_process },
		{ EVENT_PROCESS_EXIT, sizeof(struct event), end_process },
		{ EVENT_RING_SETUP, sizeof(struct event_setup), learn_setup },
		{ EVENT_RING_RESIZED, sizeof(struct event_setup), learn_resize },
		{ EVENT_RING_CLOSED, sizeof(struct event_ring_state), learn_close },
		{ EVENT_REGISTER, sizeof(struct event_register), learn_register },
		{ EVENT_SUBMIT, sizeof(struct event_submit), learn_submit },
		{ EVENT_LOST, sizeof(struct event_lost), learn_lost },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].kind == event->kind && event->size >= rows[i].least)
			return rows[i].learn(learn, event);
	return 0;
}

/* ---- what it comes to ---- */

struct policy learn_nothing(void)
{
	struct policy policy = policy_deny_all();

	policy.sqe_flags = 0;
	policy.register_ops = policy.socket_families = 0;
	policy.setup_flags = 0;
	policy.sq_entries = policy.cq_entries = 0;
	policy.rings_per_process = policy.rings_per_container = 0;
	return policy;
}

static const struct learn_mark *marks_of(const struct learn *learn, enum policy_field field)
{
	return field == POLICY_OPS            ? learn->ops
	       : field == POLICY_SQE_FLAGS    ? learn->sqe_flags
	       : field == POLICY_REGISTER_OPS ? learn->register_ops
	       : field == POLICY_SETUP_FLAGS  ? learn->setup_flags
					      : learn->families;
}

static void add_set(const struct learn *learn, enum policy_field field, struct policy *policy)
{
	const struct learn_mark *marks = marks_of(learn, field);
	struct groups_bits bits = policy_bits(policy, field);

	for (unsigned int member = 0; member < groups_size(policy_vocabulary(field)); member++)
		if (marks[member].count)
			groups_put(&bits, member);
	policy_put_bits(policy, field, &bits);
}

static void at_least(uint32_t *limit, uint64_t seen)
{
	if (*limit < seen)
		*limit = seen < POLICY_NO_LIMIT ? (uint32_t)seen : POLICY_NO_LIMIT;
}

/* All that were made, unless they seem to come and go for ever. */
static uint64_t enough(uint64_t made, uint64_t live)
{
	return made <= MANY_RINGS ? made : 2 * live;
}

static uint64_t round_up(uint64_t n)
{
	return n < 2 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(n - 1));
}

/* Without buffers there is nothing to limit, and the limit would be that of mlock(2) too. */
static void add_buffers(const struct learn *learn, struct policy *policy, bool limited)
{
	uint64_t bytes = round_up(learn->buffer_bytes + SLACK_BYTES);

	if (learn->buffer_bytes && (!limited || policy->buffer_bytes < bytes))
		policy->buffer_bytes = bytes;
}

static void add_sqpoll(const struct learn *learn, struct policy *policy)
{
	if (!learn->fields[POLICY_SQPOLL].count)
		return;
	if (!policy->sqpoll.allowed)
		policy->sqpoll.per_container = policy->sqpoll.max_idle_ms = 0;
	policy->sqpoll.allowed = true;
	at_least(&policy->sqpoll.per_container, enough(learn->pollers, learn->summary.live_rings));
	at_least(&policy->sqpoll.max_idle_ms, learn->idle_ms);
}

/* A limit denies the calls that would undo it: who makes one behaves the same without that limit only. */
static void lift_limits(const struct learn *learn, struct policy *policy)
{
	if (learn->register_ops[URING_REG_RESIZE_RINGS].count)
		policy->sq_entries = policy->cq_entries = POLICY_NO_LIMIT;
	if (learn->register_ops[URING_REG_IOWQ_MAX_WORKERS].count)
		policy->workers_bounded = policy->workers_unbounded = POLICY_NO_LIMIT;
}

void learn_add(const struct learn *learn, struct policy *policy)
{
	static const enum policy_field sets[] = { POLICY_OPS, POLICY_SQE_FLAGS, POLICY_REGISTER_OPS, POLICY_SETUP_FLAGS,
						  POLICY_SOCKET_FAMILIES };
	bool had_buffers = policy_allows_register(policy, URING_REG_REGISTER_BUFFERS) ||
			   policy_allows_register(policy, URING_REG_BUFFERS2);

	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		add_set(learn, sets[i], policy);
	if (learn->other_families)
		policy->socket_families = UINT64_MAX;
	at_least(&policy->sq_entries, learn->sq_entries);
	at_least(&policy->cq_entries, learn->cq_entries);
	at_least(&policy->rings_per_process, enough(learn->most_rings, learn->most_live));
	at_least(&policy->rings_per_container, enough(learn->summary.rings, learn->summary.live_rings));
	at_least(&policy->registered_files, learn->summary.files);
	lift_limits(learn, policy);
	add_buffers(learn, policy, had_buffers);
	add_sqpoll(learn, policy);
	policy->personalities |= learn->fields[POLICY_PERSONALITIES].count > 0;
	policy_settle(policy);
}

struct learn_mark learn_mark(const struct learn *learn, enum policy_field field, int member)
{
	if (member < 0)
		return learn->fields[field];
	return marks_of(learn, field)[member];
}

struct learn_summary learn_summary(const struct learn *learn)
{
	return learn->summary;
}
