/* SPDX-License-Identifier: MIT */
/* Open, read and close in a fixed slot: after a short read the slot stays taken. */
#include <fcntl.h>
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
	static char block[4096];
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int none = -1;

	if (io_uring_queue_init(8, &ring, 0) || io_uring_register_files(&ring, &none, 1))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_openat_direct(sqe, AT_FDCWD, "/proc/self/comm", O_RDONLY, 0, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, 0, block, sizeof(block), 0);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE | IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 2);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_close_direct(sqe, 0);
	io_uring_sqe_set_data64(sqe, 3);
	io_uring_submit(&ring);
	for (int i = 0; i < 3; i++)
		take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
