/* SPDX-License-Identifier: MIT */
/* A socket is closed to end the receive; it does not end. */
#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	static char buffer[64];
	struct io_uring ring;
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return 1;
	io_uring_prep_recv(io_uring_get_sqe(&ring), fds[0], buffer, 64, 0);
	io_uring_submit(&ring);
	close(fds[0]);
	struct __kernel_timespec wait = { .tv_nsec = 50000000 };
	struct io_uring_cqe *cqe;
	io_uring_wait_cqe_timeout(&ring, &cqe, &wait);
	io_uring_queue_exit(&ring);
	return 0;
}
