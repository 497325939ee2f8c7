/* SPDX-License-Identifier: MIT */
/* The writers that test-shm.c starts: some keep the rules of event/shared.h, some break them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "event/event.h"
#include "event/shared.h"
#include "sense/shm-inner.h"
#include "sense/test-shm-writer.h"

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

static void *write_many(void *argument)
{
	struct writer w = take_slot();
	uint32_t random = (uint32_t)(uintptr_t)argument;

	for (uint32_t i = 1; i <= SHM_WRITER_PER_THREAD;) {
		uint32_t burst = 1 + (random = random * 1103515245 + 12345) / 65536 % 5;

		open_records(&w);
		for (; burst && i <= SHM_WRITER_PER_THREAD; burst--, i++)
			add(&w, EVENT_THREAD_START, sizeof(struct event_thread) + random / 65536 % 64 * 8)->ring = i;
		publish(&w);
	}
	leave(&w);
	return NULL;
}

static int write_in_threads(void)
{
	struct writer w = begin_process();
	pthread_t threads[SHM_WRITER_THREADS];

	for (uintptr_t i = 0; i < SHM_WRITER_THREADS; i++)
		must(pthread_create(&threads[i], NULL, write_many, (void *)(i + 1)) == 0, "pthread_create");
	for (unsigned i = 0; i < SHM_WRITER_THREADS; i++)
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

int shm_writer_count_descriptors(void)
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
	struct shm_evil evil;
	evil *act;
} evils[] = {
	{ { "size", "a record's size" }, lie_about_size },
	{ { "odd", "a record's size" }, lie_about_oddness },
	{ { "short", "a record's contents" }, be_too_short },
	{ { "nothing", "a record's size" }, be_nothing },
	{ { "padding", "a record's size" }, pad_beyond },
	{ { "ahead", "its ring's tail" }, jump_ahead },
	{ { "back", "its ring's tail" }, jump_back },
	{ { "unaligned", "its ring's tail" }, be_unaligned },
	{ { "old-number", "a record's number" }, take_old_number },
	{ { "far-number", "a record's number" }, take_far_number },
	{ { "state", "its slot's state" }, invent_state },
};

/* One thread's slot goes bad, the other's events must all arrive. */
static int be_evil(const char *name)
{
	struct writer good = begin_process(), bad = take_slot();

	write_one(&bad, SHM_WRITER_BAD);
	while (__atomic_load_n(&bad.slot->head, __ATOMIC_ACQUIRE) != bad.position)
		sched_yield();
	for (unsigned i = 0; i < sizeof(evils) / sizeof(*evils); i++)
		if (strcmp(evils[i].evil.name, name) == 0)
			evils[i].act(&bad);
	for (uint32_t i = 1; i <= SHM_WRITER_AFTER; i++)
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
	{ "descriptors", shm_writer_count_descriptors },
};

int shm_writer_act(const char *name, const char *argument)
{
	alarm(60);
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
		if (strcmp(roles[i].name, name) == 0)
			return roles[i].act();
	return be_evil(argument);
}

const struct shm_evil *shm_writer_evil(unsigned index)
{
	return index < sizeof(evils) / sizeof(*evils) ? &evils[index].evil : NULL;
}
