/* SPDX-License-Identifier: MIT */
/* The queue has room for the whole chain. */
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
	struct io_uring ring;
	int fd = temporary("");

	if (fd < 0 || io_uring_queue_init(8, &ring, 0))
		return 1;
	for (int i = 0; i < 6; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		if (!sqe) {
			io_uring_submit(&ring);
			sqe = io_uring_get_sqe(&ring);
		}
		io_uring_prep_write(sqe, fd, "record", 6, i * 6);
		if (i < 5)
			io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
		io_uring_sqe_set_data64(sqe, i + 1);
	}
	io_uring_submit(&ring);
	for (int i = 0; i < 6; i++)
		take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
