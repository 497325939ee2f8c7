/* SPDX-License-Identifier: MIT */
/* The source over the shim's shared memory: starts the program, yields what it and its children write, and adds what
 * only an onlooker can tell: that time passes, that a process is gone, that something is missing. */
#include "sense/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "event/source.h"
#include "sense/shm-inner.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

#define MILLISECOND UINT64_C(1000000)

enum { MAX_MADE = 65536 };

static const uint64_t default_tick_ns = 100 * MILLISECOND, least_sleep_ns = MILLISECOND,
		      longest_sleep_ns = 8 * MILLISECOND, default_patience_ns = 10000 * MILLISECOND,
		      chores_ns = 250 * MILLISECOND;

struct shm {
	struct source source;
	struct shared_header *header;
	int memory;
	struct shm_door *door;
	struct shm_processes processes;
	struct shm_slots slots;
	struct shm_made *made; /* a queue: what was made and is not yielded yet */
	size_t n_made, first_made, room_made;
	bool made_lost;
	struct event tick;
	uint64_t tick_ns, last_tick, last_chores, sleep_ns;
	uint64_t patience_ns; /* with writers that hold up others, and programs that do not call */
	pid_t pid;
	int pidfd;
	int status;
	bool alone; /* over memory of somebody else, with no program */
	bool reaped, detached, ended, told_silence, told_unseen;
	bool proper_seen;
};

static struct shm *of(struct source *source)
{
	return (struct shm *)((char *)source - offsetof(struct shm, source));
}

void shm_set_patience(struct source *source, uint64_t ns)
{
	of(source)->patience_ns = ns;
}

uint64_t shm_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void shm_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

struct shm_processes *shm_processes(struct shm *shm)
{
	return &shm->processes;
}

/* ---- events made here ---- */

static struct shm_made *make(struct shm *shm, uint32_t kind, size_t bytes, uint32_t pid)
{
	struct shm_made *made;

	if (shm->n_made == shm->room_made) {
		size_t room = shm->room_made ? shm->room_made * 2 : 64;

		made = room > MAX_MADE ? NULL : realloc(shm->made, room * sizeof(*made));
		if (!made) {
			shm->made_lost = true;
			return NULL;
		}
		shm->made = made;
		shm->room_made = room;
	}
	made = &shm->made[shm->n_made++];
	memset(&made->event, 0, sizeof(made->event));
	made->event.h = (struct event){ .kind = (uint16_t)kind,
					.size = (uint16_t)((bytes + 7) & ~(size_t)7),
					.flags = EVENT_SYNTHETIC,
					.pid = pid,
					.tid = pid,
					.time = shm_now() };
	return made;
}

void shm_tell_lost(struct shm *shm, uint32_t pid, uint64_t count)
{
	struct shm_made *made = make(shm, EVENT_LOST, sizeof(made->event.lost), pid);

	if (made)
		made->event.lost.count = count;
}

void shm_tell_notice(struct shm *shm, uint32_t pid, uint32_t topic, const char *format, ...)
{
	char text[sizeof(((struct shm_made *)0)->text)] = { 0 };
	struct shm_made *made;
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	made = make(shm, EVENT_NOTICE, sizeof(made->event.notice) + strlen(text), pid);
	if (!made)
		return;
	made->event.notice.topic = topic;
	made->event.notice.length = (uint32_t)strlen(text);
	memcpy((char *)&made->event + sizeof(made->event.notice), text, sizeof(text));
}

static const struct event *next_made(struct shm *shm)
{
	struct event *event;

	if (shm->first_made == shm->n_made) {
		shm->first_made = shm->n_made = 0;
		if (!shm->made_lost)
			return NULL;
		shm->made_lost = false;
		shm_tell_lost(shm, 0, 0);
		if (!shm->n_made)
			return NULL;
	}
	event = &shm->made[shm->first_made++].event.h;
	event->seq = shm->slots.next_seq - 1;
	return event;
}

