/* SPDX-License-Identifier: MIT */
/* Two conversations over socket pairs: each receives before it answers the other. */
#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	static char bytes[2];
	struct io_uring ring;
	int left[2], right[2];

	alarm(4);
	if (io_uring_queue_init(8, &ring, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, left) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, right))
		return 1;
	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_recv(sqe, i ? left[0] : right[0], &bytes[i], 1, 0);
		io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
		io_uring_sqe_set_data64(sqe, i * 2 + 1);
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_send(sqe, i ? right[1] : left[1], "x", 1, MSG_WAITALL);
		io_uring_sqe_set_data64(sqe, i * 2 + 2);
	}
	io_uring_submit_and_wait(&ring, 4);
	io_uring_cq_advance(&ring, io_uring_cq_ready(&ring));
	io_uring_queue_exit(&ring);
	return 0;
}
