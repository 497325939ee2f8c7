/* SPDX-License-Identifier: MIT */
/* As broken.c, with submit_and_wait and peek. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	for (int i = 0; i < 4; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
		struct io_uring_cqe *cqe;

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i + 1);
		io_uring_submit_and_wait(&ring, 1);
		if (!io_uring_peek_cqe(&ring, &cqe))
			printf("sent %d, completed %llu\n", i + 1, (unsigned long long)cqe->user_data);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
