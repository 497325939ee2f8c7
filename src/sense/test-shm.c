/* SPDX-License-Identifier: MIT */
/* The reader of shared memory, against writers that keep the rules and writers that break them: this program, started
 * by the reader again, in the role that its argument names. Preloaded is an object that does nothing here: libc. */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
/* after those it needs */
#include <cmocka.h>

#include "base/err.h"
#include "event/event.h"
#include "event/shared.h"
#include "event/source.h"
#include "sense/shm-inner.h"
#include "sense/shm.h"

/* ---- writers ---- */

static struct shared_header *memory;

struct writer {
	struct shared_slot *slot;
	uint8_t *ring;
	uint64_t position;
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	_exit(99);
}

static int receive(int fd, struct shared_welcome *welcome)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { welcome, sizeof(*welcome) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};

	if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != sizeof(*welcome) || !CMSG_FIRSTHDR(&message))
		return -1;
	return *(int *)CMSG_DATA(CMSG_FIRSTHDR(&message));
}

static int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *name = getenv(SHARED_ENV);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	must(name && fd >= 0, "socket");
	memcpy(address.sun_path + 1, name, strlen(name));
	must(connect(fd, (void *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))) == 0,
	     "connect");
	return fd;
}

static void call_reader(void)
{
	struct shared_hello hello = { SHARED_MAGIC, SHARED_VERSION, (uint32_t)getpid() };
	struct shared_welcome welcome;
	int fd = dial(), memory_fd;

	must(send(fd, &hello, sizeof(hello), 0) == sizeof(hello), "send");
	memory_fd = receive(fd, &welcome);
	must(memory_fd >= 0 && welcome.pid == hello.pid && welcome.magic == SHARED_MAGIC, "welcome");
	must(ftruncate(memory_fd, 0) < 0 && ftruncate(memory_fd, (off_t)shared_bytes() + 4096) < 0, "the seals");
	memory = mmap(NULL, shared_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	must(memory != MAP_FAILED && memory->magic == SHARED_MAGIC && memory->reader_alive == 1, "mmap");
	close(memory_fd);
	close(fd);
}

static struct writer take_slot_as(uint32_t pid, uint32_t tid)
{
	for (uint32_t i = 0; i < SHARED_SLOTS; i++) {
		struct shared_slot *slot = shm_shared_slot(memory, i);
		uint32_t free = SHARED_FREE;

		if (!__atomic_compare_exchange_n(&slot->state, &free, SHARED_CLAIMED, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
			continue;
		slot->pid = pid;
		slot->tid = slot->ns_tid = tid;
		slot->busy = 0;
		__atomic_store_n(&slot->state, SHARED_USED, __ATOMIC_RELEASE);
		return (struct writer){ slot, shm_shared_ring(memory, i), slot->tail };
	}
	must(false, "no slot");
	return (struct writer){ 0 };
}

static struct writer take_slot(void)
{
	return take_slot_as((uint32_t)getpid(), (uint32_t)syscall(SYS_gettid));
}

static void open_records(struct writer *w)
{
	__atomic_store_n(&w->slot->busy, __atomic_load_n(&memory->seq, __ATOMIC_RELAXED), __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void publish(struct writer *w)
{
	__atomic_store_n(&w->slot->tail, w->position, __ATOMIC_RELEASE);
	__atomic_store_n(&w->slot->busy, 0, __ATOMIC_RELEASE);
}

static void wait_for_room(struct writer *w, uint64_t bytes)
{
	publish(w);
	for (;;) {
		uint32_t ticket = __atomic_load_n(&w->slot->head_futex, __ATOMIC_ACQUIRE);

		__atomic_store_n(&w->slot->writer_waits, 1, __ATOMIC_SEQ_CST);
		if (w->position + bytes - __atomic_load_n(&w->slot->head, __ATOMIC_SEQ_CST) <= SHARED_RING_BYTES)
			break;
		syscall(SYS_futex, &w->slot->head_futex, FUTEX_WAIT, ticket, NULL, NULL, 0);
	}
	__atomic_store_n(&w->slot->writer_waits, 0, __ATOMIC_RELAXED);
	open_records(w);
}

/* Between open_records() and publish(). */
static struct event *add(struct writer *w, uint32_t kind, size_t size)
{
	uint64_t offset = w->position % SHARED_RING_BYTES;
	uint64_t skip = offset + size > SHARED_RING_BYTES ? SHARED_RING_BYTES - offset : 0;
	struct event *event;

	if (w->position + skip + size - __atomic_load_n(&w->slot->head, __ATOMIC_ACQUIRE) > SHARED_RING_BYTES)
		wait_for_room(w, skip + size);
	if (skip) {
		event = (struct event *)(w->ring + offset);
		event->kind = EVENT_NONE;
		event->size = (uint16_t)skip;
		w->position += skip;
		offset = 0;
	}
	w->position += size;
	event = (struct event *)(w->ring + offset);
	memset(event, 0, size);
	event->kind = (uint16_t)kind;
	event->size = (uint16_t)size;
	event->seq = __atomic_fetch_add(&memory->seq, 1, __ATOMIC_SEQ_CST);
	return event;
}

/* `ring` carries a number that the test recognises. */
static void write_one(struct writer *w, uint32_t mark)
{
	open_records(w);
	add(w, EVENT_THREAD_START, sizeof(struct event_thread))->ring = mark;
	publish(w);
}

static void write_exit(struct writer *w)
{
	open_records(w);
	((struct event_exit *)add(w, EVENT_PROCESS_EXIT, sizeof(struct event_exit)))->clean = 1;
	publish(w);
}

static void leave(struct writer *w)
{
	__atomic_store_n(&w->slot->state, SHARED_LEAVING, __ATOMIC_RELEASE);
}

static struct writer begin_process(void)
{
	struct writer w;

	call_reader();
	w = take_slot();
	open_records(&w);
	add(&w, EVENT_PROCESS_START, sizeof(struct event_process));
	publish(&w);
	return w;
}

static int say_nothing(void)
{
	return 3;
}

static int write_few(void)
{
	struct writer w = begin_process();

	for (uint32_t i = 1; i <= 10; i++)
		write_one(&w, i);
	write_exit(&w);
	return 7;
}

enum { THREADS = 6, PER_THREAD = 20000 };

static void *write_many(void *argument)
{
	struct writer w = take_slot();
	uint32_t random = (uint32_t)(uintptr_t)argument;

	for (uint32_t i = 1; i <= PER_THREAD;) {
		uint32_t burst = 1 + (random = random * 1103515245 + 12345) / 65536 % 5;

		open_records(&w);
		for (; burst && i <= PER_THREAD; burst--, i++)
			add(&w, EVENT_THREAD_START, sizeof(struct event_thread) + random / 65536 % 64 * 8)->ring = i;
		publish(&w);
	}
	leave(&w);
	return NULL;
}

static int write_in_threads(void)
{
	struct writer w = begin_process();
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, write_many, (void *)(i + 1)) == 0, "pthread_create");
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	write_exit(&w);
	return 0;
}

/* As large as records get, so that rings end with padding of any length. */
static int write_large(void)
{
	struct writer w = begin_process();

	for (uint32_t i = 1; i <= 200; i++) {
		open_records(&w);
		add(&w, EVENT_THREAD_START, i % 2 ? 65528 : 48 + i * 8)->ring = i;
		publish(&w);
	}
	return 0;
}

/* A slot's place after the end of its thread: free again, at once used by the next. */
static void *write_and_vanish(void *argument)
{
	*(struct writer *)argument = take_slot();
	write_one(argument, 1);
	open_records(argument); /* ... and never finished */
	return NULL;
}

static int vanish(void)
{
	struct writer w = begin_process(), gone;
	pthread_t thread;

	must(pthread_create(&thread, NULL, write_and_vanish, &gone) == 0, "pthread_create");
	pthread_join(thread, NULL);
	while (__atomic_load_n(&gone.slot->state, __ATOMIC_ACQUIRE) != SHARED_FREE)
		sched_yield();
	must(gone.slot->busy == 0 && gone.slot->tail == gone.slot->head, "freed");
	write_one(&w, 1);
	return 0;
}

static int die_busy(void)
{
	struct writer w = begin_process();

	write_one(&w, 1);
	open_records(&w);
	add(&w, EVENT_THREAD_START, sizeof(struct event_thread))->ring = 2;
	raise(SIGKILL);
	return 0;
}

/* Others must not wait for what never comes. */
static int stay_busy(void)
{
	struct writer w = begin_process(), other = take_slot();

	open_records(&other);
	add(&other, EVENT_THREAD_START, sizeof(struct event_thread));
	write_one(&w, 1);
	while (__atomic_load_n(&w.slot->head, __ATOMIC_ACQUIRE) != w.position)
		sched_yield();
	return 0;
}

/* The child's fork is told by the child; its own child outlives it. */
static void told_fork(struct writer *w, pid_t parent)
{
	struct event_process *event;

	open_records(w);
	event = (struct event_process *)add(w, EVENT_FORK, sizeof(*event));
	event->h.pid = event->h.tid = event->parent = (uint32_t)parent;
	event->child = (uint32_t)getpid();
	publish(w);
}

static int be_daemon(void)
{
	struct writer w = begin_process();
	int gate[2];
	char byte;

	must(pipe(gate) == 0, "pipe");
	for (int generation = 0; generation < 2; generation++) {
		pid_t parent = getpid(), child = fork();

		if (child) {
			write_exit(&w);
			_exit(generation);
		}
		w = take_slot();
		told_fork(&w, parent);
	}
	/* Until parent and grandparent are gone. */
	close(gate[1]);
	must(read(gate[0], &byte, 1) == 0, "gate");
	write_one(&w, 1);
	raise(SIGKILL);
	return 0;
}

static int wait_for_signal(void)
{
	struct writer w = begin_process();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	write_one(&w, 1);
	must(sigwaitinfo(&set, NULL) == SIGUSR1, "sigwaitinfo");
	return 5;
}

static int wait_for_silence(void)
{
	struct writer w = begin_process();

	write_one(&w, 1);
	while (__atomic_load_n(&memory->reader_alive, __ATOMIC_RELAXED))
		sched_yield();
	return 6;
}

static int stop_reader(void)
{
	struct writer w = begin_process();

	write_one(&w, 1);
	__atomic_store_n(&memory->reader_alive, 0, __ATOMIC_RELAXED);
	while (__atomic_load_n(&w.slot->head, __ATOMIC_ACQUIRE) != w.position)
		sched_yield();
	pause();
	return 0;
}

static int show_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return (int)n;
}

static int show_group(void)
{
	return getenv(SHARED_ENV) && strstr(getenv("LD_PRELOAD"), "libc.so") && getpgrp() == getpgid(getppid()) ? 0 : 1;
}

/* ---- writers that break the rules ---- */

typedef void evil(struct writer *w);

static void lie_about_size(struct writer *w)
{
	struct event *event;

	open_records(w);
	event = add(w, EVENT_THREAD_START, sizeof(struct event_thread));
	event->size = 60000;
	publish(w);
}

static void lie_about_oddness(struct writer *w)
{
	open_records(w);
	add(w, EVENT_THREAD_START, sizeof(struct event_thread))->size = 49;
	publish(w);
}

static void be_too_short(struct writer *w)
{
	open_records(w);
	add(w, EVENT_SUBMIT, sizeof(struct event));
	publish(w);
}

static void be_nothing(struct writer *w)
{
	open_records(w);
	memset(add(w, EVENT_THREAD_START, sizeof(struct event_thread)), 0, sizeof(struct event_thread));
	publish(w);
}

static void pad_beyond(struct writer *w)
{
	open_records(w);
	add(w, EVENT_NONE, sizeof(struct event))->size = 65528;
	publish(w);
}

static void jump_ahead(struct writer *w)
{
	w->position += SHARED_RING_BYTES + 8;
	publish(w);
}

static void jump_back(struct writer *w)
{
	w->position -= 8;
	publish(w);
}

static void be_unaligned(struct writer *w)
{
	w->position += 3;
	publish(w);
}

static void take_old_number(struct writer *w)
{
	open_records(w);
	add(w, EVENT_THREAD_START, sizeof(struct event_thread))->seq = 1;
	publish(w);
}

static void take_far_number(struct writer *w)
{
	open_records(w);
	add(w, EVENT_THREAD_START, sizeof(struct event_thread))->seq = UINT64_MAX - 1;
	publish(w);
}

static void invent_state(struct writer *w)
{
	w->slot->state = 77;
}

static const struct {
	const char *name;
	evil *act;
	const char *blame;
} evils[] = {
	{ "size", lie_about_size, "a record's size" },
	{ "odd", lie_about_oddness, "a record's size" },
	{ "short", be_too_short, "a record's contents" },
	{ "nothing", be_nothing, "a record's size" },
	{ "padding", pad_beyond, "a record's size" },
	{ "ahead", jump_ahead, "its ring's tail" },
	{ "back", jump_back, "its ring's tail" },
	{ "unaligned", be_unaligned, "its ring's tail" },
	{ "old-number", take_old_number, "a record's number" },
	{ "far-number", take_far_number, "a record's number" },
	{ "state", invent_state, "its slot's state" },
};

enum { N_EVILS = sizeof(evils) / sizeof(*evils), AFTER = 500, BAD = 1000000 };

/* One thread's slot goes bad, the other's events must all arrive. */
static int be_evil(const char *name)
{
	struct writer good = begin_process(), bad = take_slot();

	write_one(&bad, BAD);
	while (__atomic_load_n(&bad.slot->head, __ATOMIC_ACQUIRE) != bad.position)
		sched_yield();
	for (unsigned i = 0; i < N_EVILS; i++)
		if (strcmp(evils[i].name, name) == 0)
			evils[i].act(&bad);
	for (uint32_t i = 1; i <= AFTER; i++)
		write_one(&good, i);
	write_exit(&good);
	return 0;
}

/* Everything in the memory, at random, for as long as the reader is slow. */
static int scribble(void)
{
	uint32_t random = 1;

	begin_process();
	for (uint32_t i = 0; i < 200000; i++) {
		uint64_t at = sizeof(struct shared_header);

		random = random * 1664525 + 1013904223;
		at = i % 4 ? shared_slots_offset() + random % (16 * sizeof(struct shared_slot))
			   : shared_rings_offset() + random % (16 * 4096);
		((uint8_t *)memory)[at] = (uint8_t)(random >> 24);
		if (i % 64 == 0)
			memory->seq += random % 3;
	}
	return 0;
}

static const struct {
	const char *name;
	int (*act)(void);
} roles[] = {
	{ "nothing", say_nothing },
	{ "few", write_few },
	{ "threads", write_in_threads },
	{ "large", write_large },
	{ "vanish", vanish },
	{ "die-busy", die_busy },
	{ "stay-busy", stay_busy },
	{ "daemon", be_daemon },
	{ "signal", wait_for_signal },
	{ "silence", wait_for_silence },
	{ "stop-reader", stop_reader },
	{ "scribble", scribble },
	{ "group", show_group },
	{ "descriptors", show_descriptors },
};

static int act(const char *name, const char *argument)
{
	alarm(60);
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
		if (strcmp(roles[i].name, name) == 0)
			return roles[i].act();
	return be_evil(argument);
}

/* ---- the reader ---- */

struct watch {
	struct source *source;
	unsigned kinds[EVENT_KIND_COUNT];
	unsigned n_good, n_bad;       /* marks of write_one() */
	uint32_t marks[SHARED_SLOTS]; /* by tid: the last */
	unsigned n_disorder;
	uint64_t seq;
	int32_t exit_status;
	uint32_t exit_clean;
	unsigned n_synthetic_exits;
	char notices[4096];
	int status;
};

static char self[PATH_MAX];

static void start(struct watch *watch, const char *role, const char *argument)
{
	char *argv[] = { self, (char *)"--writer", (char *)role, (char *)argument, NULL };
	struct sense_shm_options options = { .argv = argv };
	struct err err = { "" };

	memset(watch, 0, sizeof(*watch));
	watch->status = -1;
	if (sense_shm_new(&options, &watch->source, &err) < 0)
		fail_msg("%s", err.text);
}

static void note_thread(struct watch *watch, const struct event *event)
{
	uint32_t *last = &watch->marks[event->tid % SHARED_SLOTS];

	watch->n_bad += event->ring == BAD;
	watch->n_good += event->ring != BAD;
	watch->n_disorder += event->ring != BAD && event->ring != *last + 1;
	*last = event->ring == BAD ? *last : event->ring;
}

static void note(struct watch *watch, const struct event *event)
{
	bool synthetic = event->flags & EVENT_SYNTHETIC;

	watch->kinds[event->kind]++;
	if (synthetic ? event->seq < watch->seq : event->seq <= watch->seq)
		watch->n_disorder++;
	watch->seq = event->seq;
	if (event->kind == EVENT_THREAD_START && event->ring)
		note_thread(watch, event);
	if (event->kind == EVENT_PROCESS_EXIT) {
		watch->exit_status = ((const struct event_exit *)event)->status;
		watch->exit_clean = ((const struct event_exit *)event)->clean;
		watch->n_synthetic_exits += synthetic;
	}
	if (event->kind == EVENT_NOTICE && strlen(watch->notices) + 300 < sizeof(watch->notices))
		snprintf(watch->notices + strlen(watch->notices), 300, "%.*s\n",
			 (int)((const struct event_notice *)event)->length,
			 (const char *)(event + 1) + sizeof(struct event_notice) - sizeof(struct event));
}

/* Until an event of this kind, or the end: what next() said. */
static int run_until(struct watch *watch, unsigned kind)
{
	for (;;) {
		const struct event *event;
		struct err err = { "" };
		int r = watch->source->next(watch->source, UINT64_MAX, &event, &err);

		if (r < 0)
			fail_msg("%s", err.text);
		if (r == SOURCE_EVENT)
			note(watch, event);
		if (r == SOURCE_END || (r == SOURCE_EVENT && event->kind == kind))
			return r;
	}
}

static void finish(struct watch *watch)
{
	const struct event *event;

	assert_int_equal(run_until(watch, EVENT_KIND_COUNT), SOURCE_END);
	assert_int_equal(watch->source->next(watch->source, UINT64_MAX, &event, NULL), SOURCE_END);
	assert_true(sense_shm_status(watch->source, &watch->status));
	watch->source = watch->source->destroy(watch->source);
	assert_null(watch->source);
	assert_int_equal(watch->n_disorder, 0);
}

static void watch_role(struct watch *watch, const char *role, const char *argument)
{
	start(watch, role, argument);
	finish(watch);
}

static void test_few(void **state)
{
	struct watch watch;

	watch_role(&watch, "few", NULL);
	assert_int_equal(WEXITSTATUS(watch.status), 7);
	assert_int_equal(watch.n_good, 10);
	assert_int_equal(watch.kinds[EVENT_PROCESS_START], 1);
	assert_int_equal(watch.kinds[EVENT_PROCESS_EXIT], 1);
	assert_int_equal(watch.exit_clean, 1);
	assert_int_equal(watch.kinds[EVENT_LOST] + watch.kinds[EVENT_NOTICE], 0);
}

static void test_unseen_program(void **state)
{
	struct watch watch;

	watch_role(&watch, "nothing", NULL);
	assert_int_equal(WEXITSTATUS(watch.status), 3);
	assert_non_null(strstr(watch.notices, "did not load the shim"));
}

static void test_threads(void **state)
{
	struct watch watch;

	watch_role(&watch, "threads", NULL);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.n_good, THREADS * PER_THREAD);
	assert_int_equal(watch.kinds[EVENT_LOST] + watch.kinds[EVENT_NOTICE], 0);
}

static void test_large_records(void **state)
{
	struct watch watch;

	watch_role(&watch, "large", NULL);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.n_good, 200);
	assert_int_equal(watch.kinds[EVENT_LOST], 0);
	assert_int_equal(watch.n_synthetic_exits, 1);
	assert_int_equal(watch.exit_clean, 0);
	assert_int_equal(watch.exit_status, 0);
}

