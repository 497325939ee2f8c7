/* SPDX-License-Identifier: MIT */
/* The same, repaired. */
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
	char *buffer = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec part = { buffer, 4096 };
	if (io_uring_register_buffers(&ring, &part, 1))
		return 1;
	io_uring_unregister_buffers(&ring);
	munmap(buffer, 4096);
	mmap(buffer, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (io_uring_register_buffers(&ring, &part, 1))
		return 1;
	write(fds[1], "data", 4);
	io_uring_prep_read_fixed(io_uring_get_sqe(&ring), fds[0], buffer, 4096, 0, 0);
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
