/* SPDX-License-Identifier: MIT */
/* The same, repaired. */
#include <fcntl.h>
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
	static char buffer[64];
	struct io_uring ring;
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || pipe(fds))
		return 1;
	(void)fds;
	int file = open("/etc/passwd", O_RDONLY);
	if (file < 0)
		return 1;
	io_uring_prep_read(io_uring_get_sqe(&ring), file, buffer, 64, 0);
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
