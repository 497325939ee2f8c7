/* SPDX-License-Identifier: MIT */
/*
 * Bytes through the engine's entry point with all rules on. An input is read twice: as a recording's events, of which few are well formed, and
 * as a script of small steps whose events all are, but come in orders that no program makes and with fields that no kernel wrote.
 */
#include <stdint.h>
#include <string.h>

#include "event/event.h"
#include "event/file.h"
#include "event/source.h"
#include "hazard/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void swallow(void *context, const struct finding *finding)
{
	*(volatile char *)context = finding->message[sizeof(finding->message) - 1];
}

static struct hazard_engine *engine_new(char *sink)
{
	static const struct hazard_options options = { .overdue_ns = 1000 };

	return hazard_engine_new(hazard_catalogue, UINT32_MAX, &options, swallow, sink);
}

static void run_recording(const uint8_t *data, size_t size)
{
	static uint64_t aligned[64 * 1024 / 8];
	char sink = 0;
	struct hazard_engine *engine = engine_new(&sink);
	struct source *source;
	const struct event *event;

	size = size < sizeof(aligned) ? size : sizeof(aligned);
	memcpy(aligned, data, size);
	source = event_array_source_new(aligned, size, UINT32_MAX);
	while (engine && source && source->next(source, 0, &event, NULL) == SOURCE_EVENT)
		(void)hazard_engine_apply(engine, event);
	if (engine)
		hazard_engine_finish(engine);
	if (source)
		source->destroy(source);
	hazard_engine_free(engine);
}

/* ---- the script: 8 bytes a step ---- */

struct script {
	struct hazard_engine *engine;
	uint64_t seq, call;
	uint32_t head;
	union {
		struct event h;
		struct event_process process;
		struct event_setup setup;
		struct event_enter enter;
		struct event_submit submit;
		struct event_enter_return end;
		struct event_complete complete;
		struct event_release release;
		struct event_fd fd;
		struct event_fd_dup dup;
		struct event_fd_pair pair;
		struct event_ring_state state;
		struct event_register reg;
		struct event_buffers buffers;
		struct event_slot_changed slot;
		struct event_bounds bounds;
		uint8_t bytes[512];
	} event;
};

static void put(struct script *script, const uint8_t *step, enum event_kind kind, size_t size)
{
	struct event *h = &script->event.h;

	h->kind = (uint16_t)kind;
	h->size = (uint16_t)((size + 7) / 8 * 8);
	h->pid = 100 + (step[1] & 1);
	h->tid = h->pid + (step[1] >> 1 & 1);
	h->ring = 1 + (step[1] >> 2 & 1);
	h->stack = step[1] >> 3;
	h->seq = ++script->seq;
	h->time = script->seq * 100000000;
	(void)hazard_engine_apply(script->engine, h);
}

static void step_setup(struct script *script, const uint8_t *step)
{
	script->event.setup = (struct event_setup){
		.asked_flags = step[2] | (uint32_t)step[3] << 8,
		.result = step[4] & 0x80 ? -22 : 3,
		.emulated = step[2] & URING_SETUP_SQPOLL,
		.params = { .sq_entries = 1u << (step[4] & 7), .cq_entries = 2u << (step[4] & 7) },
	};
	put(script, step, EVENT_RING_SETUP, sizeof(script->event.setup));
}

static void step_enter(struct script *script, const uint8_t *step)
{
	script->event.enter = (struct event_enter){
		.to_submit = step[2] & 7,
		.n_submit = step[2] & 7,
		.min_complete = step[3] & 7,
		.flags = step[4] & 1,
		.sq_head = script->head,
		.sq_tail = script->head + (step[2] & 7),
		.cq_tail = step[5],
		.cq_head = step[6],
		.timeout = step[4] & 2 ? 1000 : UINT64_MAX,
		.call = ++script->call,
	};
	put(script, step, EVENT_ENTER, sizeof(script->event.enter));
}

