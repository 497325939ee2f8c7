/* SPDX-License-Identifier: MIT */
#include "sense/frames.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "abi/op.h"
#include "abi/uring.h"
#include "base/err.h"
#include "base/map.h"
#include "base/pool.h"
#include "event/event.h"
#include "event/source.h"
#include "stack/stack.h"

enum {
	MAX_USES = 65536,
	MAX_IOVECS = 64, /* elements looked at per request */
	MAX_THREADS = 65536,
	N_ALIVE = 4, /* stacks remembered as holding the frame */
	RED_ZONE = 128,
};

/* The one activation of a function that owns the memory. */
struct activation {
	uint64_t cfa, function, caller;
	uint64_t root; /* the outermost frame's CFA where the stack was followed that far, else 0 */
};

/* A range of a request in flight that lies on the stack of the thread that submitted it. */
struct use {
	struct use *next_of_thread;
	struct use *next_of_data;
	uint64_t key; /* of ring and user_data */
	uint64_t address, length;
	struct activation owner;
	uint64_t user_data;
	uint32_t ring, position;
	bool calling; /* the call that submits it has not returned */
	bool over;    /* its request ended: to be taken off the thread's list */
	uint32_t alive[N_ALIVE];
	uint32_t next_alive;
};

struct thread {
	uint32_t pid, tid;
	uint64_t low, high;
	struct use *uses;
};

struct frames {
	struct source source;
	struct source *inner;
	struct stacks *stacks;
	struct map threads; /* pid, tid -> struct thread */
	struct map by_data; /* hash of ring and user_data -> first struct use */
	struct pool uses;
	const struct event *held; /* the event that showed it; valid until inner is asked again */
	struct use *gone;         /* taken off all lists, still to be told */
	uint16_t how;
	struct event_release release;
};

static uint64_t data_key(uint32_t ring, uint64_t user_data)
{
	uint64_t key = (user_data ^ (uint64_t)ring << 40) * UINT64_C(0x9e3779b97f4a7c15);

	return key ^ key >> 31;
}

static uint64_t thread_key(const struct event *event)
{
	return (uint64_t)event->pid << 32 | event->tid;
}

/* ---- what lies on the stack ---- */

static bool on_stack(const struct thread *thread, uint64_t address)
{
	return address >= thread->low && address < thread->high;
}

static uint64_t root_of(const struct stack *stack)
{
	return stack->truncated || !stack->n_frames ? 0 : stack->frames[stack->n_frames - 1].cfa;
}

/* Frames lie one above the other: the owner is the first whose CFA is above the address. */
static bool find_owner(const struct stack *stack, uint64_t address, struct activation *ret)
{
	if (!stack->n_frames || address < stack->sp - RED_ZONE)
		return false;
	for (size_t i = 0; i < stack->n_frames; i++) {
		const struct stack_frame *f = &stack->frames[i];

		if (!f->cfa)
			return false;
		if (address >= f->cfa)
			continue;
		ret->cfa = f->cfa;
		ret->function = f->function;
		ret->caller = i + 1 < stack->n_frames ? f[1].pc : 0;
		ret->root = root_of(stack);
		return true;
	}
	return false;
}

/* Most entries point elsewhere, and of those no stack is needed. */
struct submission {
	struct frames *frames;
	struct thread *thread;
	const struct event_submit *submit;
};

static bool owner_of(const struct submission *submission, uint64_t address, struct activation *ret)
{
	const struct event *event = &submission->submit->h;
	const struct stack *stack = stacks_unwind(submission->frames->stacks, event->pid, event->stack);

	return stack && on_stack(submission->thread, stack->sp) && find_owner(stack, address, ret);
}

static void use_add(const struct submission *submission, uint64_t address, uint64_t length)
{
	const struct event_submit *submit = submission->submit;
	struct thread *thread = submission->thread;
	struct frames *f = submission->frames;
	struct activation owner;
	struct use *use;

	if (!address || !on_stack(thread, address) || !owner_of(submission, address, &owner))
		return;
	use = pool_take(&f->uses);
	if (!use)
		return;
	use->key = data_key(submit->h.ring, submit->sqe.user_data);
	use->next_of_data = map_get(&f->by_data, use->key);
	if (map_put(&f->by_data, use->key, use) < 0) {
		pool_give(&f->uses, use);
		return;
	}
	use->address = address;
	use->length = length && length < owner.cfa - address ? length : owner.cfa - address;
	use->owner = owner;
	use->ring = submit->h.ring;
	use->user_data = submit->sqe.user_data;
	use->position = submit->position;
	use->calling = true;
	use->alive[use->next_alive++] = submit->h.stack;
	use->next_of_thread = thread->uses;
	thread->uses = use;
}

