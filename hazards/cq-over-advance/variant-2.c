/* SPDX-License-Identifier: MIT */
/* Marks as seen after a wait that ran out of time. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	struct __kernel_timespec limit = { .tv_nsec = 1000000 };
	struct io_uring_cqe *cqe = NULL;
	struct io_uring ring;

	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	char bytes[2];

	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
		int fd[2], res;

		if (pipe(fd))
			return 1;
		io_uring_prep_read(sqe, fd[0], &bytes[i], 1, 0);
		io_uring_sqe_set_data64(sqe, i + 1);
		io_uring_submit(&ring);
		res = io_uring_wait_cqe_timeout(&ring, &cqe, &limit);
		printf("%d\n", res);
		io_uring_cq_advance(&ring, 1);
		if (write(fd[1], "x", 1) != 1)
			return 1;
		io_uring_get_events(&ring);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
