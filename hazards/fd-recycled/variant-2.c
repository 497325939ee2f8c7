/* SPDX-License-Identifier: MIT */
/* A linked write to a socket that is closed meanwhile. */
#include <fcntl.h>
#include <liburing.h>
#include <sys/socket.h>
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

	if (io_uring_queue_init(8, &ring, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return 1;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, fds[0], buffer, 64, 0);
	sqe->flags |= IOSQE_IO_HARDLINK;
	int copy = dup(fds[0]);
	io_uring_prep_send(io_uring_get_sqe(&ring), copy, buffer, 4, 0);
	io_uring_submit(&ring);
	close(copy);
	open("/dev/null", O_WRONLY);
	send(fds[1], "data", 4, 0);
	reap(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
