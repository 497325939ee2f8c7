/* SPDX-License-Identifier: MIT */
/* Takes an entry and leaves it: what its slot held, a payment, is executed a second time. */
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
	struct io_uring_sqe *sqe;
	int fd[2];

	if (pipe(fd))
		return 1;
	if (io_uring_queue_init(4, &ring, 0))
		return 1;

	for (int i = 1; i <= 4; i++) {
		sqe = io_uring_get_sqe(&ring);
		if (i == 1)
			io_uring_prep_write(sqe, fd[1], "PAYMENT", 7, 0);
		else
			io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i);
		io_uring_submit(&ring);
		take_one(&ring);
	}
	sqe = io_uring_get_sqe(&ring); /* then finds that there is nothing to do, and forgets the entry */
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, 6);
	io_uring_submit(&ring);
	take_one(&ring);
	take_one(&ring); /* a second one would be the replay */
	io_uring_queue_exit(&ring);
	return 0;
}
