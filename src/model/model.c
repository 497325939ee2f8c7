/* SPDX-License-Identifier: MIT */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>

#include "model/inner.h"

void *model_take_bytes(struct model *model, size_t n, size_t size)
{
	void *memory;

	if (n > MODEL_BYTES / size || model->n_bytes + n * size > MODEL_BYTES)
		return NULL;
	memory = calloc(n, size);
	if (memory)
		model->n_bytes += n * size;
	return memory;
}

void model_give_bytes(struct model *model, void *memory, size_t n, size_t size)
{
	if (!memory)
		return;
	model->n_bytes -= n * size;
	free(memory);
}

/* ---- telling ---- */

/*
 * Several moments come with every request, so they are made where the observer reads them: a struct that is written
 * field by field and then copied costs more than all that is done with it.
 */
static void begin(const struct step *step, struct moment *moment, enum moment_kind kind)
{
	moment->kind = kind;
	moment->event = step->event;
	moment->process = step->process;
	moment->thread = step->thread;
	moment->ring = step->ring;
	moment->request = NULL;
	moment->fd = NULL;
	moment->final = moment->certain = false;
	moment->uncertain = step->model->lost || (step->event && step->event->flags & EVENT_UNCERTAIN);
	moment->time = step->model->time;
}

static void tell(const struct step *step, const struct moment *moment)
{
	step->model->observer(step->model->observer_context, step->model, moment);
}

static bool is_wanted(const struct step *step, enum moment_kind kind)
{
	return step->model->wanted >> kind & 1;
}

void model_tell(const struct step *step, enum moment_kind kind, struct model_request *request)
{
	struct moment moment;

	if (!is_wanted(step, kind))
		return;
	begin(step, &moment, kind);
	moment.request = request;
	tell(step, &moment);
}

void model_tell_fd(const struct step *step, struct model_fd *fd)
{
	struct moment moment;

	if (!is_wanted(step, MOMENT_FD_CLOSE))
		return;
	begin(step, &moment, MOMENT_FD_CLOSE);
	moment.fd = fd;
	tell(step, &moment);
}

void model_tell_completion(const struct step *step, struct model_request *request, bool final, bool certain)
{
	struct moment moment;

	if (!is_wanted(step, MOMENT_COMPLETE))
		return;
	begin(step, &moment, MOMENT_COMPLETE);
	moment.request = request;
	moment.final = final;
	moment.certain = certain;
	tell(step, &moment);
}

/* ---- events that need no more than that ---- */

static int tick(struct step *step)
{
	model_tell(step, MOMENT_TICK, NULL);
	return 0;
}

static int events_lost(struct step *step)
{
	const struct event_lost *event = (const struct event_lost *)step->event;

	step->model->lost = true;
	step->model->n_lost += event->count ? event->count : 1;
	MAP_FOR_EACH(&step->model->rings, entry)
	{
		((struct model_ring *)entry->value)->lost = true;
	}
	model_tell(step, MOMENT_LOST, NULL);
	return 0;
}

static int checksum(struct step *step)
{
	const struct event_checksum *event = (const struct event_checksum *)step->event;

	model_tell(step, MOMENT_CHECKSUM, model_same_user_data(step->ring, event->user_data));
	return 0;
}

static int stalled(struct step *step)
{
	model_tell(step, MOMENT_STALLED, NULL);
	return 0;
}

static int slot_changed(struct step *step)
{
	model_tell(step, MOMENT_SLOT_CHANGED, NULL);
	return 0;
}

static int stray_call(struct step *step)
{
	model_tell(step, MOMENT_STRAY_CALL, NULL);
	return 0;
}

/* ---- dispatch ---- */

enum { NEEDS_PROCESS = 1, NEEDS_RING = 2 };

