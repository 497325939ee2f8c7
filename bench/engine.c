/* SPDX-License-Identifier: MIT */
/*
 * The engine alone: how many requests a second the model and all rules take on one core. The stream is made here:
 * batches of 32 with reads, writes and linked pairs of both, everything completed before the next batch. Only applying
 * events is timed, not making them. A finding would mean that something else than the ordinary path was measured, so it
 * is an error.
 *
 * usage: engine SECONDS
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event/event.h"
#include "hazard/engine.h"

enum {
	BATCH = 32,
	BATCHES = 64,
	REQUESTS = BATCH * BATCHES,
	EVENTS_MAX = BATCHES * (2 * BATCH + 2),
	SAMPLES_MAX = 1 << 20
};
enum { PID = 100, RING = 1, RING_FD = 4, FILE_FD = 3 };

struct stream {
	uint8_t *bytes;
	size_t used;
	uint64_t seq, time;
};

static void *stream_add(struct stream *stream, enum event_kind kind, size_t size)
{
	struct event *event = (struct event *)(stream->bytes + stream->used);

	stream->used += size;
	memset(event, 0, size);
	event->kind = kind;
	event->size = (uint16_t)size;
	event->pid = event->tid = PID;
	event->ring = RING;
	event->seq = ++stream->seq;
	event->time = stream->time += 100;
	return event;
}

#define STREAM_ADD(stream, kind, type) ((type *)stream_add(stream, kind, (sizeof(type) + 7) & ~(size_t)7))

static void stream_begin(struct stream *stream)
{
	struct event_process *process = STREAM_ADD(stream, EVENT_PROCESS_START, struct event_process);
	struct event_thread *thread = STREAM_ADD(stream, EVENT_THREAD_START, struct event_thread);
	struct event_setup *setup = STREAM_ADD(stream, EVENT_RING_SETUP, struct event_setup);
	struct event_fd *fd = STREAM_ADD(stream, EVENT_FD, struct event_fd);

	process->page_size = 4096;
	process->h.ring = thread->h.ring = fd->h.ring = 0;
	thread->stack_low = 0x7f0000000000;
	thread->stack_high = 0x7f0000800000;
	setup->entries = BATCH;
	setup->result = RING_FD;
	setup->params.sq_entries = BATCH;
	setup->params.cq_entries = 2 * BATCH;
	setup->params.features = UINT32_MAX;
	setup->asked_cpu = setup->asked_idle = 0;
	fd->fd = FILE_FD;
	fd->type = EVENT_FD_FILE;
	fd->access = 2;
	fd->open_flags = 2;
	fd->device = 1;
	fd->inode = 2;
	fd->file_size = UINT64_C(1) << 40;
}

/* Four of 32 are linked pairs of a read and the write of what it read; the rest are reads and writes by turns, each of
 * its own buffer. */
static void fill_sqe(struct uring_sqe *sqe, unsigned position, unsigned number)
{
	bool pair = position < 8, second = pair && position % 2;
	unsigned buffer = second ? number - 1 : number;

	sqe->opcode = position % 2 ? URING_OP_WRITE : URING_OP_READ;
	sqe->flags = pair && !second ? URING_SQE_IO_LINK : 0;
	sqe->fd = FILE_FD;
	sqe->addr = UINT64_C(0x10000000) + (uint64_t)buffer * 8192;
	sqe->len = 4096;
	sqe->off = (uint64_t)number * 4096;
	sqe->user_data = number + 1;
}

static void add_batch(struct stream *stream, unsigned batch)
{
	unsigned first = batch * BATCH;
	struct event_enter *enter = STREAM_ADD(stream, EVENT_ENTER, struct event_enter);
	struct event_enter_return *end;

	enter->to_submit = enter->min_complete = enter->n_submit = BATCH;
	enter->flags = 1;
	enter->fd = RING_FD;
	enter->timeout = UINT64_MAX;
	enter->call = batch + 1;
	enter->sq_head = enter->cq_head = enter->cq_tail = first;
	enter->sq_tail = first + BATCH;
	for (unsigned i = 0; i < BATCH; i++) {
		struct event_submit *submit = STREAM_ADD(stream, EVENT_SUBMIT, struct event_submit);

		submit->slot = submit->position = i;
		submit->sqe_size = 64;
		submit->sq_index = first + i;
		fill_sqe(&submit->sqe, i, first + i);
	}
	end = STREAM_ADD(stream, EVENT_ENTER_RETURN, struct event_enter_return);
	end->result = (int32_t)(end->consumed = BATCH);
	end->sq_head = end->sq_tail = end->cq_tail = first + BATCH;
	end->cq_head = first;
	end->call = batch + 1;
	for (unsigned i = 0; i < BATCH; i++) {
		struct event_complete *complete = STREAM_ADD(stream, EVENT_COMPLETE, struct event_complete);

		complete->cqe.user_data = first + i + 1;
		complete->cqe.res = 4096;
		complete->cq_index = first + i;
	}
}

