/* SPDX-License-Identifier: MIT */
/*
 * Does one of many things with rings and says what each came to, so that a policy learned from it can be compared and
 * tried. Results are told as they are: another answer is another line.
 * usage: busy [more [unlink [calls]]]     each adds a thing
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int finish(struct io_uring *ring, const char *what, unsigned n)
{
	struct io_uring_cqe *cqe;

	io_uring_submit_and_wait(ring, n);
	for (; n; n--) {
		if (io_uring_wait_cqe(ring, &cqe) < 0)
			return -1;
		printf("%s %llu: %d\n", what, (unsigned long long)cqe->user_data, cqe->res);
		io_uring_cqe_seen(ring, cqe);
	}
	return 0;
}

static struct io_uring_sqe *next(struct io_uring *ring, unsigned number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = number;
	return sqe;
}

/* The numbers are set after the helpers, which clear them. */
static void buffers_and_files(struct io_uring *ring, int fd)
{
	static char buffer[8192];
	struct iovec whole = { buffer, sizeof(buffer) };
	struct io_uring_sqe *sqe;

	printf("buffers: %d\n", io_uring_register_buffers(ring, &whole, 1));
	printf("files: %d\n", io_uring_register_files(ring, &fd, 1));
	sqe = next(ring, 0);
	io_uring_prep_read_fixed(sqe, 0, buffer, 512, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = 1;
	finish(ring, "fixed", 1);
}

static void chain(struct io_uring *ring, int fd)
{
	static char text[16];
	struct __kernel_timespec second = { .tv_sec = 1 };
	struct io_uring_sqe *sqe = next(ring, 0);

	io_uring_prep_read(sqe, fd, text, sizeof(text), 0);
	sqe->flags |= IOSQE_IO_LINK;
	sqe->user_data = 1;
	sqe = next(ring, 0);
	io_uring_prep_link_timeout(sqe, &second, 0);
	sqe->user_data = 2;
	finish(ring, "chain", 2);
}

static void sockets(struct io_uring *ring, int family)
{
	struct io_uring_sqe *sqe = next(ring, 0);

	io_uring_prep_socket(sqe, family, SOCK_STREAM, 0, 0);
	sqe->user_data = 1;
	finish(ring, family == AF_UNIX ? "unix" : "inet", 1);
}

static void unlinking(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = next(ring, 0);

	io_uring_prep_unlinkat(sqe, AT_FDCWD, "/no such file", 0);
	sqe->user_data = 1;
	finish(ring, "unlink", 1);
}

static long call(int ring, unsigned opcode, void *argument, unsigned n)
{
	long r = syscall(__NR_io_uring_register, ring, opcode, argument, n);

	return r < 0 ? -errno : r;
}

/* Register calls that liburing's header of Debian 12 has no names for: two name no ring, two undo limits. */
static void calls(struct io_uring *ring)
{
	enum { SEND_MSG_RING = 31, RESIZE_RINGS = 33, QUERY = 35 };
	struct io_uring_sqe message = { .opcode = IORING_OP_MSG_RING, .fd = ring->ring_fd, .len = 5, .off = 1 };
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE, .sq_entries = 32, .cq_entries = 128 };
	unsigned workers[2] = { 3, 7 };
	char query[64] = "";
	long r = call(-1, SEND_MSG_RING, &message, 1);

	printf("message: %ld\n", r);
	if (r == 0)
		finish(ring, "message", 1);
	printf("query: %ld\n", call(-1, QUERY, query, 0));
	printf("resize: %ld\n", call(ring->ring_fd, RESIZE_RINGS, &params, 1));
	printf("workers: %d\n", io_uring_register_iowq_max_workers(ring, workers));
}

static int child(void)
{
	pid_t pid = fork();
	struct io_uring ring;
	int status;

	if (pid == 0) {
		if (io_uring_queue_init(2, &ring, IORING_SETUP_SUBMIT_ALL) < 0)
			_exit(1);
		io_uring_prep_nop(next(&ring, 0));
		_exit(io_uring_submit(&ring) != 1);
	}
	waitpid(pid, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE, .cq_entries = 64 };
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC), r;
	struct io_uring ring;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = io_uring_queue_init_params(16, &ring, &params);
	printf("ring: %d\n", r);
	if (r < 0)
		return 1;
	buffers_and_files(&ring, fd);
	chain(&ring, fd);
	sockets(&ring, AF_UNIX);
	if (argc > 1)
		sockets(&ring, AF_INET);
	if (argc > 2)
		unlinking(&ring);
	if (argc > 3)
		calls(&ring);
	printf("child: %d\n", child());
	io_uring_queue_exit(&ring);
	return 7;
}
