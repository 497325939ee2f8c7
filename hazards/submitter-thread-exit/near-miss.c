/* SPDX-License-Identifier: MIT */
/* The request of the worker has completed when it ends. */
#include <liburing.h>
#include <pthread.h>
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

static int fds[2];
static char buffer[64];
static struct io_uring ring;

static void *work(void *unused)
{
	write(fds[1], "data", 4);
	io_uring_prep_read(io_uring_get_sqe(&ring), fds[0], buffer, 64, 0);
	io_uring_submit(&ring);
	return unused;
}

int main(void)
{
	pthread_t thread;

	if (io_uring_queue_init(8, &ring, 0))
		return 77;
	if (pipe(fds))
		return 1;
	pthread_create(&thread, NULL, work, NULL);
	pthread_join(thread, NULL);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