static void add_pointers(const struct submission *submission)
{
	const struct event_submit *submit = submission->submit;
	const struct abi_op *op = abi_op(submit->sqe.opcode);

	for (int i = 0; i < ABI_MAX_POINTERS && op->pointers[i].name; i++) {
		const struct abi_pointer *p = &op->pointers[i];

		/* What the kernel copies when it takes the entry is free at enter's return. */
		if (p->lifetime != ABI_UNTIL_CONSUMED && abi_pointer_applies(p, &submit->sqe))
			use_add(submission, abi_pointer_address(p, &submit->sqe), abi_pointer_length(p, &submit->sqe));
	}
}

static void add_iovecs(const struct submission *submission, const struct event_arg *arg)
{
	size_t room = arg->size - sizeof *arg, bytes = arg->length < room ? arg->length : room;
	uint64_t iovec[2];

	for (size_t i = 0; i < MAX_IOVECS && (i + 1) * sizeof iovec <= bytes; i++) {
		memcpy(iovec, (const uint8_t *)(arg + 1) + i * sizeof iovec, sizeof iovec);
		if (iovec[1])
			use_add(submission, iovec[0], iovec[1]);
	}
}

static void add_arguments(const struct submission *submission)
{
	const struct event_submit *submit = submission->submit;
	const uint8_t *at = (const uint8_t *)(submit + 1) + (submit->sqe_size == 128 ? 64 : 0);
	const uint8_t *end = (const uint8_t *)submit + submit->h.size;

	for (unsigned i = 0; i < submit->n_args && at < end && (size_t)(end - at) >= sizeof(struct event_arg); i++) {
		const struct event_arg *arg = (const struct event_arg *)at;

		if (arg->size < sizeof *arg || arg->size % 8 || arg->size > (size_t)(end - at))
			return;
		if (arg->kind == EVENT_ARG_IOVEC || arg->kind == EVENT_ARG_MSG_IOVEC)
			add_iovecs(submission, arg);
		at += arg->size;
	}
}

static void submitted(struct frames *f, const struct event *event)
{
	const struct event_submit *submit = (const struct event_submit *)event;
	struct submission submission = { f, map_get(&f->threads, thread_key(event)), submit };

	/* With CQE_SKIP_SUCCESS the end cannot be seen, so nothing could be said for sure. */
	if (!submission.thread || !event->stack || event->flags & EVENT_UNCERTAIN ||
	    submit->sqe.flags & URING_SQE_CQE_SKIP_SUCCESS)
		return;
	add_pointers(&submission);
	add_arguments(&submission);
}

/* ---- requests that end ---- */

static void unlink_data(struct frames *f, struct use *use)
{
	struct use *first = map_get(&f->by_data, use->key), **at = &first;

	while (*at && *at != use)
		at = &(*at)->next_of_data;
	if (!*at)
		return;
	*at = use->next_of_data;
	/* Replacing what is there does not allocate, so it cannot fail. */
	if (first)
		(void)map_put(&f->by_data, use->key, first);
	else
		map_remove(&f->by_data, use->key);
}

/* Several requests may share their user_data, and nobody can say which one ended: then all count as ended. */
static void completed(struct frames *f, const struct event_complete *event)
{
	uint64_t key = data_key(event->h.ring, event->cqe.user_data);

	if (event->cqe.flags & URING_CQE_F_MORE)
		return;
	for (struct use *use = map_get(&f->by_data, key); use; use = use->next_of_data)
		if (use->ring == event->h.ring && use->user_data == event->cqe.user_data)
			use->over = true;
}

typedef bool use_test(const struct use *use, const void *context);

static void drop(struct frames *f, struct thread *thread, use_test *test, const void *context)
{
	for (struct use **at = &thread->uses; *at;) {
		struct use *use = *at;

		if (!use->over && !(test && test(use, context))) {
			at = &use->next_of_thread;
			continue;
		}
		*at = use->next_of_thread;
		unlink_data(f, use);
		pool_give(&f->uses, use);
	}
}

