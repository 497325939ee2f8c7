/* SPDX-License-Identifier: MIT */
/* A scrubber: reads a file only to learn whether it can be read, 32 at a time, all into one place. */
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEPTH = 32, BLOCK = 4096, BLOCKS = 512 };

static int file_to_scrub(void)
{
	char name[] = "scrub-XXXXXX";
	static char block[BLOCK];
	int fd = mkstemp(name);

	if (fd < 0)
		exit(1);
	for (int i = 0; i < BLOCKS; i++)
		if (write(fd, block, BLOCK) != BLOCK)
			exit(1);
	unlink(name);
	return fd;
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int next = 0, open = 0, bad = 0, fd = file_to_scrub();
	void *sink = aligned_alloc(BLOCK, BLOCK);

	if (!sink || io_uring_queue_init(DEPTH, &ring, 0))
		return 1;
	while (next < BLOCKS || open) {
		for (; next < BLOCKS && open < DEPTH; next++, open++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			io_uring_prep_read(sqe, fd, sink, BLOCK, (__u64)next * BLOCK);
			io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
			io_uring_sqe_set_data64(sqe, next);
			io_uring_submit(&ring);
		}
		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		bad += cqe->res != BLOCK;
		io_uring_cqe_seen(&ring, cqe);
		open--;
	}
	io_uring_queue_exit(&ring);
	free(sink);
	return bad != 0;
}
