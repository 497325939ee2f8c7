/* SPDX-License-Identifier: MIT */
/* Flags are added after the submission. */
#include <liburing.h>
#include <unistd.h>

static int reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int result = io_uring_wait_cqe(ring, &cqe);

	if (result)
		return result;
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 100 };
	struct io_uring ring;
	int fds[2];

	if (pipe(fds) || io_uring_queue_init_params(8, &ring, &params))
		return 77;
	struct io_uring_sqe *first = io_uring_get_sqe(&ring), *second = io_uring_get_sqe(&ring);
	io_uring_prep_write(first, fds[1], "one", 3, 0);
	io_uring_sqe_set_data64(first, 1);
	io_uring_prep_nop(second);
	io_uring_sqe_set_data64(second, 2);
	io_uring_submit(&ring);
	second->flags |= IOSQE_ASYNC;
	reap(&ring);
	reap(&ring);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
