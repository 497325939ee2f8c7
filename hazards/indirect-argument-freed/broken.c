/* SPDX-License-Identifier: MIT */
/* recvmsg writes its msghdr at completion; it is freed before. */
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
	char data[64];
	struct iovec part = { data, sizeof(data) };
	struct msghdr *message = calloc(1, sizeof(*message));
	message->msg_iov = &part;
	message->msg_iovlen = 1;
	io_uring_prep_recvmsg(io_uring_get_sqe(&ring), fds[0], message, 0);
	io_uring_submit(&ring);
	free(message);
	send(fds[1], "late", 4, 0);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
