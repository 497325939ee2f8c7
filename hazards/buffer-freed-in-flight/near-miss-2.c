/* SPDX-License-Identifier: MIT */
/* Buffers on the stack of functions that have not returned, while the program writes, sleeps and starts a thread. */
#include <liburing.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static int fds[2];

static void *writer(void *unused)
{
	return write(fds[1], "x", 1) == 1 ? NULL : &fds;
}

static void __attribute__((noinline)) deep(int depth)
{
	volatile char frame[256];
	struct timespec moment = { .tv_nsec = 1000 };
	pthread_t thread;

	frame[0] = (char)depth;
	if (depth)
		deep(depth - 1);
	nanosleep(&moment, NULL);
	if (depth == 3 && pthread_create(&thread, NULL, writer, NULL) == 0)
		pthread_join(thread, NULL);
	frame[1] = frame[0];
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	char line[512];

	if (pipe(fds) || io_uring_queue_init(4, &ring, 0))
		return 1;
	for (int i = 0; i < 10; i++) {
		io_uring_prep_read(io_uring_get_sqe(&ring), fds[0], line, sizeof(line), 0);
		io_uring_submit(&ring);
		deep(5);
		if (io_uring_wait_cqe(&ring, &cqe) == 0)
			io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
