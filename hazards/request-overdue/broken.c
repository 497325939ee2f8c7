/* SPDX-License-Identifier: MIT */
/* Accepts a connection that nobody makes, with no limit. */
#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	alarm(8);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1) ||
	    io_uring_queue_init(8, &ring, 0))
		return 1;

	io_uring_prep_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, 0);
	io_uring_submit(&ring);
	io_uring_wait_cqe(&ring, &cqe);
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return 0;
}
