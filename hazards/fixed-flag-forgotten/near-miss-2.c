/* SPDX-License-Identifier: MIT */
/* Standard input is read on purpose, before the file that was opened into slot 0 is. */
#include <fcntl.h>
#include <liburing.h>

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

int main(void)
{
	static char command[64], bytes[64];
	struct io_uring ring;

	if (io_uring_queue_init(8, &ring, 0) || io_uring_register_files_sparse(&ring, 4))
		return 77;
	io_uring_prep_openat_direct(io_uring_get_sqe(&ring), AT_FDCWD, "/etc/passwd", O_RDONLY, 0, 0);
	io_uring_submit(&ring);
	if (reap(&ring))
		return 1;
	io_uring_prep_read(io_uring_get_sqe(&ring), 0, command, sizeof(command), 0);
	io_uring_submit(&ring);
	reap(&ring);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, 0, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_submit(&ring);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
