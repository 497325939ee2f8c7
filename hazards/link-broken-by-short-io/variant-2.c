/* SPDX-License-Identifier: MIT */
/* A write that fills the pipe is short too: the trailer behind it is cancelled. */
#include <liburing.h>
#include <stdio.h>
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
	static char data[200000];
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int ends[2];

	if (io_uring_queue_init(8, &ring, 0) || pipe(ends))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, ends[1], data, sizeof(data), 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, ends[1], "trailer", 7, 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	take_one(&ring);
	take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
