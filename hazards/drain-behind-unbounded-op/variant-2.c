/* SPDX-License-Identifier: MIT */
/* Behind a multishot poll; the program looks in every 100 ms and gives up. */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

int main(void)
{
	struct __kernel_timespec limit = { .tv_nsec = 100000000 };
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int ends[2];

	if (io_uring_queue_init(8, &ring, 0) || pipe(ends))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_multishot(sqe, ends[0], POLLIN);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_DRAIN);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	for (int i = 0; i < 6; i++)
		if (io_uring_wait_cqe_timeout(&ring, &cqe, &limit) != -ETIME)
			return 1;
	io_uring_queue_exit(&ring);
	return 0;
}
