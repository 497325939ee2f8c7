/* SPDX-License-Identifier: MIT */
/* A registered heap buffer is freed; a write from it sends what lives there now. */
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
	char *buffer = malloc(4096);
	struct iovec part = { buffer, 4096 };
	if (io_uring_register_buffers(&ring, &part, 1))
		return 1;
	free(buffer);
	io_uring_prep_write_fixed(io_uring_get_sqe(&ring), fds[1], part.iov_base, 16, 0, 0);
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
