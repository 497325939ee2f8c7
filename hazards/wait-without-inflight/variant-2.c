/* SPDX-License-Identifier: MIT */
/* Waits for three at once while two are in flight. */
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;

	alarm(2);
	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i + 1);
	}
	io_uring_submit(&ring);
	if (io_uring_wait_cqes(&ring, &cqe, 3, NULL, NULL))
		return 1;
	io_uring_queue_exit(&ring);
	return 0;
}
