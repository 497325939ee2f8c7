/* SPDX-License-Identifier: MIT */
/* Privileges are dropped; the ring opens files as root. */
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <unistd.h>

static int reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int result = io_uring_wait_cqe(ring, &cqe);

	if (result)
		return result;
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

int main(void)
{
	if (geteuid()) {
		fprintf(stderr, "needs root\n");
		return 77;
	}
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 100 };
	struct io_uring ring;

	if (io_uring_queue_init_params(8, &ring, &params))
		return 77;
	if (setresuid(65534, 65534, 65534))
		return 1;
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
