/* SPDX-License-Identifier: MIT */
/* A polling thread, used as the contract says, by hand and through liburing: every request is done, with and without
 * naps in between. */
#include <fcntl.h>
#include <sched.h>

#include "ring.h"

enum { REQUESTS = 2000 };

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 10 };
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	unsigned submitted = 0, done = 0;

	need(io_uring_queue_init_params(64, &ring, &params) == 0, "a ring");
	need(params.flags & IORING_SETUP_SQPOLL, "it polls");
	while (done < REQUESTS) {
		struct io_uring_sqe *sqe;

		while (submitted < REQUESTS && submitted - done < 64 && (sqe = io_uring_get_sqe(&ring))) {
			io_uring_prep_nop(sqe);
			io_uring_sqe_set_data64(sqe, ++submitted);
		}
		need(io_uring_submit(&ring) >= 0, "submitting");
		if (submitted % 512 == 0)
			usleep(15000);
		/* Completions come before the entries are free again: nothing may be under way, and none to be had. */
		if (submitted == done) {
			sched_yield();
			continue;
		}
		need(io_uring_wait_cqe(&ring, &cqe) == 0, "waiting");
		do {
			need(cqe->res == 0, "a result");
			io_uring_cqe_seen(&ring, cqe);
			done++;
		} while (io_uring_peek_cqe(&ring, &cqe) == 0);
	}
	printf("%u requests\n", done);
	io_uring_queue_exit(&ring);
	return 0;
}
