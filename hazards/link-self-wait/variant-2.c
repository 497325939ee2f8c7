/* SPDX-License-Identifier: MIT */
/* Waits on a futex that the next member would wake. */
#include <errno.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { FUTEX_WAIT_OP = 51, FUTEX_WAKE_OP = 52, FUTEX_U32_PRIVATE = 2 | 128 };

/* liburing 2.3 has no helper for it. */
static void prep_futex(struct io_uring_sqe *sqe, int op, uint32_t *word, uint64_t value)
{
	io_uring_prep_rw(op, sqe, FUTEX_U32_PRIVATE, word, 0, value);
	((uint64_t *)sqe)[6] = UINT32_MAX; /* mask */
}

int main(void)
{
	static uint32_t word;
	struct io_uring ring;
	struct io_uring_sqe *sqe;

	alarm(4);
	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	prep_futex(sqe, FUTEX_WAIT_OP, &word, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	prep_futex(sqe, FUTEX_WAKE_OP, &word, 1);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		if (cqe->res == -EINVAL) {
			fputs("this kernel has no futex operations (Linux 6.7)\n", stderr);
			return 77;
		}
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
