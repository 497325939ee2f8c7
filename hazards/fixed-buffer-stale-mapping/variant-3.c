/* SPDX-License-Identifier: MIT */
/* A registered arena grows by realloc and moves: the registration is still that of the old place. */
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	char *arena = malloc(4096), *fence = malloc(4096);
	struct iovec vector = { arena, 4096 };
	int fd = memfd_create("data", 0);

	if (!arena || !fence || fd < 0 || ftruncate(fd, 1 << 20) || io_uring_queue_init(8, &ring, 0))
		return 1;
	memset(arena, 1, 4096);
	if (io_uring_register_buffers(&ring, &vector, 1))
		return 1;
	arena = realloc(arena, 1 << 20);
	if (!arena)
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read_fixed(sqe, fd, arena, 4096, 0, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit_and_wait(&ring, 1);
	if (io_uring_wait_cqe(&ring, &cqe) == 0)
		io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	free(arena);
	free(fence);
	return 0;
}
