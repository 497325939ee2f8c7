/* SPDX-License-Identifier: MIT */
/* Slot 0 holds a socket: receiving from standard input fails. */
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
	dup2(open("/dev/null", O_RDONLY), 0);
	if (io_uring_register_files(&ring, fds, 2))
		return 1;
	send(fds[1], "data", 4, 0);
	io_uring_prep_recv(io_uring_get_sqe(&ring), 0, buffer, 64, 0);
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
