/* SPDX-License-Identifier: MIT */
/* accept writes the peer's address at completion. */
#include <arpa/inet.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

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

struct peer {
	struct sockaddr_in address;
	socklen_t length;
};

int main(void)
{
	struct io_uring ring;
	struct sockaddr_in local = { .sin_family = AF_INET };
	socklen_t length = sizeof(local);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (io_uring_queue_init(8, &ring, 0) || bind(listener, (struct sockaddr *)&local, sizeof(local)) ||
	    listen(listener, 8))
		return 1;
	getsockname(listener, (struct sockaddr *)&local, &length);
	struct peer *peer = calloc(1, sizeof(*peer));
	peer->length = sizeof(peer->address);
	io_uring_prep_accept(io_uring_get_sqe(&ring), listener, (struct sockaddr *)&peer->address, &peer->length, 0);
	io_uring_submit(&ring);
	free(peer);
	connect(client, (struct sockaddr *)&local, sizeof(local));
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
