/* SPDX-License-Identifier: MIT */
/* A datagram that does not come; the program looks at other things meanwhile, and gives up after three seconds. */
#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct __kernel_timespec look = { .tv_nsec = 500000000 };
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	static char data[64];
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	alarm(8);
	if (bind(s, (struct sockaddr *)&address, sizeof(address)) || io_uring_queue_init(8, &ring, 0))
		return 1;

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, s, data, sizeof(data), 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring);
	for (int i = 0; i < 6; i++)
		io_uring_wait_cqe_timeout(&ring, &cqe, &look);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_cancel64(sqe, 1, 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	for (int i = 0; i < 2; i++) {
		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
