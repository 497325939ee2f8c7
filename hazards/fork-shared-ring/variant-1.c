/* SPDX-License-Identifier: MIT */
/* The child takes the completion of its parent's timeout. */
#include <liburing.h>
#include <sys/wait.h>
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
	struct io_uring ring;
	pid_t child;

	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	struct __kernel_timespec delay = { .tv_nsec = 300000000 };
	io_uring_prep_timeout(io_uring_get_sqe(&ring), &delay, 0, 0);
	io_uring_submit(&ring);
	child = fork();
	if (child == 0) {
		reap(&ring);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	io_uring_queue_exit(&ring);
	return 0;
}