static void test_thread_vanishes(void **state)
{
	struct watch watch;

	watch_role(&watch, "vanish", NULL);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.n_good, 2);
	assert_int_equal(watch.kinds[EVENT_LOST], 1);
}

static void test_killed_while_writing(void **state)
{
	struct watch watch;

	watch_role(&watch, "die-busy", NULL);
	assert_int_equal(WTERMSIG(watch.status), SIGKILL);
	assert_int_equal(watch.n_good, 1);
	assert_int_equal(watch.kinds[EVENT_LOST], 1);
	assert_int_equal(watch.n_synthetic_exits, 1);
	assert_int_equal(watch.exit_status, SIGKILL);
}

static void test_never_finishes(void **state)
{
	struct watch watch;

	start(&watch, "stay-busy", NULL);
	shm_set_patience(watch.source, 1000000);
	finish(&watch);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.n_good, 1);
	assert_non_null(strstr(watch.notices, "never finished"));
	assert_int_equal(watch.kinds[EVENT_LOST], 1);
}

static void test_daemon(void **state)
{
	struct watch watch;

	watch_role(&watch, "daemon", NULL);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.kinds[EVENT_FORK], 2);
	assert_int_equal(watch.kinds[EVENT_PROCESS_EXIT], 3);
	assert_int_equal(watch.n_synthetic_exits, 1);
	assert_int_equal(watch.exit_status, -1);
	assert_int_equal(watch.kinds[EVENT_LOST] + watch.kinds[EVENT_NOTICE], 0);
}

