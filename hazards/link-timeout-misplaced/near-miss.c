/* SPDX-License-Identifier: MIT */
/* A limit in the middle of a chain guards the read before it; the data is there in time. */
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
	static char byte;
	struct __kernel_timespec limit = { .tv_sec = 10 };
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int ends[2];

	if (io_uring_queue_init(8, &ring, 0) || pipe(ends) || write(ends[1], "x", 1) != 1)
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, ends[0], &byte, 1, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_link_timeout(sqe, &limit, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 2);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, 3);
	io_uring_submit(&ring);
	for (int i = 0; i < 3; i++)
		take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
