/* SPDX-License-Identifier: MIT */
/*
 * One value for several requests on purpose: a job that reads two files at once and counts down; and slot numbers that
 * go round, each given out again only when its request has ended.
 */
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 20, ROUNDS = 5 };

struct job {
	int pending;
	char halves[2][64];
};

static uint64_t reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	uint64_t data = 0;

	if (io_uring_wait_cqe(ring, &cqe) == 0) {
		data = cqe->user_data;
		io_uring_cqe_seen(ring, cqe);
	}
	return data;
}

static void start(struct io_uring *ring, int fd, void *to, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, fd, to, 64, 0);
	io_uring_sqe_set_data64(sqe, data);
}

int main(void)
{
	int pipes[2][2];
	static char slots[SLOTS][64];
	struct io_uring ring;
	struct job job = { .pending = 2 };
	int file = memfd_create("data", MFD_CLOEXEC);

	if (pipe(pipes[0]) || pipe(pipes[1]) || ftruncate(file, 64) || io_uring_queue_init(SLOTS, &ring, 0))
		return 1;
	start(&ring, pipes[0][0], job.halves[0], (uintptr_t)&job);
	io_uring_submit(&ring);
	start(&ring, pipes[1][0], job.halves[1], (uintptr_t)&job);
	io_uring_submit(&ring);
	for (int i = 0; i < SLOTS * ROUNDS; i += SLOTS) {
		for (int k = 0; k < SLOTS; k++)
			start(&ring, file, slots[k], k + 1);
		io_uring_submit(&ring);
		for (int k = 0; k < SLOTS; k++)
			reap(&ring);
	}
	if (write(pipes[0][1], "one", 3) != 3 || write(pipes[1][1], "two", 3) != 3)
		return 1;
	while (job.pending)
		((struct job *)(uintptr_t)reap(&ring))->pending--;
	io_uring_queue_exit(&ring);
	return 0;
}
