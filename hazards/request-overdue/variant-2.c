/* SPDX-License-Identifier: MIT */
/* Reads a timer that takes three seconds. */
#include <liburing.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

int main(void)
{
	struct itimerspec when = { .it_value.tv_sec = 3 };
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	static uint64_t expired;
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);

	alarm(8);
	if (timerfd_settime(timer, 0, &when, NULL) || io_uring_queue_init(8, &ring, 0))
		return 1;

	io_uring_prep_read(io_uring_get_sqe(&ring), timer, &expired, sizeof(expired), 0);
	io_uring_submit(&ring);
	if (io_uring_wait_cqe(&ring, &cqe))
		return 1;
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return 0;
}
