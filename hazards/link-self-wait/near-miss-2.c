/* SPDX-License-Identifier: MIT */
/* Another thread feeds the pipe, later. */
#include <liburing.h>
#include <pthread.h>
#include <unistd.h>

static int ends[2];

static void *feed(void *nothing)
{
	usleep(600000);
	return write(ends[1], "y", 1) == 1 ? nothing : NULL;
}

int main(void)
{
	static char byte;
	pthread_t helper;
	struct io_uring ring;
	struct io_uring_sqe *sqe;

	alarm(4);
	if (io_uring_queue_init(8, &ring, 0) || pipe(ends))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, ends[0], &byte, 1, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, ends[1], "x", 1, 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	if (pthread_create(&helper, NULL, feed, NULL))
		return 1;
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		io_uring_cqe_seen(&ring, cqe);
	}
	pthread_join(helper, NULL);
	io_uring_queue_exit(&ring);
	return 0;
}
