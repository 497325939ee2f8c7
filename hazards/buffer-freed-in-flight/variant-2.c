/* SPDX-License-Identifier: MIT */
/* A mapped buffer behind an iovec is unmapped. */
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

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
	int fds[2];

	if (io_uring_queue_init(8, &ring, 0) || pipe(fds))
		return 1;
	char *buffer = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec part = { buffer + 4096, 4096 };
	io_uring_prep_readv(io_uring_get_sqe(&ring), fds[0], &part, 1, 0);
	io_uring_submit(&ring);
	munmap(buffer, 8192);
	write(fds[1], "late", 4);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
