/* SPDX-License-Identifier: MIT */
/* As broken.c, with PROVIDE_BUFFERS. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Waits at most a second for one completion and takes it. */
static int take_one(struct io_uring *ring)
{
	struct __kernel_timespec limit = { .tv_sec = 1 };
	struct io_uring_cqe *cqe;
	int res = io_uring_wait_cqe_timeout(ring, &cqe, &limit);

	if (res < 0)
		return res;
	res = cqe->res;
	printf("request %llu: %d\n", (unsigned long long)cqe->user_data, res);
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static char memory[4][64];

static void provide(struct io_uring *ring, int first, int n)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_provide_buffers(sqe, memory[first], sizeof(memory[0]), n, 1, first);
	io_uring_sqe_set_data64(sqe, 100);
	io_uring_submit(ring);
	take_one(ring);
}

int main(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	provide(&ring, 0, 4);
	provide(&ring, 2, 1);
	io_uring_queue_exit(&ring);
	return 0;
}
