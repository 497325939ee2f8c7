/* SPDX-License-Identifier: MIT */
/* A large body and a trailer, linked. The peer is slow: the body goes out in part, and then the trailer. */
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

/* Reads what is there. */
static void drain(int fd)
{
	static char bytes[65536];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int main(void)
{
	enum { BODY = 4 << 20 };
	static char body[BODY];
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int ends[2];

	if (io_uring_queue_init(8, &ring, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, ends[0], body, sizeof(body), 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, ends[0], "TAIL", 4, 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	take_one(&ring);
	drain(ends[1]);
	take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
