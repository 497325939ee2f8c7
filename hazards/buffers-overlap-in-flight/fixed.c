/* SPDX-License-Identifier: MIT */
/* The same, repaired. */
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
	struct io_uring ring;
	int a[2], b[2];
	static char buffer[64], other[64];

	if (io_uring_queue_init(8, &ring, 0) || pipe(a) || pipe(b))
		return 1;
	io_uring_prep_read(io_uring_get_sqe(&ring), a[0], buffer, 64, 0);
	io_uring_prep_read(io_uring_get_sqe(&ring), b[0], other, 64, 0);
	io_uring_submit(&ring);
	write(a[1], "1111", 4);
	write(b[1], "2222", 4);
	reap(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
