/* SPDX-License-Identifier: MIT */
/* The same over a socket pair, with one call that submits and waits for both. */
#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	static char byte;
	int ends[2];
	struct io_uring ring;
	struct io_uring_sqe *sqe;

	alarm(4);
	if (io_uring_queue_init(8, &ring, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, ends[0], &byte, 1, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, ends[1], "x", 1, MSG_WAITALL);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit_and_wait(&ring, 2);
	io_uring_cq_advance(&ring, io_uring_cq_ready(&ring));
	io_uring_queue_exit(&ring);
	return 0;
}
