/* SPDX-License-Identifier: MIT */
/* sendmsg's msghdr and connect's address are copied at submission. */
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

static void start(struct io_uring *ring, int fd, char *data)
{
	struct iovec part = { data, 4 };
	struct msghdr *message = calloc(1, sizeof(*message));

	message->msg_iov = &part;
	message->msg_iovlen = 1;
	io_uring_prep_sendmsg(io_uring_get_sqe(ring), fd, message, 0);
	io_uring_submit(ring);
	free(message);
}

int main(void)
{
	static char data[] = "data";
	struct io_uring ring;
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return 1;
	start(&ring, fds[0], data);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
