/* SPDX-License-Identifier: MIT */
/* The same message through the same slot again and again, on purpose. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Waits at most a second for one completion and takes it. */
static int take_one(struct io_uring *ring)
{
	struct __kernel_timespec limit = { .tv_sec = 1 };
	struct io_uring_cqe *cqe;
	int res = io_uring_wait_cqe_timeout(ring, &cqe, &limit);

	if (res < 0)
		return res;
	res = cqe->res;
	printf("request %llu: %d\n", (unsigned long long)cqe->user_data, res);
	io_uring_cqe_seen(ring, cqe);
	return res;
}

int main(void)
{
	struct io_uring ring;
	int fd[2];

	if (pipe(fd))
		return 1;
	if (io_uring_queue_init(4, &ring, 0))
		return 1;
	for (int i = 0; i < 12; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_write(sqe, fd[1], "tick", 4, 0);
		io_uring_sqe_set_data64(sqe, 1);
		io_uring_submit(&ring);
		take_one(&ring);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
