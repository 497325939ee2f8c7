/* SPDX-License-Identifier: MIT */
/* Two sends from one buffer, and a linked copy through one buffer, are right. */
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
	int a[2], b[2], in[2], out[2];
	static char buffer[1000], copy[4];
	struct io_uring_sqe *sqe;

	if (io_uring_queue_init(8, &ring, 0) || pipe(a) || pipe(b) || pipe(in) || pipe(out))
		return 1;
	io_uring_prep_write(io_uring_get_sqe(&ring), a[1], buffer, sizeof(buffer), 0);
	io_uring_prep_write(io_uring_get_sqe(&ring), b[1], buffer, sizeof(buffer), 0);
	write(in[1], "data", 4);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, in[0], copy, 4, 0);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_prep_write(io_uring_get_sqe(&ring), out[1], copy, 4, 0);
	io_uring_submit(&ring);
	for (int i = 0; i < 4; i++)
		reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
