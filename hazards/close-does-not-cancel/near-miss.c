/* SPDX-License-Identifier: MIT */
/* Cancelled first, then closed. */
#include <liburing.h>
#include <sys/socket.h>
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

	if (io_uring_queue_init(8, &ring, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return 1;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, fds[0], buffer, 64, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_cancel64(sqe, 1, 0);
	io_uring_submit(&ring);
	close(fds[0]);
	reap(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
