/* SPDX-License-Identifier: MIT */
/* Both together. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
	struct io_uring ring;
	int res;

	res = io_uring_queue_init_params(8, &ring, &params);
	if (res < 0) {
		fprintf(stderr, "no ring: %s\n", strerror(-res));
		return 1;
	}
	io_uring_queue_exit(&ring);
	return 0;
}