/* ---- processes that end ---- */

static void reap(struct shm *shm)
{
	int status;

	if (shm->reaped || !shm->pid)
		return;
	if (waitpid(shm->pid, &status, WNOHANG) == shm->pid) {
		shm->status = status;
		shm->reaped = true;
	} else if (errno == ECHILD) {
		shm->reaped = true; /* somebody else waited for it */
	}
}

static void tell_exit(struct shm *shm, const struct shm_process *process)
{
	struct shm_made *made;

	if (process->exited || !process->seen)
		return;
	made = make(shm, EVENT_PROCESS_EXIT, sizeof(made->event.exit), process->pid);
	if (made)
		made->event.exit.status = process->proper && shm->reaped ? shm->status : -1;
}

static void tell_exec_unseen(struct shm *shm, const struct shm_process *process)
{
	if (process->exec_time)
		shm_tell_notice(shm, process->pid, EVENT_NOTICE_OTHER,
				"process %u executed '%s', which did not load the shim: nothing of it was observed",
				process->pid, process->exec_path);
}

static void process_gone(struct shm *shm, uint32_t pid)
{
	struct shm_process *process = map_get(&shm->processes.by_pid, pid);

	if (!process)
		return;
	/* Where another thread than the first executes a program, some kernels tell of the first one's end. */
	if (!shm_process_is_gone(process)) {
		shm_door_watch(shm->door, pid, process->pidfd);
		return;
	}
	process->gone = true;
	if (process->proper)
		reap(shm);
	shm_slots_over(&shm->slots, process);
}

static void answer_door(struct shm *shm)
{
	struct shm_call call;

	while (shm_door_take(shm->door, &call)) {
		if (call.kind == SHM_HELLO)
			shm_process_hello(&shm->processes, &call);
		else
			process_gone(shm, call.pid);
	}
}

/* Those whose last events were yielded. */
static void bury(struct shm *shm)
{
	struct shm_process *next;

	for (struct shm_process *process = shm->processes.first; process; process = next) {
		next = process->next;
		if (!process->gone || process->n_slots || shm->slots.want_scan)
			continue;
		tell_exec_unseen(shm, process);
		tell_exit(shm, process);
		shm_process_forget(&shm->processes, process);
	}
}

static bool somebody_left(const struct shm *shm)
{
	for (const struct shm_process *process = shm->processes.first; process; process = process->next)
		if (!process->stranger || process->proper)
			return true;
	return false;
}

/* ---- what must be looked after now and then ---- */

static void let_go(struct shm *shm, struct shm_process *process, uint32_t topic, const char *why)
{
	shm_tell_notice(shm, process->pid, topic, "process %u runs on unobserved: %s", process->pid, why);
	process->exec_time = 0;
	process->stranger = true;
}

/* A program that a process executes may be one that cannot be watched, or not call for another reason. */
static void check_exec(struct shm *shm, struct shm_process *process)
{
	char link[64], path[PATH_MAX] = "", runtime[SHM_RUNTIME_BYTES];
	struct err err = { "" };

	if (shm_process_maps_memory(&shm->processes, process) != 0)
		return;
	snprintf(link, sizeof(link), "/proc/%u/exe", process->pid);
	if (readlink(link, path, sizeof(path) - 1) > 0 && shm_program_inspect(path, runtime, &err) == -ENOTSUP)
		let_go(shm, process, EVENT_NOTICE_STATIC, err.text);
	else if (shm->slots.now - process->exec_time > shm->patience_ns)
		let_go(shm, process, EVENT_NOTICE_OTHER, "the program that it executes has not loaded the shim");
}

