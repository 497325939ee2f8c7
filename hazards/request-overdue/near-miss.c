/* SPDX-License-Identifier: MIT */
/* Two seconds with a timeout and a multishot poll in flight: both are there to wait. */
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int main(void)
{
	struct __kernel_timespec limit = { .tv_sec = 2, .tv_nsec = 500000000 };
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	int event = eventfd(0, 0);

	alarm(8);
	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_multishot(sqe, event, POLLIN);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_timeout(sqe, &limit, 0, 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	if (io_uring_wait_cqe(&ring, &cqe))
		return 1;
	io_uring_cqe_seen(&ring, cqe);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_cancel64(sqe, 1, 0);
	io_uring_sqe_set_data64(sqe, 3);
	io_uring_submit(&ring);
	for (int i = 0; i < 2; i++) {
		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
