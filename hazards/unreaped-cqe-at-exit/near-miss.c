/* SPDX-License-Identifier: MIT */
/* Only a no-operation is left over. */
#include <liburing.h>
#include <unistd.h>

int main(void)
{
	static char buffer[64];
	struct io_uring ring;
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || pipe(fds))
		return 1;
	(void)buffer;
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	io_uring_submit(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
