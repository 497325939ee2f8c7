/* SPDX-License-Identifier: MIT */
/* Slots are used again and again, also by entries that lie prepared while the program waits for earlier ones. */
#include <liburing.h>

static void reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	if (io_uring_wait_cqe(ring, &cqe) == 0)
		io_uring_cqe_seen(ring, cqe);
}

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 10 };
	struct io_uring ring;
	uint64_t n = 0;

	if (io_uring_queue_init_params(2, &ring, &params))
		return 77;
	for (int round = 0; round < 50; round++) {
		struct __kernel_timespec pause = { .tv_nsec = 100000 };
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_timeout(sqe, &pause, 0, 0);
		io_uring_sqe_set_data64(sqe, ++n);
		io_uring_submit(&ring);
		while (!(sqe = io_uring_get_sqe(&ring)))
			io_uring_sqring_wait(&ring);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, ++n);
		reap(&ring);
		io_uring_submit(&ring);
		reap(&ring);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
