/* SPDX-License-Identifier: MIT */
/* The array of iovecs is copied at submission, and freeing after the completion was seen in memory is right. */
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

static void start(struct io_uring *ring, int fd, char *buffer)
{
	struct iovec part = { buffer, 64 };

	io_uring_prep_readv(io_uring_get_sqe(ring), fd, &part, 1, 0);
	io_uring_submit(ring);
}

int main(void)
{
	struct io_uring ring;
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || pipe(fds))
		return 1;
	struct io_uring_cqe *cqe;
	char *buffer = malloc(64);
	write(fds[1], "early", 5);
	start(&ring, fds[0], buffer);
	if (io_uring_peek_cqe(&ring, &cqe))
		return 1;
	io_uring_cqe_seen(&ring, cqe);
	free(buffer);
	io_uring_queue_exit(&ring);
	return 0;
}