static bool is_any(const struct use *use, const void *context)
{
	return true;
}

static bool is_of_ring(const struct use *use, const void *context)
{
	return use->ring == ((const struct event *)context)->ring;
}

static void drop_everywhere(struct frames *f, use_test *test, const struct event *event, bool only_process)
{
	MAP_FOR_EACH(&f->threads, entry)
	{
		struct thread *thread = entry->value;

		if (!only_process || !event->pid || thread->pid == event->pid)
			drop(f, thread, test, event);
	}
}

/* Entries that the kernel left in the queue are submitted again by a later call. */
static bool was_left(const struct use *use, const void *context)
{
	const struct event_enter_return *event = context;

	return use->calling && use->ring == event->h.ring &&
	       (event->consumed == UINT32_MAX || use->position >= event->consumed);
}

static void returned(struct frames *f, const struct event *event)
{
	struct thread *thread = map_get(&f->threads, thread_key(event));

	if (!thread)
		return;
	drop(f, thread, was_left, event);
	for (struct use *use = thread->uses; use; use = use->next_of_thread)
		if (use->ring == event->ring)
			use->calling = false;
}

/* ---- frames that are gone ---- */

/* Sure, or nothing is said. */
static bool is_gone(const struct use *use, const struct stack *stack)
{
	const struct activation *owner = &use->owner;
	uint64_t root = root_of(stack);

	/* Another root is another stack, though it lie within the same bounds. */
	if (!stack->n_frames || (root && owner->root && root != owner->root))
		return false;
	if (stack->sp >= owner->cfa)
		return true;
	for (size_t i = 0; i < stack->n_frames; i++) {
		const struct stack_frame *f = &stack->frames[i];
		uint64_t caller = i + 1 < stack->n_frames ? f[1].pc : 0;

		if (f->cfa > owner->cfa)
			return true;
		if (f->cfa == owner->cfa)
			return (caller && owner->caller && caller != owner->caller) ||
			       (f->function && owner->function && f->function != owner->function);
	}
	return false;
}

static bool was_compared(const struct use *use, uint32_t stack)
{
	for (int i = 0; i < N_ALIVE; i++)
		if (use->alive[i] == stack)
			return true;
	return false;
}

static void take_gone(struct frames *f, struct use **at)
{
	struct use *use = *at;

	*at = use->next_of_thread;
	unlink_data(f, use);
	use->next_of_thread = f->gone;
	f->gone = use;
}

/*
 * Only the ring that the event is about (a glance is about all) had its completions read just before, so only its
 * requests are looked at: another ring's may have ended unseen.
 */
static void compare(struct frames *f, const struct event *event)
{
	struct thread *thread = map_get(&f->threads, thread_key(event));
	const struct stack *stack = NULL;

	if (!thread || !event->stack || event->flags & EVENT_UNCERTAIN)
		return;
	drop(f, thread, NULL, NULL);
	f->how = EVENT_FRAME;
	for (struct use **at = &thread->uses; *at;) {
		struct use *use = *at;

		if ((!event->ring || use->ring == event->ring) && !was_compared(use, event->stack)) {
			stack = stack ? stack : stacks_unwind(f->stacks, event->pid, event->stack);
			if (!stack || !on_stack(thread, stack->sp))
				return;
			if (is_gone(use, stack)) {
				take_gone(f, at);
				continue;
			}
			use->alive[use->next_alive++ % N_ALIVE] = event->stack;
		}
		at = &use->next_of_thread;
	}
}

static void thread_exits(struct frames *f, const struct event *event)
{
	struct thread *thread = map_remove(&f->threads, thread_key(event));

	if (!thread)
		return;
	drop(f, thread, event->flags & EVENT_UNCERTAIN ? is_any : NULL, NULL);
	f->how = EVENT_THREAD_STACK;
	while (thread->uses)
		take_gone(f, &thread->uses);
	free(thread);
}

