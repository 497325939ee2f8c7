/* SPDX-License-Identifier: MIT */
/* Another thread gives the buffer up once it was told of the cancellation; the ring defers completions. */
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
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

static void *release(void *buffer)
{
	free(buffer);
	return NULL;
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	pthread_t thread;
	int fds[2];

	if (pipe(fds) || io_uring_queue_init(8, &ring, IORING_SETUP_SINGLE_ISSUER | URING_SETUP_DEFER_TASKRUN))
		return 77;
	char *buffer = malloc(64);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, fds[0], buffer, 64, 0);
	io_uring_sqe_set_data64(sqe, 100);
	io_uring_submit(&ring);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_cancel64(sqe, 100, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring);
	if (io_uring_peek_cqe(&ring, &cqe) || cqe->user_data != 1)
		return 1;
	io_uring_cqe_seen(&ring, cqe);
	pthread_create(&thread, NULL, release, buffer);
	pthread_join(thread, NULL);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
