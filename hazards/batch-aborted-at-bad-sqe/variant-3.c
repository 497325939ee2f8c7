/* SPDX-License-Identifier: MIT */
/* An entry names credentials that nobody registered; the count that io_uring_submit_and_wait() returns is ignored. */
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCKS = 6, BLOCK = 512 };

int main(void)
{
	static char blocks[BLOCKS][BLOCK];
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int fd = memfd_create("data", 0);

	if (fd < 0 || ftruncate(fd, sizeof(blocks)) || io_uring_queue_init(8, &ring, 0))
		return 1;
	for (int i = 0; i < BLOCKS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_read(sqe, fd, blocks[i], BLOCK, (uint64_t)i * BLOCK);
		io_uring_sqe_set_data64(sqe, i + 1);
		if (i == 1)
			sqe->personality = 7;
	}
	io_uring_submit_and_wait(&ring, BLOCKS);
	for (int i = 0; i < BLOCKS; i++)
		if (io_uring_wait_cqe(&ring, &cqe) == 0)
			io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return 0;
}