static const struct {
	model_handler *handle;
	uint16_t size; /* of the fixed part */
	uint8_t needs;
} kinds[EVENT_KIND_COUNT] = {
	[EVENT_PROCESS_START] = { process_start, sizeof(struct event_process), NEEDS_PROCESS },
	[EVENT_EXEC] = { process_exec, sizeof(struct event_process), NEEDS_PROCESS },
	[EVENT_FORK] = { process_fork, sizeof(struct event_process), NEEDS_PROCESS },
	[EVENT_PROCESS_EXIT] = { process_exit, sizeof(struct event_exit), NEEDS_PROCESS },
	[EVENT_THREAD_START] = { process_thread_start, sizeof(struct event_thread), NEEDS_PROCESS },
	[EVENT_THREAD_EXIT] = { process_thread_exit, sizeof(struct event), NEEDS_PROCESS },
	[EVENT_CREDENTIALS] = { process_credentials, sizeof(struct event_credentials), NEEDS_PROCESS },
	[EVENT_RING_SETUP] = { ring_setup, sizeof(struct event_setup), NEEDS_PROCESS },
	[EVENT_RING_UNMAPPED] = { ring_unmapped, sizeof(struct event_ring_state), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_RING_CLOSED] = { ring_closed, sizeof(struct event_ring_state), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_RING_RESIZED] = { ring_resized, sizeof(struct event_setup), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_REGISTER] = { register_applied, sizeof(struct event_register), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_FD] = { fd_described, sizeof(struct event_fd), NEEDS_PROCESS },
	[EVENT_FD_CLOSE] = { fd_closed, sizeof(struct event_fd), NEEDS_PROCESS },
	[EVENT_FD_DUP] = { fd_dup, sizeof(struct event_fd_dup), NEEDS_PROCESS },
	[EVENT_FD_PAIR] = { fd_pair, sizeof(struct event_fd_pair), NEEDS_PROCESS },
	[EVENT_ENTER] = { call_enter, sizeof(struct event_enter), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_SUBMIT] = { call_submit, sizeof(struct event_submit), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_ENTER_RETURN] = { call_return, sizeof(struct event_enter_return), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_COMPLETE] = { completion_seen, sizeof(struct event_complete), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_OVERFLOW] = { ring_overflow, sizeof(struct event_ring_state), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_CQ_LOST] = { ring_lost, sizeof(struct event_lost), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_BUFFERS_ADDED] = { pbufs_added, sizeof(struct event_buffers), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_BOUNDS] = { call_bounds, sizeof(struct event_bounds), NEEDS_PROCESS },
	[EVENT_RELEASE] = { release_told, sizeof(struct event_release), NEEDS_PROCESS },
	[EVENT_TICK] = { tick, sizeof(struct event), 0 },
	[EVENT_LOST] = { events_lost, sizeof(struct event_lost), 0 },
	[EVENT_CHECKSUM] = { checksum, sizeof(struct event_checksum), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_STALLED] = { stalled, sizeof(struct event_ring_state), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_SLOT_CHANGED] = { slot_changed, sizeof(struct event_slot_changed), NEEDS_PROCESS | NEEDS_RING },
	[EVENT_STRAY_CALL] = { stray_call, sizeof(struct event_stray), NEEDS_PROCESS },
};

/* A process that was about to exec and goes on without a new start has failed to. */
static void note_failed_exec(struct model_process *process, const struct event *event)
{
	if (process->execing && event->kind != EVENT_PROCESS_START && event->kind != EVENT_PROCESS_EXIT)
		process->execing = false;
}

static int find_process(struct step *step)
{
	struct model *model = step->model;
	const struct event *event = step->event;

	if (!model->last_process || model->last_process->pid != event->pid)
		model->last_process = process_get(model, event->pid);
	step->process = model->last_process;
	if (!step->process)
		return event->pid ? -ENOMEM : -EBADMSG;
	/* What a process says after its end is out of order: nothing can be made of it. */
	if (step->process->exited && event->kind != EVENT_PROCESS_START && event->kind != EVENT_FORK)
		return -EBADMSG;
	note_failed_exec(step->process, event);
	step->thread = step->process->exited ? NULL : process_thread_get(step->process, event->tid);
	return 0;
}

static int apply(struct step *step)
{
	const struct event *event = step->event;
	int r = 0;

	if (event->kind >= EVENT_KIND_COUNT || !kinds[event->kind].handle)
		return 0;
	if (event->size < kinds[event->kind].size)
		return -EBADMSG;
	if (event->pid && kinds[event->kind].needs & NEEDS_PROCESS)
		r = find_process(step);
	else if (kinds[event->kind].needs & NEEDS_PROCESS)
		r = -EBADMSG;
	if (r < 0)
		return r;
	if (kinds[event->kind].needs & NEEDS_RING) {
		step->ring = map_get(&step->model->rings, event->ring);
		if (!step->ring)
			return -EBADMSG;
	}
	return kinds[event->kind].handle(step);
}

int model_apply(struct model *model, const struct event *event)
{
	struct step step = { .model = model, .event = event };
	int r;

	model->n_events++;
	if (event->time > model->time)
		model->time = event->time;
	model->seq = event->seq;
	r = apply(&step);
	if (r == -EBADMSG) {
		model->n_rejected++;
		return 0;
	}
	if (r == -ENOMEM) {
		model->lost = true;
		model->n_lost++;
	}
	return r;
}

void model_finish(struct model *model)
{
	model_tell(&(struct step){ .model = model }, MOMENT_FINISH, NULL);
}

struct model *model_new(model_observer *observer, void *context)
{
	struct model *model = calloc(1, sizeof(*model));

	if (!model)
		return NULL;
	model->requests = (struct pool)POOL_INIT(struct model_request);
	model->requests.n_max = MODEL_REQUESTS;
	model->ranges = (struct pool)POOL_INIT(struct model_range);
	model->ranges.n_max = MODEL_RANGES;
	model->observer = observer;
	model->observer_context = context;
	model->wanted = observer ? UINT64_MAX : 0;
	return model;
}

struct model *model_free(struct model *model)
{
	if (!model)
		return NULL;
	MAP_FOR_EACH(&model->rings, entry)
	{
		ring_deinit(model, entry->value);
	}
	MAP_FOR_EACH(&model->processes, entry)
	{
		process_deinit(model, entry->value);
	}
	map_deinit(&model->rings);
	map_deinit(&model->processes);
	pool_deinit(&model->requests);
	pool_deinit(&model->ranges);
	free(model);
	return NULL;
}
