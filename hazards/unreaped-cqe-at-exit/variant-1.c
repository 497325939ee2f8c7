/* SPDX-License-Identifier: MIT */
/* An accepted connection goes with the ring. */
#include <arpa/inet.h>
#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	static char buffer[64];
	struct io_uring ring;
	struct sockaddr_in local = { .sin_family = AF_INET };
	socklen_t length = sizeof(local);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (io_uring_queue_init(8, &ring, 0) || bind(listener, (struct sockaddr *)&local, sizeof(local)) ||
	    listen(listener, 8))
		return 1;
	getsockname(listener, (struct sockaddr *)&local, &length);
	(void)buffer;
	connect(client, (struct sockaddr *)&local, sizeof(local));
	io_uring_prep_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, 0);
	io_uring_submit(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
