/* SPDX-License-Identifier: MIT */
/* The result of waitid is written when the child ends. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
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

int main(void)
{
	struct io_uring ring;
	siginfo_t *info = calloc(1, sizeof(*info));
	pid_t child;
	int hold[2];

	if (pipe(hold))
		return 1;
	child = fork();
	if (child == 0) {
		char c;
		close(hold[1]);
		_exit(read(hold[0], &c, 1) != 0);
	}
	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	sqe->opcode = URING_OP_WAITID;
	sqe->fd = child;
	sqe->len = P_PID;
	sqe->file_index = WEXITED;
	sqe->off = (unsigned long)info;
	io_uring_submit(&ring);
	free(info);
	close(hold[1]);
	if (reap(&ring) == -EINVAL) {
		fprintf(stderr, "the kernel has no WAITID\n");
		return 77;
	}
	io_uring_queue_exit(&ring);
	return 0;
}
