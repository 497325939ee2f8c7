/* SPDX-License-Identifier: MIT */
/* A byte is in the pipe already: a token that the chain takes out and puts back. */
#include <liburing.h>
#include <unistd.h>

int main(void)
{
	static char byte;
	int ends[2];
	struct io_uring ring;
	struct io_uring_sqe *sqe;

	alarm(4);
	if (io_uring_queue_init(8, &ring, 0) || pipe(ends) || write(ends[1], "x", 1) != 1)
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, ends[0], &byte, 1, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, ends[1], "x", 1, 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
