/* SPDX-License-Identifier: MIT */
/* A send that should go out a little later. */
#include <liburing.h>
#include <stdio.h>
#include <sys/socket.h>

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
	struct __kernel_timespec pause = { .tv_nsec = 20000000 };
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || io_uring_queue_init(8, &ring, 0))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_timeout(sqe, &pause, 0, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, ends[0], "ping", 4, MSG_WAITALL);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	for (int i = 0; i < 2; i++)
		take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
