/* SPDX-License-Identifier: MIT */
/* An echo server receives into the buffer that it sends from, once the send's first completion has come. */
#include <arpa/inet.h>
#include <liburing.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[512 * 1024], sink[64 * 1024];

static int pair(int fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &length))
		return -1;
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fds[0], (struct sockaddr *)&address, length))
		return -1;
	fds[1] = accept(listener, NULL, NULL);
	return close(listener);
}

static struct io_uring_cqe reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe, copy = { 0 };

	if (io_uring_wait_cqe(ring, &cqe) == 0) {
		copy = *cqe;
		io_uring_cqe_seen(ring, cqe);
	}
	return copy;
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int fds[2], sent;

	if (pair(fds) || io_uring_queue_init(8, &ring, 0))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send_zc(sqe, fds[1], buffer, sizeof(buffer), 0, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring);
	sent = reap(&ring).res;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, fds[1], buffer, sizeof(buffer), 0);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	for (ssize_t got = 0, n = 1; got < sent && n > 0; got += n)
		n = read(fds[0], sink, sizeof(sink));
	if (write(fds[0], "again", 5) != 5)
		return 1;
	reap(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
