/* SPDX-License-Identifier: MIT */
/* Waits for up to eight, but not for ever. */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	struct io_uring ring;
	struct __kernel_timespec limit = { .tv_nsec = 300000000 };
	struct io_uring_cqe *cqe;
	int waited;

	alarm(2);
	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i + 1);
	}
	io_uring_submit(&ring);
	/* liburing 2.3 answers 0 when the time is over and there are some. */
	waited = io_uring_wait_cqes(&ring, &cqe, 8, &limit, NULL);
	if (waited && waited != -ETIME)
		return 1;
	io_uring_cq_advance(&ring, 2);
	io_uring_queue_exit(&ring);
	return 0;
}
