/* SPDX-License-Identifier: MIT */
/* Two receives in flight under one id: nobody can say whose completion it is. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
	static const unsigned ids[] = { 10, 11, 12, 10 };
	struct io_uring ring;
	char buf[4][8];
	int fd[4][2];

	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	for (int i = 0; i < 4; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd[i]))
			return 1;
		io_uring_prep_recv(sqe, fd[i][0], buf[i], sizeof(buf[i]), 0);
		io_uring_sqe_set_data64(sqe, ids[i]);
	}
	io_uring_submit(&ring);
	for (int i = 0; i < 4; i++)
		if (write(fd[i][1], "hello", 5) != 5)
			return 1;
	for (int i = 0; i < 4; i++)
		take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
