/* SPDX-License-Identifier: MIT */
/* Two of them, one after the other. */
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int make(struct io_uring *ring, unsigned flags, int other)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL | flags, .sq_thread_idle = 1, .wq_fd = (unsigned)other };

	return io_uring_queue_init_params(8, ring, &params);
}

static int use(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	io_uring_submit(ring);
	if (io_uring_wait_cqe(ring, &cqe))
		return 1;
	io_uring_cqe_seen(ring, cqe);
	return 0;
}

int main(void)
{
	for (int i = 0; i < 2; i++) {
		struct io_uring ring;

		if (make(&ring, 0, 0))
			return 77;
		if (use(&ring))
			return 1;
		io_uring_queue_exit(&ring);
	}
	return 0;
}