static void test_evil(void **state)
{
	for (unsigned i = 0; i < N_EVILS; i++) {
		struct watch watch;

		start(&watch, "evil", evils[i].name);
		assert_int_equal(run_until(&watch, EVENT_KIND_COUNT), SOURCE_END);
		if (watch.n_good != AFTER || watch.n_bad > 1 || !watch.kinds[EVENT_LOST] ||
		    !strstr(watch.notices, evils[i].blame))
			fail_msg("%s: %u good, %u bad, %u lost, notices: %s", evils[i].name, watch.n_good, watch.n_bad,
				 watch.kinds[EVENT_LOST], watch.notices);
		finish(&watch);
	}
}

static void test_scribble(void **state)
{
	struct watch watch;

	start(&watch, "scribble", NULL);
	shm_set_patience(watch.source, 1000000);
	assert_int_equal(run_until(&watch, EVENT_KIND_COUNT), SOURCE_END);
	assert_true(sense_shm_status(watch.source, &watch.status));
	assert_int_equal(watch.status, 0);
	watch.source->destroy(watch.source);
}

static void test_signal(void **state)
{
	struct watch watch;

	start(&watch, "signal", NULL);
	assert_int_equal(run_until(&watch, EVENT_THREAD_START), SOURCE_EVENT);
	assert_false(sense_shm_status(watch.source, &watch.status));
	assert_int_equal(kill(sense_shm_pid(watch.source), 0), 0);
	sense_shm_signal(watch.source, SIGUSR1);
	finish(&watch);
	assert_int_equal(WEXITSTATUS(watch.status), 5);
}

