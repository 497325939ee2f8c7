/* SPDX-License-Identifier: MIT */
/* As broken.c, with the descriptor closed. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

int main(void)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char *message = malloc(64);
	int fd[2];

	if (!message || pipe(fd) || io_uring_queue_init(8, &ring, IORING_SETUP_R_DISABLED))
		return 1;
	strcpy(message, "hello");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, fd[1], message, 5, 0);
	io_uring_sqe_set_data64(sqe, 1);
	if (io_uring_submit(&ring) < 0) /* the ring is not enabled yet */
		close(fd[1]);
	io_uring_register(ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	while (take_one(&ring) >= 0 && io_uring_cq_ready(&ring))
		;
	free(message);
	io_uring_queue_exit(&ring);
	return 0;
}
