/* SPDX-License-Identifier: MIT */
/* Nothing is in flight on this ring, but a request of another one will post a completion here. */
#include <liburing.h>
#include <unistd.h>

int main(void)
{
	struct __kernel_timespec pause = { .tv_nsec = 600000000 };
	struct io_uring ring, sender;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;

	alarm(4);
	if (io_uring_queue_init(8, &ring, 0) || io_uring_queue_init(8, &sender, 0))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring);
	if (io_uring_wait_cqe(&ring, &cqe))
		return 1;
	io_uring_cqe_seen(&ring, cqe);

	sqe = io_uring_get_sqe(&sender);
	io_uring_prep_timeout(sqe, &pause, 0, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_HARDLINK);
	io_uring_sqe_set_data64(sqe, 2);
	sqe = io_uring_get_sqe(&sender);
	io_uring_prep_msg_ring(sqe, ring.ring_fd, 0, 3, 0);
	io_uring_sqe_set_data64(sqe, 4);
	io_uring_submit(&sender);
	if (io_uring_wait_cqe(&ring, &cqe))
		return 1;
	io_uring_cqe_seen(&ring, cqe);
	for (int i = 0; i < 2; i++) {
		if (io_uring_wait_cqe(&sender, &cqe))
			return 1;
		io_uring_cqe_seen(&sender, cqe);
	}
	io_uring_queue_exit(&sender);
	io_uring_queue_exit(&ring);
	return 0;
}
