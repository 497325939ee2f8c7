/* SPDX-License-Identifier: MIT */
/* Asks for everything at once and drops flags until the kernel agrees: DEFER_TASKRUN does not go with SQPOLL. */
#include <liburing.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	static const unsigned wishes[] = { IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER };
	unsigned flags = IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	struct io_uring_params params = { .flags = flags };
	struct io_uring ring;
	int res = io_uring_queue_init_params(8, &ring, &params);

	for (unsigned i = 0; res == -EINVAL && i < 2; i++) {
		flags &= ~wishes[i];
		memset(&params, 0, sizeof(params));
		params.flags = flags;
		res = io_uring_queue_init_params(8, &ring, &params);
	}
	if (res < 0) {
		fprintf(stderr, "no ring: %s\n", strerror(-res));
		return 1;
	}
	io_uring_queue_exit(&ring);
	return 0;
}
