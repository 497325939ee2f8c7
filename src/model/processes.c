/* SPDX-License-Identifier: MIT */
/* Processes and threads: made when first heard of, ended by their own word or their sensor's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/inner.h"

struct model_process *process_get(struct model *model, uint32_t pid)
{
	struct model_process *process = map_get(&model->processes, pid);

	if (process || !pid || model->processes.n_used >= MODEL_PROCESSES)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	process->page_size = 4096;
	if (map_put(&model->processes, pid, process) < 0) {
		free(process);
		return NULL;
	}
	model->n_processes++;
	return process;
}

struct model_thread *model_thread_get(struct model_process *process, uint32_t tid)
{
	return map_get(&process->threads, tid);
}

struct model_thread *process_thread_get(struct model_process *process, uint32_t tid)
{
	struct model_thread *thread = model_thread_get(process, tid);

	if (!tid || (!thread && process->threads.n_used >= MODEL_THREADS))
		return NULL;
	if (thread && !thread->exited)
		return thread;
	if (!thread) {
		thread = calloc(1, sizeof(*thread));
		if (!thread || map_put(&process->threads, tid, thread) < 0) {
			free(thread);
			return NULL;
		}
	}
	*thread = (struct model_thread){ .tid = tid, .process = process };
	process->n_threads++;
	return thread;
}

static void threads_clear(struct model_process *process)
{
	MAP_FOR_EACH(&process->threads, entry)
	{
		free(entry->value);
	}
	map_deinit(&process->threads);
	process->threads = (struct map){ 0 };
	process->n_threads = 0;
}

void process_deinit(struct model *model, struct model_process *process)
{
	threads_clear(process);
	fds_clear(process);
	ranges_deinit(&process->ranges);
	free(process);
}

/* Rings of the process that no other process shares go with it; its requests go in any case. */
static void drop_rings(struct step *step, struct model_process *process)
{
	struct model *model = step->model;
	bool again = true;

	while (again) {
		again = false;
		MAP_FOR_EACH(&model->rings, entry)
		{
			struct model_ring *ring = entry->value;

			if (ring->process != process)
				continue;
			if (process->n_children) {
				requests_lost_all(step, ring, process);
				continue;
			}
			ring_drop(step, ring);
			again = true; /* the map has changed */
			break;
		}
	}
}

static void leave_parent(struct model *model, struct model_process *process)
{
	struct model_process *parent = map_get(&model->processes, process->parent);

	if (parent && process->shares_parent && parent->n_children)
		parent->n_children--;
	process->shares_parent = false;
}

static void copy_path(struct model_process *process, const struct event_process *event)
{
	size_t room = event->h.size - sizeof(*event), length = event->length < room ? event->length : room;

	length = length < sizeof(process->path) - 1 ? length : sizeof(process->path) - 1;
	memcpy(process->path, event + 1, length);
	process->path[length] = 0;
}

/* The program in the process is another one: after exec, or because the number was given out again. */
static void begin_anew(struct step *step, struct model_process *process)
{
	drop_rings(step, process);
	leave_parent(step->model, process);
	threads_clear(process);
	fds_clear(process);
	ranges_deinit(&process->ranges);
	process->exited = process->clean_exit = process->execing = false;
	process->n_children = 0;
	process->forked = false;
	if (step->process == process)
		step->thread = process_thread_get(process, step->event->tid);
}

int process_start(struct step *step)
{
	const struct event_process *event = (const struct event_process *)step->event;
	struct model_process *process = step->process;

	if (process->execing)
		model_tell(step, MOMENT_EXEC, NULL);
	if (process->execing || process->exited)
		begin_anew(step, process);
	process->parent = event->parent;
	process->uid = process->euid = event->uid;
	process->gid = event->gid;
	process->page_size = event->page_size;
	copy_path(process, event);
	model_tell(step, MOMENT_PROCESS_START, NULL);
	return 0;
}

int process_exec(struct step *step)
{
	step->process->execing = true;
	return 0;
}

int process_fork(struct step *step)
{
	const struct event_process *event = (const struct event_process *)step->event;
	struct model_process *parent = step->process, *child;
	int r;

	if (!event->child || event->child == parent->pid)
		return -EBADMSG;
	child = process_get(step->model, event->child);
	if (!child)
		return -ENOMEM;
	if (child->exited || child->fds.n_used || child->n_requests)
		begin_anew(&(struct step){ step->model, step->event, child, NULL, NULL }, child);
	child->parent = parent->pid;
	child->uid = parent->uid;
	child->gid = parent->gid;
	child->euid = parent->euid;
	child->page_size = parent->page_size;
	memcpy(child->path, parent->path, sizeof(child->path));
	parent->forked = child->forked = true;
	child->shares_parent = true;
	parent->n_children++;
	r = fds_copy(parent, child);
	model_tell(step, MOMENT_FORK, NULL);
	return r;
}

int process_exit(struct step *step)
{
	const struct event_exit *event = (const struct event_exit *)step->event;
	struct model_process *process = step->process;

	if (process->exited)
		return 0;
	process->clean_exit = event->clean;
	model_tell(step, MOMENT_PROCESS_EXIT, NULL);
	process->exited = true;
	drop_rings(step, process);
	leave_parent(step->model, process);
	threads_clear(process);
	fds_clear(process);
	ranges_deinit(&process->ranges);
	step->thread = NULL;
	return 0;
}

int process_credentials(struct step *step)
{
	const struct event_credentials *event = (const struct event_credentials *)step->event;

	step->process->uid = event->ruid;
	step->process->euid = event->euid;
	step->process->gid = event->rgid;
	model_tell(step, MOMENT_CREDENTIALS, NULL);
	return 0;
}

int process_thread_start(struct step *step)
{
	const struct event_thread *event = (const struct event_thread *)step->event;

	if (step->thread) {
		step->thread->stack_low = event->stack_low;
		step->thread->stack_high = event->stack_high;
	}
	return 0;
}

int process_thread_exit(struct step *step)
{
	struct model_thread *thread = step->thread;

	if (!thread || thread->exited)
		return 0;
	model_tell(step, MOMENT_THREAD_EXIT, NULL);
	thread->exited = true;
	thread->in_enter = NULL;
	if (step->process->n_threads)
		step->process->n_threads--;
	return 0;
}
