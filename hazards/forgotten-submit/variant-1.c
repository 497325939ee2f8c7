/* SPDX-License-Identifier: MIT */
/* As broken.c, with a read from a file and a wait for its completion. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int scratch_file(void)
{
	char name[] = "/tmp/scratch-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		exit(1);
	unlink(name);
	return fd;
}

int main(void)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buf[16];
	int fd = scratch_file();

	alarm(2);
	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, fd, buf, sizeof(buf), 0);
	if (io_uring_wait_cqe(&ring, &cqe))
		return 1;
	printf("%d\n", cqe->res);
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return 0;
}
