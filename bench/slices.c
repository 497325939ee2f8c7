/* SPDX-License-Identifier: MIT */
/*
 * One side of a comparison: a process that works in short slices, each when it is told to, so that bench/turns.py can
 * let two of them take turns some hundred times a second. Its ring is made once. Where a ring is refused, reads are
 * system calls instead, one after the other; the first line that it prints says which ("ring", or the error's name),
 * and its own process id.
 *
 * usage: slices [--filter FILE] nop DEPTH
 *        slices [--filter FILE] read DEPTH FILE     cached 4 KiB reads, in batches of DEPTH
 *        slices [--filter FILE] setup FLAGS         rings made; each is closed before the next
 *
 * Each line on stdin is a count. nop and read answer with the processor time that it took, in nanoseconds: what another
 * program, or another guest of the same machine, does meanwhile is not in it, and since all of these requests complete
 * within the call that submits them, no other thread has a part in them; should one appear, that is an error. setup
 * answers with the nanoseconds of each, by the wall: there, others do the work. --filter puts that seccomp program on
 * itself first.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 4096, FILE_BLOCKS = 1024, SETUP_ENTRIES = 8, LINE_BYTES = 64 };

struct side {
	struct io_uring ring;
	bool has_ring;
	unsigned depth;
	int fd;
	char *buffers;
	uint64_t id;
};

static void die(const char *what, int error)
{
	fprintf(stderr, "slices: %s: %s\n", what, strerror(error));
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void filter_put(const char *path)
{
	static struct sock_filter program[BPF_MAXINSNS];
	struct sock_fprog fprog = { .filter = program };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, program, sizeof(program));

	if (n <= 0)
		die(path, n < 0 ? errno : EINVAL);
	close(fd);
	fprog.len = (unsigned short)((size_t)n / sizeof(*program));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog) < 0)
		die("the filter", errno);
}

static off_t place(uint64_t id)
{
	return (off_t)(id * 7 % FILE_BLOCKS * BYTES);
}

/* Submits what was prepared and takes as many completions, each of which must say `expected`. */
static void turn(struct side *side, int expected)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;
	int r = io_uring_submit_and_wait(&side->ring, side->depth);

	if (r < 0)
		die("submitting", -r);
	io_uring_for_each_cqe(&side->ring, head, cqe)
	{
		if (cqe->res != expected)
			die("a request", cqe->res < 0 ? -cqe->res : EIO);
		seen++;
	}
	io_uring_cq_advance(&side->ring, seen);
	if (seen != side->depth)
		die("waiting", EIO);
}

static void batch_nop(struct side *side)
{
	for (unsigned i = 0; i < side->depth; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&side->ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, ++side->id);
	}
	turn(side, 0);
}

static void batch_read(struct side *side)
{
	for (unsigned i = 0; i < side->depth; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&side->ring);

		io_uring_prep_read(sqe, side->fd, side->buffers + (size_t)i * BYTES, BYTES, (uint64_t)place(side->id));
		io_uring_sqe_set_data64(sqe, ++side->id);
	}
	turn(side, BYTES);
}

static void batch_pread(struct side *side)
{
	for (unsigned i = 0; i < side->depth; i++)
		if (pread(side->fd, side->buffers + (size_t)i * BYTES, BYTES, place(side->id++)) != BYTES)
			die("reading", EIO);
}

/* Workers of a ring are threads of the process: a folder each, beside "." and "..". */
static bool is_alone(void)
{
	struct stat st;

	if (stat("/proc/self/task", &st) < 0)
		die("/proc/self/task", errno);
	return st.st_nlink == 3;
}

static void answer_batches(struct side *side, void (*batch)(struct side *side), unsigned long count)
{
	uint64_t took = now_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned long done = 0; done < count; done += side->depth)
		batch(side);
	took = now_ns(CLOCK_THREAD_CPUTIME_ID) - took;
	if (!is_alone())
		die("a thread of the kernel's did some of it", EDOM);
	printf("%llu\n", (unsigned long long)took);
}

static void answer_setups(unsigned flags, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		struct io_uring_params params = { .flags = flags };
		uint64_t took = now_ns(CLOCK_MONOTONIC);
		int fd = (int)syscall(__NR_io_uring_setup, SETUP_ENTRIES, &params);

		took = now_ns(CLOCK_MONOTONIC) - took;
		if (fd < 0)
			die("io_uring", errno);
		close(fd);
		printf("%llu ", (unsigned long long)took);
	}
	printf("\n");
}

static unsigned long next_count(void)
{
	char line[LINE_BYTES];

	fflush(stdout);
	return fgets(line, sizeof(line), stdin) ? strtoul(line, NULL, 0) : 0;
}

static void serve_setups(unsigned flags)
{
	unsigned long count;

	printf("ring %d\n", (int)getpid());
	while ((count = next_count()))
		answer_setups(flags, count);
}

static void serve_batches(struct side *side, const char *path)
{
	int r = io_uring_queue_init(side->depth, &side->ring, 0);
	unsigned long count;

	side->has_ring = r == 0;
	if (r < 0 && !path)
		die("io_uring", -r);
	side->fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	side->buffers = aligned_alloc(BYTES, (size_t)side->depth * BYTES);
	if (path && side->fd < 0)
		die(path, errno);
	if (!side->buffers)
		die("memory", ENOMEM);
	printf("%s %d\n", side->has_ring ? "ring" : strerrorname_np(-r), (int)getpid());
	while ((count = next_count()))
		answer_batches(side, !path ? batch_nop : side->has_ring ? batch_read : batch_pread, count);
}

int main(int argc, char **argv)
{
	struct side side = { .fd = -1 };

	if (argc > 2 && !strcmp(argv[1], "--filter")) {
		filter_put(argv[2]);
		argc -= 2;
		argv += 2;
	}
	side.depth = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 0;
	if (argc == 3 && !strcmp(argv[1], "setup")) {
		serve_setups(side.depth);
	} else if (side.depth && argc == 3 && !strcmp(argv[1], "nop")) {
		serve_batches(&side, NULL);
	} else if (side.depth && argc == 4 && !strcmp(argv[1], "read")) {
		serve_batches(&side, argv[3]);
	} else {
		fprintf(stderr, "usage: slices [--filter FILE] nop|read|setup ...; see bench/slices.c\n");
		return 2;
	}
	return 0;
}
