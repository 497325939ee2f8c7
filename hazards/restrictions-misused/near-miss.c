/* SPDX-License-Identifier: MIT */
/* EACCES too, but of a file: an allowed OPENAT for execution of a directory's contents that nobody may write. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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
	struct io_uring_restriction list[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_OPENAT },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_ENABLE_RINGS },
	};
	struct io_uring ring;
	int res;

	if (io_uring_queue_init(8, &ring, IORING_SETUP_R_DISABLED) || (int)syscall(427, ring.ring_fd, IORING_REGISTER_RESTRICTIONS, list, 2) ||
	    syscall(427, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return 77;
	if (geteuid() == 0 && seteuid(65534))
		return 77;
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/etc/shadow", O_RDONLY, 0);
	res = run(&ring);
	io_uring_queue_exit(&ring);
	return res == -EACCES ? 0 : 1;
}
