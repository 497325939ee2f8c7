/* SPDX-License-Identifier: MIT */
/* The second of two iovecs is too long. */
#include <liburing.h>
#include <stdlib.h>
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
	struct io_uring ring;
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return 1;
	struct iovec parts[2] = { { malloc(16), 16 }, { malloc(100), 128 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	send(fds[1], "data", 4, 0);
	io_uring_prep_recvmsg(io_uring_get_sqe(&ring), fds[0], &message, 0);
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	free(parts[0].iov_base);
	free(parts[1].iov_base);
	return 0;
}
