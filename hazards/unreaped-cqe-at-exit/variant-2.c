/* SPDX-License-Identifier: MIT */
/* The first of two pipes is looked at, the second is not. */
#include <liburing.h>
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
	static char buffer[64];
	struct io_uring ring;
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || pipe(fds))
		return 1;
	io_uring_prep_read(io_uring_get_sqe(&ring), fds[0], buffer, 64, 0);
	write(fds[1], "data", 4);
	io_uring_submit(&ring);
	io_uring_prep_read(io_uring_get_sqe(&ring), fds[0], buffer, 64, 0);
	write(fds[1], "data", 4);
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
