/* SPDX-License-Identifier: MIT */
/* A buffer is filled anew while it is still being sent. */
#include <liburing.h>
#include <sys/socket.h>
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

int main(void)
{
	struct io_uring ring;
	int in[2], out[2];
	static char buffer[1 << 20], sink[1 << 20];

	if (io_uring_queue_init(8, &ring, 0) || pipe(in) || socketpair(AF_UNIX, SOCK_STREAM, 0, out))
		return 1;
	io_uring_prep_send(io_uring_get_sqe(&ring), out[0], buffer, sizeof(buffer), MSG_WAITALL);
	io_uring_submit(&ring);
	io_uring_prep_read(io_uring_get_sqe(&ring), in[0], buffer, sizeof(buffer), 0);
	io_uring_submit(&ring);
	write(in[1], "new", 3);
	reap(&ring);
	for (size_t n = 0; n < sizeof(sink);)
		n += read(out[1], sink, sizeof(sink));
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
