/* SPDX-License-Identifier: MIT */
/* As broken.c, with writes into a pipe. */
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
	char *data[2], *sink = malloc(1 << 20);
	int fd[2];

	if (pipe(fd))
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

		io_uring_prep_write(sqe, fd[1], data[i], 3000, 0);
		io_uring_sqe_set_data64(sqe, i + 1);
		sqe->flags |= IOSQE_ASYNC;
	}
	io_uring_submit(&ring);
	for (size_t n = 0; n < 6000;) {
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