static void step_submit(struct script *script, const uint8_t *step)
{
	script->event.submit = (struct event_submit){
		.slot = step[5] & 7,
		.position = step[5] >> 4,
		.sqe_size = 64,
		.sq_index = script->head + (step[5] >> 4),
		.sqe = { .opcode = step[2] % 70,
			 .flags = step[3],
			 .fd = step[4] & 7,
			 .addr = 0x10000 + (uint64_t)step[6] * 64,
			 .len = step[7],
			 .off = step[6] & 1 ? UINT64_MAX : step[6],
			 .ioprio = step[6] & 8 ? 2 : 0,
			 .user_data = step[4] >> 4 },
	};
	put(script, step, EVENT_SUBMIT, sizeof(script->event.submit));
}

static void step_return(struct script *script, const uint8_t *step)
{
	script->head += step[2] & 7;
	script->event.end = (struct event_enter_return){
		.result = (int8_t)step[3],
		.consumed = step[2] & 0x80 ? UINT32_MAX : step[2] & 7,
		.sq_head = script->head,
		.sq_tail = script->head,
		.call = script->call,
	};
	put(script, step, EVENT_ENTER_RETURN, sizeof(script->event.end));
}

static void step_complete(struct script *script, const uint8_t *step)
{
	script->event.complete = (struct event_complete){
		.cqe = { .user_data = step[2] & 15, .res = (int8_t)step[3] * 4, .flags = (step[4] & 15) | (uint32_t)step[5] << 16 },
		.cq_index = step[6],
		.taken = step[7] & 1,
	};
	put(script, step, EVENT_COMPLETE, sizeof(script->event.complete));
}

static void step_release(struct script *script, const uint8_t *step)
{
	script->event.release = (struct event_release){
		.address = 0x10000 + (uint64_t)step[2] * 64,
		.length = (uint64_t)step[3] << (step[4] & 31),
		.how = step[5] & 15,
	};
	put(script, step, EVENT_RELEASE, sizeof(script->event.release));
}

static void step_register(struct script *script, const uint8_t *step)
{
	memset(script->event.bytes, 0, sizeof(script->event.bytes));
	script->event.reg.opcode = step[2] % 40;
	script->event.reg.nr_args = step[3];
	script->event.reg.result = (int8_t)step[4];
	script->event.reg.length = step[5];
	for (size_t i = 0; i < 256; i++)
		script->event.bytes[sizeof(script->event.reg) + i] = step[i & 7];
	put(script, step, EVENT_REGISTER, sizeof(script->event.reg) + step[5]);
}

static void step_buffers(struct script *script, const uint8_t *step)
{
	memset(script->event.bytes, 0, sizeof(script->event.bytes));
	script->event.buffers.group = step[2] & 3;
	script->event.buffers.n = step[3] & 7;
	for (unsigned i = 0; i < 8; i++)
		((struct uring_buf *)(&script->event.buffers + 1))[i].bid = (uint16_t)(step[4] + i * step[5]);
	put(script, step, EVENT_BUFFERS_ADDED, sizeof(script->event.buffers) + (step[3] & 7) * sizeof(struct uring_buf));
}

/* Everything else: the fixed part filled with the step's bytes. */
static void step_any(struct script *script, const uint8_t *step)
{
	for (size_t i = sizeof(struct event); i < sizeof(script->event.bytes); i++)
		script->event.bytes[i] = i % 4 ? 0 : step[2 + i / 4 % 6];
	script->event.h.flags = step[2] & 1 ? EVENT_UNCERTAIN : 0;
	put(script, step, (enum event_kind)(step[3] % (EVENT_KIND_COUNT + 1)), 40 + step[4]);
	script->event.h.flags = 0;
}

static void run_script(const uint8_t *data, size_t size)
{
	static void (*const steps[])(struct script *, const uint8_t *) = {
		step_setup, step_enter,	  step_submit,	 step_submit,  step_return, step_complete,
		step_complete, step_release, step_register, step_buffers, step_any,    step_any,
	};
	char sink = 0;
	struct script script = { .engine = engine_new(&sink) };

	for (size_t i = 0; script.engine && i + 8 <= size; i += 8)
		steps[data[i] % (sizeof(steps) / sizeof(steps[0]))](&script, data + i);
	if (script.engine)
		hazard_engine_finish(script.engine);
	hazard_engine_free(script.engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run_recording(data, size);
	run_script(data, size);
	return 0;
}
