/* SPDX-License-Identifier: MIT */
/* As broken.c, leaving the rest without ever submitting it. */
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

	alarm(2);
	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	for (int i = 0; i < 5; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_nop(sqe);
		if (i == 1)
			sqe->flags |= 0x80;
		io_uring_sqe_set_data64(sqe, i + 1);
	}
	io_uring_submit_and_wait(&ring, 5);
	while (io_uring_cq_ready(&ring))
		take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
