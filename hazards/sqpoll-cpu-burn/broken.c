/* SPDX-License-Identifier: MIT */
/* A request now and then, and a thread that spins in between. */
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
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 2000 };
	struct io_uring ring;
	int fds[2];

	if (pipe(fds) || io_uring_queue_init_params(8, &ring, &params))
		return 77;
	(void)fds;
	for (int i = 0; i < 4; i++) {
		io_uring_prep_nop(io_uring_get_sqe(&ring));
		io_uring_submit(&ring);
		reap(&ring);
		usleep(250000);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
