/* SPDX-License-Identifier: MIT */
/*
 * The loops that are measured. Each times itself, without what starting a process costs, and prints nanoseconds per
 * operation.
 *
 * usage: loops nop DEPTH COUNT
 *        loops read DEPTH COUNT FILE     cached 4 KiB reads, in batches of DEPTH
 *        loops alloc COUNT FILE          malloc and free of many sizes, with requests in flight and a read now and then
 *        loops threads COUNT FILE        four threads with a ring each, cached 4 KiB reads in batches of 32
 *        loops inflight COUNT            COUNT requests in flight; says so, and ends when its stdin does
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 4096, FILE_BLOCKS = 1024, THREADS = 4, LIVE = 4096, ALLOCATIONS_PER_READ = 256 };

static void die(const char *what, int error)
{
	fprintf(stderr, "loops: %s: %s\n", what, strerror(error));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *allocate(size_t bytes)
{
	void *p = malloc(bytes);

	if (!p)
		die("memory", ENOMEM);
	return p;
}

static void ring_new(struct io_uring *ring, unsigned entries)
{
	int r = io_uring_queue_init(entries, ring, 0);

	if (r < 0)
		die("io_uring", -r);
}

static int open_blocks(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path, errno);
	return fd;
}

/* Submits what was prepared and takes `n` completions, each of which must say `expected`. */
static void turn(struct io_uring *ring, unsigned n, int expected)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;
	int r = io_uring_submit_and_wait(ring, n);

	if (r < 0)
		die("submitting", -r);
	io_uring_for_each_cqe(ring, head, cqe)
	{
		if (cqe->res != expected)
			die("a request", cqe->res < 0 ? -cqe->res : EIO);
		seen++;
	}
	io_uring_cq_advance(ring, seen);
	if (seen != n)
		die("waiting", EIO);
}

static double loop_nop(unsigned depth, uint64_t count)
{
	struct io_uring ring;
	uint64_t start, done, id = 0;

	ring_new(&ring, depth);
	start = now_ns();
	for (done = 0; done < count; done += depth) {
		for (unsigned i = 0; i < depth; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			io_uring_prep_nop(sqe);
			io_uring_sqe_set_data64(sqe, ++id);
		}
		turn(&ring, depth, 0);
	}
	start = now_ns() - start;
	io_uring_queue_exit(&ring);
	return (double)start / (double)done;
}

static double loop_read(unsigned depth, uint64_t count, const char *path)
{
	int fd = open_blocks(path);
	char *buffers = allocate((size_t)depth * BYTES);
	struct io_uring ring;
	uint64_t start, done, id = 0;

	ring_new(&ring, depth);
	start = now_ns();
	for (done = 0; done < count; done += depth) {
		for (unsigned i = 0; i < depth; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			io_uring_prep_read(sqe, fd, buffers + (size_t)i * BYTES, BYTES, id * 7 % FILE_BLOCKS * BYTES);
			io_uring_sqe_set_data64(sqe, ++id);
		}
		turn(&ring, depth, BYTES);
	}
	start = now_ns() - start;
	io_uring_queue_exit(&ring);
	free(buffers);
	close(fd);
	return (double)start / (double)done;
}

struct pending {
	struct io_uring ring;
	int pipe[2];
	char *buffer;
};

/* A read that waits all the time, so that there is memory in flight for every free() to be compared with. */
static void pending_start(struct pending *pending)
{
	struct io_uring_sqe *sqe;

	pending->buffer = allocate(BYTES);
	if (pipe(pending->pipe) < 0)
		die("pipe", errno);
	ring_new(&pending->ring, 4);
	sqe = io_uring_get_sqe(&pending->ring);
	io_uring_prep_read(sqe, pending->pipe[0], pending->buffer, BYTES, 0);
	io_uring_sqe_set_data64(sqe, UINT64_MAX);
	io_uring_submit(&pending->ring);
}

static void pending_end(struct pending *pending)
{
	struct io_uring_cqe *cqe;

	if (write(pending->pipe[1], "x", 1) != 1 || io_uring_wait_cqe(&pending->ring, &cqe) < 0)
		die("pipe", EIO);
	io_uring_cqe_seen(&pending->ring, cqe);
	io_uring_queue_exit(&pending->ring);
	free(pending->buffer);
	close(pending->pipe[0]);
	close(pending->pipe[1]);
}

static void read_once(struct io_uring *ring, int fd, uint64_t id)
{
	char *buffer = allocate(BYTES);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, fd, buffer, BYTES, id % FILE_BLOCKS * BYTES);
	io_uring_sqe_set_data64(sqe, id);
	turn(ring, 1, BYTES);
	free(buffer);
}

static double loop_alloc(uint64_t count, const char *path)
{
	static void *live[LIVE];
	int fd = open_blocks(path);
	struct pending pending;
	struct io_uring ring;
	uint64_t start, random = 88172645463325252u;

	pending_start(&pending);
	ring_new(&ring, 4);
	start = now_ns();
	for (uint64_t i = 0; i < count; i++) {
		unsigned at;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		at = random % LIVE;
		free(live[at]);
		live[at] = allocate(16 + (random >> 32) % 2000);
		*(volatile char *)live[at] = 1;
		if (i % ALLOCATIONS_PER_READ == 0)
			read_once(&ring, fd, i);
	}
	start = now_ns() - start;
	for (size_t i = 0; i < LIVE; i++)
		free(live[i]);
	io_uring_queue_exit(&ring);
	pending_end(&pending);
	close(fd);
	return (double)start / (double)count;
}

struct worker {
	pthread_t thread;
	uint64_t count;
	const char *path;
};

static void *worker_main(void *argument)
{
	struct worker *worker = argument;

	loop_read(32, worker->count, worker->path);
	return NULL;
}

static double loop_threads(uint64_t count, const char *path)
{
	struct worker workers[THREADS];
	uint64_t start = now_ns();

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .count = count / THREADS, .path = path };
		if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]))
			die("a thread", EAGAIN);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	return (double)(now_ns() - start) / (double)count;
}

static void loop_inflight(unsigned count)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE, .cq_entries = 65536 };
	struct io_uring ring;
	int ends[2], r;
	char c;

	if (pipe(ends) < 0)
		die("pipe", errno);
	r = io_uring_queue_init_params(256, &ring, &params);
	if (r < 0)
		die("io_uring", -r);
	for (unsigned i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_poll_add(sqe, ends[0], POLLIN);
		io_uring_sqe_set_data64(sqe, i + 1);
		if (i % 256 == 255 || i + 1 == count)
			io_uring_submit(&ring);
	}
	printf("in flight\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	double ns;

	if (!strcmp(what, "nop") && argc == 4) {
		ns = loop_nop((unsigned)atoi(argv[2]), strtoull(argv[3], NULL, 0));
	} else if (!strcmp(what, "read") && argc == 5) {
		ns = loop_read((unsigned)atoi(argv[2]), strtoull(argv[3], NULL, 0), argv[4]);
	} else if (!strcmp(what, "alloc") && argc == 4) {
		ns = loop_alloc(strtoull(argv[2], NULL, 0), argv[3]);
	} else if (!strcmp(what, "threads") && argc == 4) {
		ns = loop_threads(strtoull(argv[2], NULL, 0), argv[3]);
	} else if (!strcmp(what, "inflight") && argc == 3) {
		loop_inflight((unsigned)atoi(argv[2]));
		return 0;
	} else {
		fprintf(stderr, "usage: loops nop|read|alloc|threads|inflight ...; see bench/loops.c\n");
		return 2;
	}
	printf("%.2f\n", ns);
	return 0;
}
