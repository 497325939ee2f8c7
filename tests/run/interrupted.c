/* SPDX-License-Identifier: MIT */
/*
 * An honest program that is interrupted all the time: its threads ask, from one place and with their parameters at one
 * address, for rings of different kinds, while signals end the calls. Every ring that it gets must be the one that it
 * asked for last, and be as it is told; memory of a call that was ended must be left alone; no signal may be lost.
 * Tells on standard output, a line each, how often which of it was not so.
 *
 * usage: interrupted rings MECHANISM THREADS ROUNDS
 *        interrupted older PROG ARGS...   PROG on a kernel that has no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
 */
#include <errno.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 8, ENTRIES = 8, UNUSED = 0xa5, LOOKS = 4, WAIT_KILLABLE_RECV = 1 << 5, SECONDS_TO_ARRIVE = 20 };
enum { SINGLE_ISSUER = 1 << 12, DEFER_TASKRUN = 1 << 13, DEFERRED = SINGLE_ISSUER | DEFER_TASKRUN };

/* As many entries everywhere: nothing in the registers tells one call from the next. */
static const struct {
	unsigned flags, cq_entries;
} kinds[] = {
	{ SINGLE_ISSUER, 0 },
	{ SINGLE_ISSUER | IORING_SETUP_CQSIZE, 64 },
	{ 0, 0 },
	{ DEFERRED, 0 },
	{ IORING_SETUP_CQSIZE, 128 },
	{ SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE, 32 },
	{ IORING_SETUP_COOP_TASKRUN, 0 },
};

enum { N_KINDS = sizeof(kinds) / sizeof(*kinds) };

struct worker {
	pthread_t thread;
	unsigned rounds;
	_Atomic unsigned sent, received;
	_Atomic bool started, done;
	unsigned made, ended, other, untrue, overwritten, failed, lost;
};

static struct worker workers[MAX_THREADS];
static __thread struct worker *self;
static bool strips; /* SINGLE_ISSUER cannot be had */
static _Atomic bool over;

/* ---- signals ---- */

static void receive(int signal)
{
	(void)signal;
	if (self)
		atomic_fetch_add(&self->received, 1);
}

