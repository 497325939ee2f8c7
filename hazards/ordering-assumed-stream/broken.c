/* SPDX-License-Identifier: MIT */
/* Two sends in flight on one socket: their bytes arrive interleaved. */
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

static int make_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
}

int main(void)
{
	struct io_uring ring;
	char *data[2], *sink = malloc(1 << 20);
	int fd[2];

	if (make_pair(fd))
		return 1;
	data[0] = malloc(400000);
	data[1] = malloc(400000);
	if (!sink || !data[0] || !data[1])
		return 1;
	memset(data[0], 'A', 400000);
	memset(data[1], 'B', 400000);
	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_send(sqe, fd[1], data[i], 400000, MSG_WAITALL);
		io_uring_sqe_set_data64(sqe, i + 1);
	}
	io_uring_submit(&ring);
	for (size_t n = 0; n < 800000;) {
		ssize_t got = read(fd[0], sink, 1 << 20);

		if (got <= 0)
			return 1;
		n += (size_t)got;
	}
	take_one(&ring);
	take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
