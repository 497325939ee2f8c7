/* SPDX-License-Identifier: MIT */
/* Three rings, three threads that spin. */
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int make(struct io_uring *ring, unsigned flags, int other)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL | flags, .sq_thread_idle = 1, .wq_fd = (unsigned)other };

	return io_uring_queue_init_params(8, ring, &params);
}

static int use(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	io_uring_submit(ring);
	if (io_uring_wait_cqe(ring, &cqe))
		return 1;
	io_uring_cqe_seen(ring, cqe);
	return 0;
}

int main(void)
{
	struct io_uring rings[3];

	for (int i = 0; i < 3; i++)
		if (make(&rings[i], 0, 0))
			return 77;
	for (int i = 0; i < 3; i++)
		if (use(&rings[i]))
			return 1;
	for (int i = 0; i < 3; i++)
		io_uring_queue_exit(&rings[i]);
	return 0;
}
