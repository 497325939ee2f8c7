/* SPDX-License-Identifier: MIT */
/* A NOP without user_data completes as the read that used its slot before. */
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

static int scratch_file(void)
{
	char name[] = "/tmp/scratch-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		exit(1);
	unlink(name);
	return fd;
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int fd = scratch_file();
	char buf[4][16];

	if (io_uring_queue_init(4, &ring, 0))
		return 1;

	for (int i = 0; i < 4; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_read(sqe, fd, buf[i], sizeof(buf[i]), 0);
		io_uring_sqe_set_data(sqe, buf[i]);
		io_uring_submit(&ring);
		take_one(&ring);
	}
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_submit(&ring);
	take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
