/* SPDX-License-Identifier: MIT */
/* The same with SENDMSG over TCP. */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

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

/* Reads what is there. */
static void drain(int fd)
{
	static char bytes[65536];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int main(void)
{
	enum { BODY = 16 << 20 };
	static char body[BODY], tail[4];
	struct iovec body_part = { body, sizeof(body) }, tail_part = { tail, sizeof(tail) };
	struct msghdr body_message = { .msg_iov = &body_part, .msg_iovlen = 1 };
	struct msghdr tail_message = { .msg_iov = &tail_part, .msg_iovlen = 1 };
	struct sockaddr_in address;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int server = listener(&address), client = socket(AF_INET, SOCK_STREAM, 0), peer;

	if (server < 0 || connect(client, (struct sockaddr *)&address, sizeof(address)) ||
	    io_uring_queue_init(8, &ring, 0))
		return 1;
	peer = accept(server, NULL, NULL);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_sendmsg(sqe, client, &body_message, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_sendmsg(sqe, client, &tail_message, 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	take_one(&ring);
	drain(peer);
	take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
