/* SPDX-License-Identifier: MIT */
#include "stack/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "event/event.h"
#include "stack/modules.h"
#include "stack/symbolize.h"
#include "stack/unwind.h"

enum {
	MAX_RAW = 4096,      /* slices kept at a time */
	MAX_UNWOUND = 65536, /* distinct unwound stacks: what lies beyond is told only to findings */
	MAX_IDS = 262144,
	MAX_OPEN = 8, /* address spaces with open files */
	MAX_ANCESTORS = 32,
	MAX_PATH_BYTES = 4096,
};

/* A stack as unwound: many ids can be the same one. */
struct unwound {
	struct unwound *next; /* same hash */
	uint64_t hash;
	struct modules *modules;
	struct stack *named; /* NULL until somebody asked */
	struct stack plain;  /* last: has a flexible array */
};

struct taken {
	struct unwind_slice slice; /* data NULL: given up or unwound */
	struct modules *modules;
	struct unwound *unwound;
};

struct process {
	struct modules *modules;
	uint32_t parent;
	uint32_t newest, inherited; /* highest id of its own; highest id of the parent's at the fork */
};

struct stacks {
	struct map processes; /* pid -> struct process */
	struct map taken;     /* pid, id -> struct taken */
	struct map unwound;   /* hash -> struct unwound */
	struct names names;
	uint64_t raw[MAX_RAW]; /* keys, the oldest is overwritten */
	size_t next_raw, n_unwound;
	struct modules *open[MAX_OPEN];
	uint64_t clock;
};

struct stacks *stacks_new(void)
{
	return calloc(1, sizeof(struct stacks));
}

static uint64_t key_of(uint32_t pid, uint32_t id)
{
	return (uint64_t)pid << 32 | id;
}

static void taken_free(struct taken *taken)
{
	if (!taken)
		return;
	free((void *)taken->slice.data);
	modules_unref(taken->modules);
	free(taken);
}

static void unwound_free(struct unwound *unwound)
{
	for (struct unwound *next; unwound; unwound = next) {
		next = unwound->next;
		modules_unref(unwound->modules);
		free(unwound->named);
		free(unwound);
	}
}

static void process_free(struct process *process)
{
	if (!process)
		return;
	modules_unref(process->modules);
	free(process);
}

struct stacks *stacks_free(struct stacks *stacks)
{
	if (!stacks)
		return NULL;
	for (size_t i = 0; i < MAX_OPEN; i++)
		modules_unref(stacks->open[i]);
	MAP_FOR_EACH(&stacks->taken, entry)
	taken_free(entry->value);
	MAP_FOR_EACH(&stacks->unwound, entry)
	unwound_free(entry->value);
	MAP_FOR_EACH(&stacks->processes, entry)
	process_free(entry->value);
	map_deinit(&stacks->taken);
	map_deinit(&stacks->unwound);
	map_deinit(&stacks->processes);
	symbolize_names_deinit(&stacks->names);
	free(stacks);
	return NULL;
}

/* Replaces what was known of the process. `modules` is taken over, also on failure. */
static struct process *process_put(struct stacks *stacks, uint32_t pid, struct modules *modules)
{
	struct process *process = calloc(1, sizeof *process);

	if (!process || !modules || map_get(&stacks->processes, pid)) {
		process_free(map_remove(&stacks->processes, pid));
	}
	if (!process || !modules || map_put(&stacks->processes, pid, process) < 0) {
		free(process);
		modules_unref(modules);
		return NULL;
	}
	process->modules = modules;
	return process;
}

static struct process *process_get(struct stacks *stacks, uint32_t pid)
{
	struct process *process = map_get(&stacks->processes, pid);

	return process ? process : process_put(stacks, pid, modules_new());
}

static int apply_start(struct stacks *stacks, const struct event *event)
{
	return process_put(stacks, event->pid, modules_new()) ? 0 : -ENOMEM;
}

