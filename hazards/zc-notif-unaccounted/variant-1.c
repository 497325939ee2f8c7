/* SPDX-License-Identifier: MIT */
/* Two sends, two completions awaited: the second is not the second result. */
#include <arpa/inet.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/uring.h"

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

enum { SIZE = 1 << 16 };

static void send_zc(struct io_uring *ring, int fd, const void *data, unsigned int length)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_send(sqe, fd, data, length, 0);
	sqe->opcode = URING_OP_SEND_ZC;
	sqe->user_data = 1;
	io_uring_submit(ring);
}

int main(void)
{
	struct io_uring ring;
	struct sockaddr_in local = { .sin_family = AF_INET };
	socklen_t length = sizeof(local);
	int listener = socket(AF_INET, SOCK_STREAM, 0), out = socket(AF_INET, SOCK_STREAM, 0), in;

	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (io_uring_queue_init(8, &ring, 0) || bind(listener, (struct sockaddr *)&local, sizeof(local)) ||
	    listen(listener, 8))
		return 1;
	getsockname(listener, (struct sockaddr *)&local, &length);
	if (connect(out, (struct sockaddr *)&local, sizeof(local)) || (in = accept(listener, NULL, NULL)) < 0)
		return 1;
	char *buffer = malloc(SIZE);
	memset(buffer, 1, SIZE);
	send_zc(&ring, out, buffer, SIZE);
	int sent = reap(&ring);
	if (sent < 0)
		return 77;
	send_zc(&ring, out, buffer, 4096);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
