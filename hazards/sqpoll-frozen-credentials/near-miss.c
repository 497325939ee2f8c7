/* SPDX-License-Identifier: MIT */
/* Without a polling thread the ids of the submitting task count. */
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
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
	if (geteuid()) {
		fprintf(stderr, "needs root\n");
		return 77;
	}
	struct io_uring ring;
	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	if (setresuid(65534, 65534, 65534))
		return 1;
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
