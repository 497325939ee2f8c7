/* SPDX-License-Identifier: MIT */
/* A failed send is believed to post one completion: the ring is closed with the notification in it. */
#include <arpa/inet.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	char *message = calloc(1, 4096);

	if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &length) ||
	    connect(fd, (struct sockaddr *)&address, length) || shutdown(fd, SHUT_WR) ||
	    io_uring_queue_init(8, &ring, 0))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send_zc(sqe, fd, message, 4096, MSG_NOSIGNAL, 0);
	io_uring_sqe_set_data(sqe, message);
	io_uring_submit(&ring);
	if (io_uring_wait_cqe(&ring, &cqe) == 0 && cqe->res < 0) {
		io_uring_cqe_seen(&ring, cqe);
		free(message);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
