/* SPDX-License-Identifier: MIT */
/* As broken.c, with reads from a file. */
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes what lies in the ring's memory; enters the kernel for nothing. */
static unsigned reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	io_uring_for_each_cqe(ring, head, cqe) n++;
	io_uring_cq_advance(ring, n);
	return n;
}

int main(void)
{
	struct io_uring ring;
	unsigned n = 0;
	char buf[20][8];
	int fd = open("/dev/zero", O_RDWR);

	if (io_uring_queue_init(4, &ring, 0))
		return 1;

	for (int i = 0; i < 20; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_read(sqe, fd, buf[i], sizeof(buf[i]), 0);
		io_uring_sqe_set_data64(sqe, i + 1);
		if (i % 4 == 3)
			io_uring_submit(&ring);
	}
	n += reap(&ring);
	n += reap(&ring);
	printf("%u of 20\n", n);
	io_uring_queue_exit(&ring);
	return 0;
}
