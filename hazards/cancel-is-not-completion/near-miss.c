/* SPDX-License-Identifier: MIT */
/* Freed after the target itself has completed, whatever became of the cancellation. */
#include <liburing.h>
#include <stdlib.h>
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

	if (io_uring_queue_init(8, &ring, 0) || pipe(fds))
		return 1;
	char *buffer = malloc(64);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, fds[0], buffer, 64, 0);
	io_uring_sqe_set_data64(sqe, 100);
	io_uring_submit(&ring);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_cancel64(sqe, 100, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring);
	reap(&ring);
	reap(&ring);
	free(buffer);
	io_uring_queue_exit(&ring);
	return 0;
}
