/* SPDX-License-Identifier: MIT */
/* A drain behind a timeout that ends by itself, and behind a multishot poll that is cancelled first. */
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

int main(void)
{
	struct __kernel_timespec pause = { .tv_nsec = 500000000 };
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int ends[2];

	alarm(4);
	if (io_uring_queue_init(8, &ring, 0) || pipe(ends))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_multishot(sqe, ends[0], POLLIN);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_timeout(sqe, &pause, 0, 0);
	io_uring_sqe_set_data64(sqe, 2);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_cancel64(sqe, 1, 0);
	io_uring_sqe_set_data64(sqe, 3);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_DRAIN);
	io_uring_sqe_set_data64(sqe, 4);
	io_uring_submit(&ring);
	for (int i = 0; i < 4; i++) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