static int apply_fork(struct stacks *stacks, const struct event *event)
{
	uint32_t child = ((const struct event_process *)event)->child;
	struct process *parent = process_get(stacks, event->pid), *process;

	if (!parent)
		return -ENOMEM;
	/* The child may have spoken before its parent did. */
	if (child == event->pid || map_get(&stacks->processes, child))
		return 0;
	process = process_put(stacks, child, modules_ref(parent->modules));
	if (!process)
		return -ENOMEM;
	process->parent = event->pid;
	process->inherited = parent->newest > parent->inherited ? parent->newest : parent->inherited;
	return 0;
}

static int apply_module(struct stacks *stacks, const struct event *event)
{
	const struct event_module *e = (const struct event_module *)event;
	size_t room = event->size > sizeof *e ? event->size - sizeof *e : 0;
	size_t length = e->length < room ? e->length : room;
	struct process *process = process_get(stacks, event->pid);
	char path[MAX_PATH_BYTES];
	struct module module = { .base = e->base, .low = e->low, .high = e->high, .path = path };

	if (!process)
		return -ENOMEM;
	length = length < sizeof path - 1 ? length : sizeof path - 1;
	memcpy(path, e + 1, length);
	path[length] = '\0';
	return modules_add(&process->modules, &module);
}

/* Unwinding needs files, and open files need memory: only the address spaces last used keep theirs. */
static void use_modules(struct stacks *stacks, struct modules *modules)
{
	size_t oldest = 0;

	modules->used = ++stacks->clock;
	for (size_t i = 0; i < MAX_OPEN; i++) {
		if (stacks->open[i] == modules)
			return;
		if (!stacks->open[i] || (stacks->open[oldest] && stacks->open[i]->used < stacks->open[oldest]->used))
			oldest = i;
	}
	if (stacks->open[oldest]) {
		modules_close(stacks->open[oldest]);
		modules_unref(stacks->open[oldest]);
	}
	stacks->open[oldest] = modules_ref(modules);
}

static uint64_t hash_frames(const struct modules *modules, const struct stack *head, const struct stack_frame *frames,
			    size_t n)
{
	uint64_t hash = (uintptr_t)modules ^ head->sp ^ (uint64_t)head->truncated;

	for (size_t i = 0; i < n; i++) {
		hash = (hash ^ frames[i].pc) * UINT64_C(0x9e3779b97f4a7c15);
		hash = (hash ^ frames[i].cfa ^ hash >> 29) * UINT64_C(0x9e3779b97f4a7c15);
	}
	return hash;
}

static bool is_same(const struct unwound *u, const struct modules *modules, const struct stack *head,
		    const struct stack_frame *frames, size_t n)
{
	if (u->modules != modules || u->plain.n_frames != n || u->plain.sp != head->sp ||
	    u->plain.truncated != head->truncated)
		return false;
	for (size_t i = 0; i < n; i++)
		if (u->plain.frames[i].pc != frames[i].pc || u->plain.frames[i].cfa != frames[i].cfa)
			return false;
	return true;
}

static struct unwound *unwound_get(struct stacks *stacks, struct modules *modules, const struct stack *head,
				   const struct stack_frame *frames, size_t n)
{
	uint64_t hash = hash_frames(modules, head, frames, n);
	struct unwound *first = map_get(&stacks->unwound, hash), *u;

	for (u = first; u; u = u->next)
		if (is_same(u, modules, head, frames, n))
			return u;
	u = calloc(1, sizeof *u + n * sizeof *frames);
	if (!u)
		return NULL;
	u->next = first;
	u->hash = hash;
	u->plain = *head;
	u->plain.n_frames = n;
	memcpy(u->plain.frames, frames, n * sizeof *frames);
	for (size_t i = 0; i < n; i++)
		u->plain.frames[i].module = symbolize_names_keep(&stacks->names, frames[i].module) ?: "?";
	if (map_put(&stacks->unwound, hash, u) < 0)
		return free(u), NULL;
	u->modules = modules_ref(modules);
	stacks->n_unwound++;
	return u;
}

static struct unwound *taken_unwind(struct stacks *stacks, struct taken *taken)
{
	struct stack_frame frames[UNWIND_FRAMES];
	struct stack head = { 0 };
	size_t n;

