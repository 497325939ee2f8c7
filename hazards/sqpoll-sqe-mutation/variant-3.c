/* SPDX-License-Identifier: MIT */
/* One entry alone: its offset is moved on "for the next write" right after it was submitted. */
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

static void reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	if (io_uring_wait_cqe(ring, &cqe) == 0)
		io_uring_cqe_seen(ring, cqe);
}

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 50 };
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int fd = memfd_create("data", 0);

	if (fd < 0 || io_uring_queue_init_params(8, &ring, &params))
		return 77;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, fd, "data", 4, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring);
	sqe->off += 4;
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
