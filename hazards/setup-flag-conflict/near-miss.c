/* SPDX-License-Identifier: MIT */
/* Tries a flag this kernel may not know, and does without it. */
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | 1u << 30 };
	struct io_uring ring;

	if (io_uring_queue_init_params(8, &ring, &params) < 0) {
		memset(&params, 0, sizeof(params));
		if (io_uring_queue_init_params(8, &ring, &params) < 0)
			return 1;
	}
	io_uring_queue_exit(&ring);
	return 0;
}