static void test_time_passes(void **state)
{
	const struct event *event;
	struct watch watch;
	int r;

	start(&watch, "signal", NULL);
	assert_int_equal(run_until(&watch, EVENT_TICK), SOURCE_EVENT);
	assert_int_equal(run_until(&watch, EVENT_TICK), SOURCE_EVENT);
	do
		r = watch.source->next(watch.source, 1, &event, NULL);
	while (r == SOURCE_EVENT);
	assert_int_equal(r, SOURCE_AGAIN);
	sense_shm_signal(watch.source, 0);
	assert_int_equal(run_until(&watch, EVENT_KIND_COUNT), SOURCE_END);
	assert_true(sense_shm_status(watch.source, &watch.status));
	assert_int_equal(WTERMSIG(watch.status), SIGTERM);
	watch.source->destroy(watch.source);
}

static void test_detach(void **state)
{
	struct watch watch;
	int status;

	start(&watch, "silence", NULL);
	assert_int_equal(run_until(&watch, EVENT_THREAD_START), SOURCE_EVENT);
	sense_shm_detach(watch.source);
	assert_int_equal(run_until(&watch, EVENT_KIND_COUNT), SOURCE_END);
	assert_int_equal(waitpid(sense_shm_pid(watch.source), &status, 0), sense_shm_pid(watch.source));
	assert_int_equal(WEXITSTATUS(status), 6);
	watch.source->destroy(watch.source);
}

