/* SPDX-License-Identifier: MIT */
/* Three writes in flight at the file position: their order is open. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Waits at most a second for one completion and takes it. */
static int take_one(struct io_uring *ring)
{
	struct __kernel_timespec limit = { .tv_sec = 1 };
	struct io_uring_cqe *cqe;
	int res = io_uring_wait_cqe_timeout(ring, &cqe, &limit);

	if (res < 0)
		return res;
	res = cqe->res;
	printf("request %llu: %d\n", (unsigned long long)cqe->user_data, res);
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static int scratch_file(void)
{
	char name[] = "/tmp/scratch-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		exit(1);
	unlink(name);
	return fd;
}

int main(void)
{
	static const char *const lines[] = { "one\n", "two\n", "three\n" };
	struct io_uring ring;
	int fd = scratch_file();

	if (io_uring_queue_init(8, &ring, 0))
		return 1;

	for (int i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_write(sqe, fd, lines[i], (unsigned)strlen(lines[i]), -1);
		io_uring_sqe_set_data64(sqe, i + 1);
	}
	io_uring_submit(&ring);
	for (int i = 0; i < 3; i++)
		take_one(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
