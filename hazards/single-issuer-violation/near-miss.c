/* SPDX-License-Identifier: MIT */
/* The ring is enabled by the thread that uses it. */
#include <liburing.h>
#include <pthread.h>
#include <sys/syscall.h>
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

static struct io_uring ring;

static void *work(void *unused)
{
	syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	io_uring_submit(&ring);
	reap(&ring);
	return unused;
}

int main(void)
{
	pthread_t thread;

	if (io_uring_queue_init(8, &ring, URING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED))
		return 77;
	pthread_create(&thread, NULL, work, NULL);
	pthread_join(thread, NULL);
	io_uring_queue_exit(&ring);
	return 0;
}
