/* SPDX-License-Identifier: MIT */
/* As broken.c, with a multishot poll. */
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
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

static void arm(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(ring);
}

static void say(int fd)
{
	if (write(fd, &(unsigned long){ 1 }, sizeof(unsigned long)) != sizeof(unsigned long))
		exit(1);
}

int main(void)
{
	struct io_uring ring;
	int fd = eventfd(0, EFD_NONBLOCK);

	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	arm(&ring, fd);
	say(fd);
	take_one(&ring);
	arm(&ring, fd);
	say(fd);
	take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
