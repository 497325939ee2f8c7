/* SPDX-License-Identifier: MIT */
/* A connection object goes, freed by a worker thread, while a receive into it is armed. */
#include <liburing.h>
#include <pthread.h>
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

struct connection {
	int fd;
	char input[256];
};

static void *worker(void *connection)
{
	free(connection);
	return NULL;
}

int main(void)
{
	struct io_uring ring;
	pthread_t thread;
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return 1;
	struct connection *connection = calloc(1, sizeof(*connection));
	connection->fd = fds[0];
	io_uring_prep_recv(io_uring_get_sqe(&ring), connection->fd, connection->input, sizeof(connection->input), 0);
	io_uring_submit(&ring);
	pthread_create(&thread, NULL, worker, connection);
	pthread_join(thread, NULL);
	send(fds[1], "late", 4, 0);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
