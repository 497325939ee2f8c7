/* SPDX-License-Identifier: MIT */
/* A completion ring smaller than the submission ring. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE };
	struct io_uring ring;
	int res;

	params.cq_entries = 4;
	res = io_uring_queue_init_params(64, &ring, &params);
	if (res < 0) {
		fprintf(stderr, "no ring: %s\n", strerror(-res));
		return 1;
	}
	io_uring_queue_exit(&ring);
	return 0;
}