static void test_stopped_by_writer(void **state)
{
	struct watch watch;

	start(&watch, "stop-reader", NULL);
	assert_int_equal(run_until(&watch, EVENT_NOTICE), SOURCE_EVENT);
	assert_non_null(strstr(watch.notices, "in vain"));
	sense_shm_signal(watch.source, SIGKILL);
	finish(&watch);
	assert_int_equal(watch.n_good, 1);
}

static unsigned count_descriptors(void)
{
	return (unsigned)show_descriptors();
}

static void test_program_is_left_alone(void **state)
{
	unsigned before = count_descriptors();
	struct watch watch;

	watch_role(&watch, "group", NULL);
	assert_int_equal(watch.status, 0);
	watch_role(&watch, "descriptors", NULL);
	assert_int_equal(WEXITSTATUS(watch.status), before);
	assert_int_equal(count_descriptors(), before);
}

/* ---- programs that cannot be watched ---- */

static char folder[] = "/tmp/circlip-test-shm-XXXXXX";

static const char *make_file(const char *name, const void *bytes, size_t n, mode_t mode)
{
	static char path[sizeof(folder) + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

struct image {
	Elf64_Ehdr header;
	Elf64_Phdr interpreter;
	char text[64];
};

static struct image make_image(uint16_t machine, const char *interpreter)
{
	struct image image = { .header = {
				       .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1 },
				       .e_type = ET_DYN,
				       .e_machine = machine,
				       .e_phentsize = sizeof(Elf64_Phdr),
				       .e_phnum = 1,
				       .e_phoff = offsetof(struct image, interpreter) } };

	image.interpreter.p_type = interpreter ? PT_INTERP : PT_NULL;
	image.interpreter.p_offset = offsetof(struct image, text);
	image.interpreter.p_filesz = sizeof(image.text);
	snprintf(image.text, sizeof(image.text), "%s", interpreter ? interpreter : "");
	return image;
}

static void refused(const char *path, int code, const char *text)
{
	char *argv[] = { (char *)path, NULL };
	struct sense_shm_options options = { .argv = argv };
	struct source *source = NULL;
	struct err err = { "" };
	int r = sense_shm_new(&options, &source, &err);

	if (r != code || source || !strstr(err.text, text))
		fail_msg("%s: %d, %s", path, r, err.text);
}

static void refused_image(struct image image, mode_t mode, int code, const char *text)
{
	refused(make_file("program", &image, sizeof(image), mode), code, text);
}

static void refused_script(const char *line, int code, const char *text)
{
	refused(make_file("script", line, strlen(line), 0755), code, text);
}

static void test_refused(void **state)
{
	static const char loader[] = "/lib64/ld-linux-x86-64.so.2";
	struct image truncated = make_image(EM_X86_64, loader);
	char line[128];

	refused("no-such-program", -ENOENT, "was not found in PATH");
	refused("/no/such/program", -ENOENT, "No such file");
	refused("", -ENOENT, "empty");
	refused(folder, -EACCES, "is a directory");
	refused_image(make_image(EM_X86_64, loader), 0600, -EACCES, "permission denied");
	refused_image(make_image(EM_X86_64, NULL), 0755, -ENOTSUP, "statically linked");
	refused_image(make_image(EM_AARCH64, loader), 0755, -ENOTSUP, "another architecture");
	refused_image(make_image(EM_X86_64, loader), 04755, -ENOTSUP, "set-user-ID");
	refused_image(make_image(EM_X86_64, loader), 02755, -ENOTSUP, "set-group-ID");
	refused_image(make_image(EM_X86_64, "/no/such/loader"), 0755, -ENOENT, "/no/such/loader");
	truncated.header.e_phoff = UINT64_MAX - 8;
	refused_image(truncated, 0755, -ENOTSUP, "damaged");
	refused(make_file("header", &truncated, 20, 0755), -ENOTSUP, "damaged");
	refused_image(make_image(EM_X86_64, NULL), 0755, -ENOTSUP, "statically linked");
	snprintf(line, sizeof(line), "#! %s/program with argument\n", folder);
	refused_script(line, -ENOTSUP, "statically linked");
	refused_script("#!/no/such/interpreter\n", -ENOENT, "/no/such/interpreter");
	snprintf(line, sizeof(line), "#!%s/script\n", folder);
	refused_script(line, -EACCES, "too many interpreters");
}

static void test_scripts_run(void **state)
{
	struct watch watch = { 0 };
	char *argv[] = { NULL, (char *)"4", NULL };
	struct sense_shm_options options = { .argv = argv };
	static const char *const texts[] = { "#!/bin/sh\nexit $1\n", "exit $1\n" };

	for (unsigned i = 0; i < 2; i++) {
		argv[0] = (char *)make_file("script", texts[i], strlen(texts[i]), 0755);
		assert_int_equal(sense_shm_new(&options, &watch.source, NULL), 0);
		finish(&watch);
		assert_int_equal(WEXITSTATUS(watch.status), 4);
	}
}

static void test_sanitizers(void **state)
{
	char runtime[SHM_RUNTIME_BYTES];
	struct err err = { "" };

	assert_int_equal(shm_program_inspect("/bin/sh", runtime, &err), 0);
	assert_string_equal(runtime, "");
	assert_int_equal(shm_program_inspect("/proc/self/exe", runtime, &err), 0);
#ifdef __SANITIZE_ADDRESS__
	assert_non_null(strstr(runtime, "asan"));
#else
	assert_string_equal(runtime, "");
#endif
}

/* ---- with the shim itself ---- */

static void test_shim(void **state)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"/bin/true; /bin/true & exit 9", NULL };
	struct sense_shm_options options = { .argv = argv };
	struct watch watch = { 0 };
	struct err err = { "" };
	char shim[PATH_MAX];

	unsetenv("CIRCLIP_SHIM");
	if (shm_start_find_shim(shim, &err) < 0) {
		print_message("%s\n", err.text);
		skip();
	}
	if (sense_shm_new(&options, &watch.source, &err) < 0)
		fail_msg("%s", err.text);
	finish(&watch);
	assert_int_equal(WEXITSTATUS(watch.status), 9);
	assert_int_equal(watch.kinds[EVENT_PROCESS_START], 3);
	assert_int_equal(watch.kinds[EVENT_EXEC], watch.kinds[EVENT_FORK]); /* shells prefer vfork, but for & */
	assert_int_equal(watch.n_synthetic_exits, 0);
	assert_int_equal(watch.kinds[EVENT_LOST] + watch.kinds[EVENT_NOTICE], 0);
}

static void use_harmless_shim(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	Dl_info info;

	if (!libc || !dladdr(dlsym(libc, "getppid"), &info))
		exit(99);
	setenv("CIRCLIP_SHIM", info.dli_fname, 1);
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "program", "script", "header" };
	char path[sizeof(folder) + 64];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_unseen_program),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_large_records),
		cmocka_unit_test(test_thread_vanishes),
		cmocka_unit_test(test_killed_while_writing),
		cmocka_unit_test(test_never_finishes),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_evil),
		cmocka_unit_test(test_scribble),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_time_passes),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_stopped_by_writer),
		cmocka_unit_test(test_program_is_left_alone),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_scripts_run),
		cmocka_unit_test(test_sanitizers),
		cmocka_unit_test(test_shim),
	};

	if (argc > 2 && strcmp(argv[1], "--writer") == 0)
		return act(argv[2], argv[3]);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || !mkdtemp(folder))
		return 99;
	use_harmless_shim();
	return cmocka_run_group_tests(tests, NULL, remove_folder);
}