static int thread_starts(struct frames *f, const struct event_thread *event)
{
	struct thread *thread = map_get(&f->threads, thread_key(&event->h));

	if (!thread && f->threads.n_used >= MAX_THREADS)
		return 0;
	if (!thread) {
		thread = calloc(1, sizeof *thread);
		if (!thread)
			return -ENOMEM;
		if (map_put(&f->threads, thread_key(&event->h), thread) < 0)
			return free(thread), -ENOMEM;
	}
	drop(f, thread, is_any, NULL);
	thread->pid = event->h.pid;
	thread->tid = event->h.tid;
	thread->low = event->stack_low;
	thread->high = event->stack_high;
	return 0;
}

/* Threads of a process that is gone cannot come back. */
static void process_ends(struct frames *f, const struct event *event)
{
	bool again = true;

	drop_everywhere(f, is_any, event, true);
	while (again) {
		again = false;
		MAP_FOR_EACH(&f->threads, entry)
		{
			struct thread *thread = entry->value;

			if (thread->pid != event->pid)
				continue;
			free(map_remove(&f->threads, entry->key));
			again = true;
			break;
		}
	}
}

/* ---- the source ---- */

static int look(struct frames *f, const struct event *event)
{
	switch (event->kind) {
	case EVENT_THREAD_START:
		return thread_starts(f, (const struct event_thread *)event);
	case EVENT_THREAD_EXIT:
		return thread_exits(f, event), 0;
	case EVENT_PROCESS_EXIT:
		return process_ends(f, event), 0;
	case EVENT_EXEC:
	case EVENT_LOST:
		return drop_everywhere(f, is_any, event, true), 0;
	case EVENT_RING_CLOSED:
	case EVENT_RING_UNMAPPED:
		compare(f, event);
		return drop_everywhere(f, is_of_ring, event, false), 0;
	case EVENT_CQ_LOST:
		return drop_everywhere(f, is_of_ring, event, false), 0;
	case EVENT_ENTER:
	case EVENT_GLANCE:
		return compare(f, event), 0;
	case EVENT_SUBMIT:
		return submitted(f, event), 0;
	case EVENT_ENTER_RETURN:
		return returned(f, event), 0;
	case EVENT_COMPLETE:
		return completed(f, (const struct event_complete *)event), 0;
	}
	return 0;
}

static void tell(struct frames *f, const struct event **ret_event)
{
	struct use *use = f->gone;
	const struct event *shown = f->held;

	f->gone = use->next_of_thread;
	f->release =
		(struct event_release){ .h = *shown, .address = use->address, .length = use->length, .how = f->how };
	f->release.h.kind = EVENT_RELEASE;
	f->release.h.size = sizeof f->release;
	f->release.h.flags = EVENT_SYNTHETIC;
	f->release.h.ring = 0;
	pool_give(&f->uses, use);
	*ret_event = &f->release.h;
}

static int frames_next(struct source *source, uint64_t deadline_ns, const struct event **ret_event, struct err *err)
{
	struct frames *f = (struct frames *)source;
	const struct event *event;
	int r;

	if (!f->held) {
		r = f->inner->next(f->inner, deadline_ns, &event, err);
		if (r != SOURCE_EVENT)
			return r;
		r = stacks_apply(f->stacks, event);
		if (r == 0)
			r = look(f, event);
		if (r < 0)
			return err_set(err, r, "cannot keep call stacks: out of memory");
		f->held = event;
	}
	if (f->gone) {
		tell(f, ret_event);
	} else {
		*ret_event = f->held;
		f->held = NULL;
	}
	return SOURCE_EVENT;
}

static struct source *frames_destroy(struct source *source)
{
	struct frames *f = (struct frames *)source;

	if (!f)
		return NULL;
	if (f->inner)
		f->inner->destroy(f->inner);
	MAP_FOR_EACH(&f->threads, entry)
	free(entry->value);
	map_deinit(&f->threads);
	map_deinit(&f->by_data);
	pool_deinit(&f->uses);
	free(f);
	return NULL;
}

struct source *sense_frames_new(struct source *inner, struct stacks *stacks)
{
	struct frames *f = calloc(1, sizeof *f);

	if (!f) {
		inner->destroy(inner);
		return NULL;
	}
	*f = (struct frames){
		.source = { inner->name, inner->abilities | SOURCE_FRAMES, frames_next, frames_destroy },
		.inner = inner,
		.stacks = stacks,
		.uses = POOL_INIT(struct use),
	};
	f->uses.n_max = MAX_USES;
	return &f->source;
}
