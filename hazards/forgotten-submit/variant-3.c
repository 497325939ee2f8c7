/* SPDX-License-Identifier: MIT */
/* The loop's first read is submitted, the next one only prepared. */
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	static char block[4096];
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int fd = memfd_create("data", 0);
	int64_t offset = 0;

	if (fd < 0 || ftruncate(fd, 4 * sizeof(block)) || io_uring_queue_init(4, &ring, 0))
		return 1;
	io_uring_prep_read(io_uring_get_sqe(&ring), fd, block, sizeof(block), 0);
	io_uring_submit(&ring);
	while (io_uring_wait_cqe(&ring, &cqe) == 0 && cqe->res > 0) {
		offset += cqe->res;
		io_uring_cqe_seen(&ring, cqe);
		io_uring_prep_read(io_uring_get_sqe(&ring), fd, block, sizeof(block), offset);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
