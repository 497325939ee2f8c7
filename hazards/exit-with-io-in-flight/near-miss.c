/* SPDX-License-Identifier: MIT */
/* A read that waits on a pipe is cancelled by the close at once. */
#include <liburing.h>
#include <unistd.h>

int main(void)
{
	static char buffer[64];
	struct io_uring ring;
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || pipe(fds))
		return 1;
	io_uring_prep_read(io_uring_get_sqe(&ring), fds[0], buffer, 64, 0);
	io_uring_submit(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