	if (taken->unwound || !taken->slice.data)
		return taken->unwound;
	use_modules(stacks, taken->modules);
	n = unwind(taken->modules, &taken->slice, frames, &head);
	taken->unwound = unwound_get(stacks, taken->modules, &head, frames, n);
	if (taken->unwound) {
		free((void *)taken->slice.data);
		taken->slice.data = NULL;
	}
	return taken->unwound;
}

/* Makes room for a new slice. A request can be in flight for long: the oldest one is unwound rather than dropped while
 * that is affordable. */
static void retire(struct stacks *stacks, uint64_t key)
{
	struct taken *taken = key ? map_get(&stacks->taken, key) : NULL;

	if (!taken)
		return;
	if (stacks->n_unwound < MAX_UNWOUND && stacks->taken.n_used < MAX_IDS)
		taken_unwind(stacks, taken);
	if (!taken->unwound || taken->slice.data)
		taken_free(map_remove(&stacks->taken, key));
}

static int apply_stack(struct stacks *stacks, const struct event *event)
{
	const struct event_stack *e = (const struct event_stack *)event;
	size_t room = event->size > sizeof *e ? event->size - sizeof *e : 0;
	size_t bytes = e->bytes < room ? e->bytes : room;
	uint64_t key = key_of(event->pid, event->stack);
	struct process *process = process_get(stacks, event->pid);
	struct taken *taken = calloc(1, sizeof *taken);
	uint8_t *data = malloc(bytes + 1);

	if (!taken || !data || !process || !event->stack)
		goto fail;
	retire(stacks, stacks->raw[stacks->next_raw]);
	taken_free(map_remove(&stacks->taken, key));
	if (map_put(&stacks->taken, key, taken) < 0)
		goto fail;
	memcpy(data, e + 1, bytes);
	memcpy(taken->slice.registers, e->registers, sizeof taken->slice.registers);
	taken->slice.sp = e->sp;
	taken->slice.bytes = (uint32_t)bytes;
	taken->slice.data = data;
	taken->modules = modules_ref(process->modules);
	stacks->raw[stacks->next_raw] = key;
	stacks->next_raw = (stacks->next_raw + 1) % MAX_RAW;
	if (event->stack > process->newest)
		process->newest = event->stack;
	return 0;
fail:
	free(taken);
	free(data);
	return event->stack ? -ENOMEM : 0;
}

int stacks_apply(struct stacks *stacks, const struct event *event)
{
	switch (event->kind) {
	/* Not at EVENT_EXEC, which can fail: the new image says EVENT_PROCESS_START itself. */
	case EVENT_PROCESS_START:
		return apply_start(stacks, event);
	case EVENT_FORK:
		return apply_fork(stacks, event);
	case EVENT_MODULE:
		return apply_module(stacks, event);
	case EVENT_STACK:
		return apply_stack(stacks, event);
	}
	return 0;
}

/* A forked child speaks of its parent's stacks by the parent's ids. */
static struct taken *find(struct stacks *stacks, uint32_t pid, uint32_t id)
{
	for (int i = 0; id && i < MAX_ANCESTORS; i++) {
		struct taken *taken = map_get(&stacks->taken, key_of(pid, id));
		const struct process *process = map_get(&stacks->processes, pid);

		if (taken || !process || !process->parent || id > process->inherited)
			return taken;
		pid = process->parent;
	}
	return NULL;
}

const struct stack *stacks_unwind(struct stacks *stacks, uint32_t pid, uint32_t id)
{
	struct taken *taken = find(stacks, pid, id);
	struct unwound *unwound;

	if (!taken || (!taken->unwound && stacks->n_unwound >= MAX_UNWOUND))
		return NULL;
	unwound = taken_unwind(stacks, taken);
	return unwound ? &unwound->plain : NULL;
}

const struct stack *stacks_symbolize(struct stacks *stacks, uint32_t pid, uint32_t id)
{
	struct taken *taken = find(stacks, pid, id);
	struct unwound *unwound = taken ? taken_unwind(stacks, taken) : NULL;

	if (!unwound)
		return NULL;
	if (!unwound->named) {
		use_modules(stacks, unwound->modules);
		unwound->named = symbolize(unwound->modules, &unwound->plain, &stacks->names);
	}
	return unwound->named;
}