static void do_chores(struct shm *shm)
{
	if (shm->slots.now - shm->last_chores < chores_ns)
		return;
	shm->last_chores = shm->slots.now;
	shm_slots_reap(&shm->slots);
	for (struct shm_process *process = shm->processes.first; process; process = process->next)
		if (process->exec_time && !process->gone)
			check_exec(shm, process);
	if (__atomic_load_n(&shm->header->reader_alive, __ATOMIC_RELAXED) || shm->told_silence || shm->detached)
		return;
	shm->told_silence = true;
	shm_tell_lost(shm, 0, 0);
	shm_tell_notice(shm, 0, EVENT_NOTICE_OTHER,
			"a thread waited in vain for its events to be read: observation ended there");
}

/* ---- yielding ---- */

static void note_exec(struct shm_process *process, const struct event_process *event, uint64_t now)
{
	process->exec_time = now;
	snprintf(process->exec_path, sizeof(process->exec_path), "%.*s", (int)event->length, (const char *)(event + 1));
}

static void note(struct shm *shm, const struct event *event)
{
	struct shm_process *process;

	if (event->kind > EVENT_PROCESS_EXIT)
		return;
	process = map_get(&shm->processes.by_pid, event->pid);
	if (!process)
		return;
	shm->proper_seen |= process->proper;
	if (event->kind == EVENT_EXEC)
		note_exec(process, (const struct event_process *)event, shm->slots.now);
	else if (event->kind != EVENT_FORK)
		process->exec_time = 0;
	if (event->kind != EVENT_FORK)
		process->exited = event->kind == EVENT_PROCESS_EXIT;
}

/* Only between batches: everything that was complete at the time of the tick has been yielded. */
static bool tick_is_due(struct shm *shm)
{
	if (shm->slots.now - shm->last_tick < shm->tick_ns)
		return false;
	shm->last_tick = shm->slots.now;
	shm->tick = (struct event){ .kind = EVENT_TICK,
				    .size = sizeof(struct event),
				    .flags = EVENT_SYNTHETIC,
				    .seq = shm->slots.next_seq - 1,
				    .time = shm->slots.now };
	return true;
}

static void look_again(struct shm *shm)
{
	if (shm->detached)
		return;
	if (!shm->alone)
		answer_door(shm);
	shm_slots_refresh(&shm->slots);
	if (!shm->slots.n_heap)
		shm_slots_unblock(&shm->slots, shm->patience_ns);
	do_chores(shm);
	bury(shm);
}

static bool is_over(struct shm *shm)
{
	if (shm->slots.n_heap)
		return false;
	if (shm->detached)
		return true;
	reap(shm);
	if (shm->alone || !shm->reaped || somebody_left(shm) || shm_door_pending(shm->door))
		return false;
	/* A child that was forked and has not written yet is found in /proc; one that was forked meanwhile has a parent
	 * who wrote meanwhile, because children tell of their own fork first. */
	shm_process_search(&shm->processes);
	return !somebody_left(shm) && __atomic_load_n(&shm->header->seq, __ATOMIC_ACQUIRE) <= shm->slots.seen_seq;
}

/* Says what a report must not conceal: silence because nothing was seen is no clean result. */
static void tell_unseen(struct shm *shm)
{
	if (shm->told_unseen || shm->proper_seen)
		return;
	shm->told_unseen = true;
	shm_tell_notice(shm, (uint32_t)shm->pid, EVENT_NOTICE_OTHER,
			"the program did not load the shim before observation ended: nothing of it was observed");
}

/* False when a signal came. */
static bool doze(struct shm *shm, uint64_t deadline_ns)
{
	uint32_t *word = &shm->header->reader_sleeping;
	uint64_t now = shm_now(), until = now + shm->sleep_ns;
	struct timespec wait;
	bool ok;

	until = until < deadline_ns ? until : deadline_ns;
	if (until <= now)
		return true;
	wait = (struct timespec){ (time_t)((until - now) / 1000000000), (long)((until - now) % 1000000000) };
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	ok = shm_door_pending(shm->door) || syscall(SYS_futex, word, FUTEX_WAIT, 1, &wait, NULL, 0) == 0 ||
	     errno != EINTR;
	__atomic_store_n(word, 0, __ATOMIC_RELAXED);
	shm->sleep_ns = shm->sleep_ns * 2 < longest_sleep_ns ? shm->sleep_ns * 2 : longest_sleep_ns;
	return ok;
}

