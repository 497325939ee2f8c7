/* SPDX-License-Identifier: MIT */
/* A program looks at the ring's memory a few times, gives up and returns from main(). */
#include <liburing.h>
#include <unistd.h>

enum { TOTAL = 64 };

int main(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	for (int i = 0; i < TOTAL; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		if (!sqe) {
			io_uring_submit(&ring);
			sqe = io_uring_get_sqe(&ring);
		}
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i + 1);
	}
	io_uring_submit(&ring);
	for (unsigned done = 0, i = 0; i < 10 && done < TOTAL; i++) {
		unsigned n = io_uring_cq_ready(&ring);

		io_uring_cq_advance(&ring, n);
		done += n;
		if (!n)
			usleep(1000);
	}
	return 0;
}
