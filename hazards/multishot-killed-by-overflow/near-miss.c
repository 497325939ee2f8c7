/* SPDX-License-Identifier: MIT */
/* The ring overflows, but the program sees that F_MORE is missing and arms again. */
#include <arpa/inet.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int listen_local(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof(*address)) || listen(fd, 16) ||
	    getsockname(fd, (struct sockaddr *)address, &length))
		exit(1);
	return fd;
}

static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		exit(1);
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

static void arm(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(ring);
}

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE, .cq_entries = 4 };
	struct io_uring ring;
	struct sockaddr_in address;
	int fd;

	if (io_uring_queue_init_params(2, &ring, &params))
		return 1;
	fd = listen_local(&address);
	arm(&ring, fd);
	for (int i = 0; i < 5; i++)
		connect_to(&address);
	io_uring_get_events(&ring);
	for (int i = 0; i < 5; i++)
		take_one(&ring);
	arm(&ring, fd);
	connect_to(&address);
	take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
