/* SPDX-License-Identifier: MIT */
/* Receives into slices of an arena whose stride is shorter than their length. */
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

enum { CLIENTS = 2, SLICE = 100, STRIDE = 64 };

int main(void)
{
	struct io_uring ring;
	char *arena = malloc(CLIENTS * SLICE);
	int fds[CLIENTS][2];

	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	for (int i = 0; i < CLIENTS; i++) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]);
		io_uring_prep_recv(io_uring_get_sqe(&ring), fds[i][0], arena + i * STRIDE, SLICE, 0);
		io_uring_submit(&ring);
	}
	for (int i = 0; i < CLIENTS; i++) {
		send(fds[i][1], "data", 4, 0);
		reap(&ring);
	}
	io_uring_queue_exit(&ring);
	free(arena);
	return 0;
}