/* One at a time to each thread, so that one that does not arrive is missed; and some of them restart what they end. */
static void *send_signals(void *argument)
{
	unsigned n = *(unsigned *)argument, seed = 1;

	for (unsigned i = 0; !over; i++) {
		struct worker *w = &workers[i % n];
		const struct timespec pause = { 0, 1000 * (long)(20 + rand_r(&seed) % 300) };

		if (w->started && !w->done && w->sent == w->received) {
			w->sent++;
			pthread_kill(w->thread, rand_r(&seed) % 4 ? SIGUSR1 : SIGUSR2);
		}
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void await_last(struct worker *w)
{
	struct timespec begun, now;

	w->done = true;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	do {
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (w->sent != w->received && now.tv_sec < begun.tv_sec + SECONDS_TO_ARRIVE);
	w->lost = w->sent - w->received;
}

/* ---- rings ---- */

static bool is(const char *what, unsigned got, unsigned wanted)
{
	if (got != wanted)
		printf("wrong %s %#x, not %#x\n", what, got, wanted);
	return got == wanted;
}

static unsigned flags_of(unsigned asked)
{
	unsigned kept = strips ? asked & ~(unsigned)DEFERRED : asked;

	return strips && asked & DEFER_TASKRUN ? kept | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG : kept;
}

static bool is_asked(const struct io_uring_params *params, unsigned kind)
{
	return is("flags", params->flags, flags_of(kinds[kind].flags)) &&
	       is("SQ entries", params->sq_entries, ENTRIES) &&
	       is("CQ entries", params->cq_entries, kinds[kind].cq_entries ?: 2 * ENTRIES);
}

static int run_nop(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int r;

	io_uring_prep_nop(sqe);
	do
		r = io_uring_submit(ring);
	while (r == -EINTR);
	if (r != 1)
		return r < 0 ? r : -EAGAIN;
	do
		r = io_uring_wait_cqe(ring, &cqe);
	while (r == -EINTR);
	return r < 0 ? r : cqe->res;
}

static bool is_so(int fd, struct io_uring_params *params)
{
	struct io_uring ring;
	bool good;
	int r;

	memset(&ring, 0, sizeof ring);
	r = params->sq_off.array ? io_uring_queue_mmap(fd, params, &ring) : -ENODATA;
	if (!is("mapping it", (unsigned)-r, 0)) {
		close(fd);
		return false;
	}
	good = is("the SQ's mask", *ring.sq.kring_mask, params->sq_entries - 1) &&
	       is("the CQ's mask", *ring.cq.kring_mask, params->cq_entries - 1) &&
	       is("a NOP", (unsigned)-run_nop(&ring), 0);
	io_uring_queue_exit(&ring); /* closes it too */
	return good;
}

/* Nobody has any business here any more. */
static bool is_left_alone(struct io_uring_params *params)
{
	const unsigned char *byte = (const unsigned char *)params;

	memset(params, UNUSED, sizeof *params);
	for (unsigned i = 0; i < LOOKS; i++) {
		sched_yield();
		__asm__ volatile("" ::: "memory");
		for (size_t j = 0; j < sizeof *params; j++)
			if (byte[j] != UNUSED)
				return false;
	}
	return true;
}

static void set_up(struct worker *w, struct io_uring_params *params, unsigned kind)
{
	long fd;

	memset(params, 0, sizeof *params);
	params->flags = kinds[kind].flags;
	params->cq_entries = kinds[kind].cq_entries;
	fd = syscall(__NR_io_uring_setup, ENTRIES, params);
	if (fd >= 0) {
		w->made++;
		w->other += !is_asked(params, kind);
		w->untrue += !is_so((int)fd, params);
	} else if (errno == EINTR) {
		w->ended++;
		w->overwritten += !is_left_alone(params);
	} else {
		w->failed++;
		printf("failed-with %s\n", strerrorname_np(errno));
	}
}

static void *make_rings(void *argument)
{
	struct io_uring_params params;

	self = argument;
	self->started = true;
	for (unsigned i = 0; self->made < self->rounds && self->failed < self->rounds; i++)
		set_up(self, &params, i % N_KINDS);
	await_last(self);
	return NULL;
}

static int rings(unsigned n, unsigned rounds)
{
	struct sigaction ends = { .sa_handler = receive }, restarts = { .sa_handler = receive, .sa_flags = SA_RESTART };
	struct worker all = { 0 };
	pthread_t sender;

	sigaction(SIGUSR1, &ends, NULL);
	sigaction(SIGUSR2, &restarts, NULL);
	for (unsigned i = 0; i < n; i++) {
		workers[i].rounds = rounds;
		pthread_create(&workers[i].thread, NULL, make_rings, &workers[i]);
	}
	pthread_create(&sender, NULL, send_signals, &n);
	for (unsigned i = 0; i < n; i++) {
		pthread_join(workers[i].thread, NULL);
		all.made += workers[i].made, all.ended += workers[i].ended, all.sent += workers[i].sent;
		all.other += workers[i].other, all.untrue += workers[i].untrue;
		all.overwritten += workers[i].overwritten, all.failed += workers[i].failed, all.lost += workers[i].lost;
	}
	over = true;
	pthread_join(sender, NULL);
	printf("made %u\nended %u\nsignals %u\nfailed %u\n", all.made, all.ended, all.sent, all.failed);
	printf("other %u\nuntrue %u\noverwritten %u\nlost %u\n", all.other, all.untrue, all.overwritten, all.lost);
	return 0;
}

/* ---- a kernel before Linux 5.19 ---- */

static int older(char **command)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_seccomp, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, WAIT_KILLABLE_RECV, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 125;
	execvp(command[0], command);
	return 126;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "older") == 0)
		return older(argv + 2);
	if (argc != 5 || strcmp(argv[1], "rings") != 0 || atoi(argv[3]) > MAX_THREADS)
		return 2;
	strips = strcmp(argv[2], "strip") == 0;
	return rings((unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
}