/* An event that is at hand, or NULL. */
static const struct event *at_hand(struct shm *shm)
{
	const struct event *event = next_made(shm);

	if (event)
		return event;
	event = shm_slots_next(&shm->slots);
	if (!event)
		return next_made(shm);
	note(shm, event);
	shm->sleep_ns = least_sleep_ns;
	return event;
}

static int next(struct source *source, uint64_t deadline_ns, const struct event **ret_event, struct err *err)
{
	struct shm *shm = of(source);

	for (;;) {
		*ret_event = at_hand(shm);
		if (*ret_event)
			return SOURCE_EVENT;
		if (shm->ended)
			return SOURCE_END;
		if (!shm->detached && tick_is_due(shm)) {
			*ret_event = &shm->tick;
			return SOURCE_EVENT;
		}
		look_again(shm);
		if (shm->slots.n_heap || shm->n_made)
			continue;
		if (is_over(shm)) {
			tell_unseen(shm);
			shm->ended = true;
		} else if (shm_now() >= deadline_ns || !doze(shm, deadline_ns)) {
			return SOURCE_AGAIN;
		}
	}
}

/* ---- the beginning and the end ---- */

static int make_memory(struct shm *shm, const struct sense_shm_options *options, struct err *err)
{
	struct shared_header *header;
	struct stat st;

	shm->memory = memfd_create("circlip", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (shm->memory < 0 && errno == EINVAL) /* before Linux 6.3 */
		shm->memory = memfd_create("circlip", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (shm->memory < 0 || ftruncate(shm->memory, (off_t)shared_bytes()) < 0 ||
	    fcntl(shm->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
	    fstat(shm->memory, &st) < 0)
		return err_set(err, -errno, "cannot make shared memory: %s", strerror(errno));
	header = mmap(NULL, shared_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, shm->memory, 0);
	if (header == MAP_FAILED)
		return err_set(err, -errno, "cannot map shared memory: %s", strerror(errno));
	shm->processes.device = st.st_dev;
	shm->processes.inode = st.st_ino;
	shm->header = header;
	header->magic = SHARED_MAGIC;
	header->version = SHARED_VERSION;
	header->n_slots = SHARED_SLOTS;
	header->ring_bytes = SHARED_RING_BYTES;
	header->options = (options->sqpoll_keep ? SHARED_SQPOLL_KEEP : 0) |
			  (options->alloc_stacks ? SHARED_ALLOC_STACKS : 0) |
			  (options->verify_buffers ? SHARED_VERIFY_BUFFERS : 0);
	header->stack_bytes = options->stack_bytes ? options->stack_bytes : 4096;
	header->reader_alive = 1;
	header->next_ring = 1;
	header->seq = 1;
	return 0;
}

/* Whoever still writes goes silent, and waits no longer. */
static void close_down(struct shm *shm)
{
	shm->door = shm_door_free(shm->door);
	if (!shm->header || shm->alone)
		return;
	__atomic_store_n(&shm->header->reader_alive, 0, __ATOMIC_SEQ_CST);
	shm_slots_wake_all(&shm->slots);
}

static struct source *destroy(struct source *source)
{
	struct shm *shm;

	if (!source)
		return NULL;
	shm = of(source);
	close_down(shm);
	reap(shm);
	shm_process_deinit(&shm->processes);
	shm_slots_deinit(&shm->slots);
	if (shm->header && !shm->alone)
		munmap(shm->header, shared_bytes());
	cleanup_fd(&shm->memory);
	free(shm->made);
	free(shm);
	return NULL;
}

static int adopt_program(struct shm *shm, struct err *err)
{
	struct shm_process *process;
	int r = shm_door_start(shm->door, err);

	if (r < 0)
		return r;
	process = shm_process_get(&shm->processes, (uint32_t)shm->pid);
	if (!process)
		return err_set(err, -ENOMEM, "out of memory");
	process->proper = true;
	if (process->pidfd < 0)
		return err_set(err, -ENOSYS, "the program cannot be followed: pidfd_open: Linux 5.3 is needed");
	return 0;
}

static int begin(struct shm *shm, const struct sense_shm_options *options, struct err *err)
{
	CLEANUP(cleanup_free) struct shm_program *program = calloc(1, sizeof(*program));
	char shim[PATH_MAX];
	int r;

	if (!program)
		return err_set(err, -ENOMEM, "out of memory");
	r = shm_program_find(options->argv[0], program->path, err);
	r = r < 0 ? r : shm_program_inspect(program->path, program->runtime, err);
	r = r < 0 ? r : shm_start_find_shim(shim, err);
	r = r < 0 ? r : make_memory(shm, options, err);
	if (r < 0)
		return r;
	if (shm_slots_init(&shm->slots, shm->header, shm) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	r = shm_door_new(shm->header, shm->memory, &shm->door, err);
	shm->processes.door = shm->door;
	r = r < 0 ? r : shm_start(program, options->argv, shim, shm_door_name(shm->door), &shm->pid, err);
	return r < 0 ? r : adopt_program(shm, err);
}

static struct shm *alloc(uint64_t tick_ns)
{
	static const struct source template = {
		.name = "shm",
		.abilities = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_MEMORY | SOURCE_BOUNDS | SOURCE_FDS |
			     SOURCE_CQ_STATE | SOURCE_THREADS | SOURCE_CREDENTIALS | SOURCE_STACKS | SOURCE_PBUFS |
			     SOURCE_WAITS,
		.next = next,
		.destroy = destroy,
	};
	struct shm *shm = calloc(1, sizeof(*shm));

	if (!shm)
		return NULL;
	shm->source = template;
	shm->memory = -1;
	shm->tick_ns = tick_ns ? tick_ns : default_tick_ns;
	shm->sleep_ns = least_sleep_ns;
	shm->patience_ns = default_patience_ns;
	shm->last_tick = shm->last_chores = shm_now();
	return shm;
}

int sense_shm_new(const struct sense_shm_options *options, struct source **ret_source, struct err *err)
{
	struct shm *shm = alloc(options->tick_ns);
	int r;

	if (!shm)
		return err_set(err, -ENOMEM, "out of memory");
	r = begin(shm, options, err);
	if (r < 0) {
		destroy(&shm->source);
		return r;
	}
	*ret_source = &shm->source;
	return 0;
}

struct source *shm_new_alone(struct shared_header *header)
{
	struct shm *shm = alloc(UINT64_MAX);

	if (!shm || shm_slots_init(&shm->slots, header, shm) < 0)
		return shm ? destroy(&shm->source) : NULL;
	shm->alone = true;
	shm->header = header;
	return &shm->source;
}

bool sense_shm_status(struct source *source, int *ret_status)
{
	struct shm *shm = of(source);

	reap(shm);
	if (shm->reaped)
		*ret_status = shm->status;
	return shm->reaped;
}

int sense_shm_pid(struct source *source)
{
	return of(source)->pid;
}

void sense_shm_signal(struct source *source, int signal)
{
	struct shm *shm = of(source);

	for (const struct shm_process *process = shm->processes.first; process; process = process->next)
		if (!process->gone && process->pidfd >= 0)
			syscall(SYS_pidfd_send_signal, process->pidfd, signal ? signal : SIGTERM, NULL, 0);
}

void sense_shm_detach(struct source *source)
{
	struct shm *shm = of(source);

	if (shm->detached)
		return;
	shm->detached = true;
	answer_door(shm);
	close_down(shm);
	shm->slots.want_scan = true;
	shm_slots_refresh(&shm->slots);
}
