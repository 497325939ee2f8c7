/* SPDX-License-Identifier: MIT */
/* Its list forgets WRITE. */
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int restrict_to_read(struct io_uring *ring)
{
	struct io_uring_restriction list[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_ENABLE_RINGS },
	};

	return (int)syscall(427, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, list, 3);
}

static int run(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int res = io_uring_submit_and_wait(ring, 1);

	if (res < 0 || io_uring_peek_cqe(ring, &cqe))
		return 1;
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

int main(void)
{
	struct io_uring ring;
	int res;

	if (io_uring_queue_init(8, &ring, IORING_SETUP_R_DISABLED) || restrict_to_read(&ring) || syscall(427, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return 77;
	io_uring_prep_write(io_uring_get_sqe(&ring), 1, "written\n", 8, -1);
	res = run(&ring);
	io_uring_queue_exit(&ring);
	return res == -EACCES ? 0 : 1;
}
