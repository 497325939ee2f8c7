/* SPDX-License-Identifier: MIT */
/* A send goes on behind the end of the allocation: other data leaves the process. */
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
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
	char *text = strdup("hello");
	io_uring_prep_send(io_uring_get_sqe(&ring), fds[0], text, 20, 0);
	io_uring_submit(&ring);
	reap(&ring);
	free(text);
	io_uring_queue_exit(&ring);
	return 0;
}
