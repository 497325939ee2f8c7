/* SPDX-License-Identifier: MIT */
/* Three relays in a circle, submitted one by one. */
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
	struct io_uring ring;
	int first[2], second[2], third[2];

	alarm(4);
	if (io_uring_queue_init(8, &ring, 0) || pipe(first) || pipe(second) || pipe(third))
		return 1;
	relay(&ring, first[0], second[1], 0);
	io_uring_submit(&ring);
	relay(&ring, second[0], third[1], 1);
	io_uring_submit(&ring);
	relay(&ring, third[0], first[1], 2);
	io_uring_submit(&ring);
	for (int i = 0; i < 6; i++) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
