/* SPDX-License-Identifier: MIT */
/* A multishot accept linked to a timeout that should follow each connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* A listener on a port of the loopback interface. */
static int listener(struct sockaddr_in *ret_address)
{
	socklen_t length = sizeof(*ret_address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*ret_address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(fd, (struct sockaddr *)ret_address, length) || listen(fd, 8) ||
	    getsockname(fd, (struct sockaddr *)ret_address, &length))
		return -1;
	return fd;
}

/* Waits at most a second for one completion and takes it. */
static int take_one(struct io_uring *ring)
{
	struct __kernel_timespec limit = { .tv_sec = 1 };
	struct io_uring_cqe *cqe;
	int res = io_uring_wait_cqe_timeout(ring, &cqe, &limit);

	if (res < 0)
		return res;
	res = cqe->res;
	printf("request %llu: %d\n", (unsigned long long)cqe->user_data, res);
	io_uring_cqe_seen(ring, cqe);
	return res;
}

int main(void)
{
	struct __kernel_timespec pause = { .tv_nsec = 10000000 };
	struct sockaddr_in address;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int server = listener(&address), client = socket(AF_INET, SOCK_STREAM, 0), accepted;

	if (server < 0 || io_uring_queue_init(8, &ring, 0))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_multishot_accept(sqe, server, NULL, NULL, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_timeout(sqe, &pause, 0, IORING_TIMEOUT_ETIME_SUCCESS);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	if (connect(client, (struct sockaddr *)&address, sizeof(address)))
		return 1;
	accepted = take_one(&ring);
	close(accepted);
	io_uring_queue_exit(&ring);
	return 0;
}
