/* SPDX-License-Identifier: MIT */
/*
 * A read into the frame of a function that returns. By the time the program waits it has completed, so that only a
 * look in between, when the data is written, can tell that the frame went first.
 */
#include <liburing.h>
#include <unistd.h>

static void __attribute__((noinline)) arm(struct io_uring *ring, int fd)
{
	char line[512];
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, fd, line, sizeof(line), 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(ring);
}

static int __attribute__((noinline)) say(int fd)
{
	return write(fd, "x", 1) == 1 ? 0 : 1;
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int fds[2];

	if (pipe(fds) || io_uring_queue_init(4, &ring, 0))
		return 1;
	arm(&ring, fds[0]);
	if (say(fds[1]))
		return 1;
	if (io_uring_wait_cqe(&ring, &cqe) == 0)
		io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return 0;
}
