/* SPDX-License-Identifier: MIT */
/* A ring for each worker of a pool. */
#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int make(struct io_uring *ring, unsigned flags, int other)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL | flags, .sq_thread_idle = 1, .wq_fd = (unsigned)other };

	return io_uring_queue_init_params(8, ring, &params);
}

static int use(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	io_uring_submit(ring);
	if (io_uring_wait_cqe(ring, &cqe))
		return 1;
	io_uring_cqe_seen(ring, cqe);
	return 0;
}

static pthread_barrier_t all;

static void *work(void *unused)
{
	struct io_uring ring;
	int made = make(&ring, 0, 0);

	(void)unused;
	pthread_barrier_wait(&all);
	if (made == 0) {
		use(&ring);
		io_uring_queue_exit(&ring);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[2];

	pthread_barrier_init(&all, NULL, 2);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
