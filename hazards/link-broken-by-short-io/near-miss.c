/* SPDX-License-Identifier: MIT */
/* The read is short, and the program submits the cancelled write again with what there is. */
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file without a name. */
static int temporary(const char *content)
{
	int fd = memfd_create("file", 0);

	if (fd >= 0 && *content && write(fd, content, strlen(content)) < 0)
		return -1;
	return fd;
}

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
	static char block[4096];
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int from = temporary("less than a block"), to = temporary(""), got;

	if (from < 0 || to < 0 || io_uring_queue_init(8, &ring, 0))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, from, block, sizeof(block), 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, to, block, sizeof(block), 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	got = take_one(&ring);
	if (take_one(&ring) == -ECANCELED && got > 0) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_write(sqe, to, block, got, 0);
		io_uring_sqe_set_data64(sqe, 3);
		io_uring_submit(&ring);
		take_one(&ring);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
