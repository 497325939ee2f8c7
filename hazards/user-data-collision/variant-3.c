/* SPDX-License-Identifier: MIT */
/* Ids are a byte that counts up: after 255 short reads the long poll's is given out again. */
#include <liburing.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t last_id;

static uint8_t new_id(void)
{
	if (++last_id == 0)
		++last_id;
	return last_id;
}

static void reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	if (io_uring_wait_cqe(ring, &cqe) == 0)
		io_uring_cqe_seen(ring, cqe);
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int wakeup = eventfd(0, EFD_CLOEXEC), fd = memfd_create("data", MFD_CLOEXEC);
	char bytes[16];

	if (ftruncate(fd, sizeof(bytes)) || io_uring_queue_init(64, &ring, 0))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_add(sqe, wakeup, POLLIN);
	io_uring_sqe_set_data64(sqe, new_id());
	io_uring_submit(&ring);
	for (int i = 0; i < 255; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_read(sqe, fd, bytes, sizeof(bytes), 0);
		io_uring_sqe_set_data64(sqe, new_id());
		io_uring_submit(&ring);
		reap(&ring);
	}
	eventfd_write(wakeup, 1);
	reap(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