/* Makes the batches those of the next round: numbers that only ever grow do so. */
static void advance(struct stream *stream)
{
	size_t at = 0;

	while (at < stream->used) {
		struct event *event = (struct event *)(stream->bytes + at);
		struct event_enter *enter = (struct event_enter *)event;
		struct event_enter_return *end = (struct event_enter_return *)event;

		event->seq = ++stream->seq;
		event->time = stream->time += 100;
		if (event->kind == EVENT_ENTER) {
			enter->call += BATCHES;
			enter->sq_head += REQUESTS, enter->sq_tail += REQUESTS;
			enter->cq_head += REQUESTS, enter->cq_tail += REQUESTS;
		} else if (event->kind == EVENT_ENTER_RETURN) {
			end->call += BATCHES;
			end->sq_head += REQUESTS, end->sq_tail += REQUESTS;
			end->cq_head += REQUESTS, end->cq_tail += REQUESTS;
		} else if (event->kind == EVENT_SUBMIT) {
			((struct event_submit *)event)->sq_index += REQUESTS;
		} else {
			((struct event_complete *)event)->cq_index += REQUESTS;
		}
		at += event->size;
	}
}

static void apply(struct hazard_engine *engine, const struct stream *stream)
{
	for (size_t at = 0; at < stream->used; at += ((struct event *)(stream->bytes + at))->size)
		hazard_engine_apply(engine, (struct event *)(stream->bytes + at));
}

static void found(void *context, const struct finding *finding)
{
	unsigned *n = context;

	if (finding->level > HAZARD_NOTE && ++*n < 4)
		fprintf(stderr, "engine: unexpected finding: %s: %s\n", finding->hazard->name, finding->message);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of the rounds' times, in nanoseconds a request. */
static double measure(struct hazard_engine *engine, struct stream *stream, uint64_t seconds)
{
	static double samples[SAMPLES_MAX];
	uint64_t end = now_ns() + seconds * 1000000000;
	size_t n = 0;

	while (now_ns() < end && n < SAMPLES_MAX) {
		uint64_t start;

		advance(stream);
		start = now_ns();
		apply(engine, stream);
		samples[n++] = (double)(now_ns() - start) / REQUESTS;
	}
	qsort(samples, n, sizeof(samples[0]), ascending);
	return n ? samples[n / 2] : 0;
}

int main(int argc, char **argv)
{
	static uint8_t beginning[4096];
	struct stream stream = { .bytes = beginning };
	struct hazard_options options = { 0 };
	struct hazard_engine *engine;
	unsigned n_findings = 0;
	double ns;

	engine = hazard_engine_new(hazard_catalogue, UINT32_MAX, &options, found, &n_findings);
	if (!engine)
		return 1;
	stream_begin(&stream);
	apply(engine, &stream);
	stream.bytes = malloc((size_t)EVENTS_MAX * sizeof(struct event_submit));
	if (!stream.bytes)
		return 1;
	stream.used = 0;
	for (unsigned batch = 0; batch < BATCHES; batch++)
		add_batch(&stream, batch);
	apply(engine, &stream);
	ns = measure(engine, &stream, argc > 1 ? strtoull(argv[1], NULL, 0) : 2);
	if (hazard_engine_model(engine)->n_completions < REQUESTS || n_findings) {
		fprintf(stderr, "engine: the stream was not taken as meant (%u findings)\n", n_findings);
		return 1;
	}
	printf("%.2f\n", ns);
	hazard_engine_free(engine);
	free(stream.bytes);
	return 0;
}
