/* SPDX-License-Identifier: MIT */
/*
 * Two rings. One is handed over: only the child uses it. The other is shared on purpose: its cursors and what its
 * entries name are in memory that both have, and they take turns.
 */
#include <liburing.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int result = io_uring_wait_cqe(ring, &cqe);

	if (result)
		return result;
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

struct shared {
	struct io_uring ring;
	int done[4];
};

static void submit(struct shared *shared, int *done)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&shared->ring);

	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data(sqe, done);
	io_uring_submit(&shared->ring);
}

static void take(struct shared *shared)
{
	struct io_uring_cqe *cqe;

	if (io_uring_wait_cqe(&shared->ring, &cqe))
		return;
	*(int *)io_uring_cqe_get_data(cqe) = 1;
	io_uring_cqe_seen(&shared->ring, cqe);
}

/* Each submits, and the other takes the completion and does what it says. */
static void take_turns(struct shared *shared)
{
	io_uring_queue_init(8, &shared->ring, 0);
	for (int i = 0; i < 4; i += 2) {
		pid_t child;

		submit(shared, &shared->done[i]);
		child = fork();
		if (child == 0) {
			take(shared);
			submit(shared, &shared->done[i + 1]);
			_exit(0);
		}
		waitpid(child, NULL, 0);
		take(shared);
	}
	io_uring_queue_exit(&shared->ring);
}

int main(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct io_uring ring;
	pid_t child;

	if (shared == MAP_FAILED || io_uring_queue_init(8, &ring, 0))
		return 1;
	child = fork();
	if (child == 0) {
		io_uring_prep_nop(io_uring_get_sqe(&ring));
		io_uring_submit(&ring);
		reap(&ring);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	io_uring_queue_exit(&ring);
	take_turns(shared);
	return shared->done[0] + shared->done[1] + shared->done[2] + shared->done[3] != 4;
}
