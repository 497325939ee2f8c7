/* SPDX-License-Identifier: MIT */
/* Two threads with a ring of their own each relay to each other: both sleep. */
#include <liburing.h>
#include <pthread.h>
#include <unistd.h>

struct side {
	int from, to;
};

/* A thread: relays one byte. */
static void *run(void *data)
{
	struct side *side = data;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	char byte = 0;

	if (io_uring_queue_init(8, &ring, 0))
		return NULL;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, side->from, &byte, 1, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, side->to, &byte, 1, 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	for (int i = 0; i < 2; i++) {
		if (io_uring_wait_cqe(&ring, &cqe))
			break;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return NULL;
}

int main(void)
{
	int right_to_left[2], left_to_right[2];
	struct side left, right;
	pthread_t other;

	alarm(4);
	if (pipe(right_to_left) || pipe(left_to_right))
		return 1;
	left = (struct side){ right_to_left[0], left_to_right[1] };
	right = (struct side){ left_to_right[0], right_to_left[1] };
	if (pthread_create(&other, NULL, run, &left))
		return 1;
	run(&right);
	pthread_join(other, NULL);
	return 0;
}
