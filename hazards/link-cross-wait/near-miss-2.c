/* SPDX-License-Identifier: MIT */
/* A third relay without a predecessor, on another ring of the program, begins. */
#include <liburing.h>
#include <unistd.h>

/* A chain: waits until one pipe can be read, then writes the other. */
static void relay(struct io_uring *ring, int from, int to, unsigned number)
{
	static char bytes[4];
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, from, &bytes[number], 1, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, number * 2 + 1);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_write(sqe, to, &bytes[number], 1, 0);
	io_uring_sqe_set_data64(sqe, number * 2 + 2);
}

int main(void)
{
	struct io_uring ring, starter;
	struct io_uring_sqe *sqe;
	int to_left[2], to_right[2];
	struct __kernel_timespec pause = { .tv_nsec = 600000000 };

	alarm(4);
	if (io_uring_queue_init(8, &ring, 0) || io_uring_queue_init(8, &starter, 0) || pipe(to_left) || pipe(to_right))
		return 1;
	sqe = io_uring_get_sqe(&starter);
	io_uring_prep_timeout(sqe, &pause, 0, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_HARDLINK);
	io_uring_sqe_set_data64(sqe, 11);
	sqe = io_uring_get_sqe(&starter);
	io_uring_prep_write(sqe, to_left[1], "x", 1, 0);
	io_uring_sqe_set_data64(sqe, 12);
	io_uring_submit(&starter);
	relay(&ring, to_left[0], to_right[1], 0);
	relay(&ring, to_right[0], to_left[1], 1);
	io_uring_submit(&ring);
	for (int i = 0; i < 4; i++) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		io_uring_cqe_seen(&ring, cqe);
	}
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&starter, &cqe))
			return 1;
		io_uring_cqe_seen(&starter, cqe);
	}
	io_uring_queue_exit(&starter);
	io_uring_queue_exit(&ring);
	return 0;
}
