/* SPDX-License-Identifier: MIT */
/* A request that fails when it runs (a file that is not there) stops no batch. */
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	struct io_uring ring;

	alarm(2);
	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	for (int i = 0; i < 5; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_nop(sqe);
		if (i == 1)
			io_uring_prep_unlink(sqe, "/no/such/file", 0);
		io_uring_sqe_set_data64(sqe, i + 1);
	}
	io_uring_submit(&ring);
	for (int i = 0; i < 5; i++) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
