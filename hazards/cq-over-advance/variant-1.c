/* SPDX-License-Identifier: MIT */
/* Advances by what was submitted, not by what was there. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	unsigned head, n = 0;

	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	for (int i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i + 1);
	}
	io_uring_submit(&ring);
	io_uring_for_each_cqe(&ring, head, cqe) n++;
	io_uring_cq_advance(&ring, 8);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	io_uring_submit(&ring);
	printf("%u\n", n);
	io_uring_queue_exit(&ring);
	return 0;
}
