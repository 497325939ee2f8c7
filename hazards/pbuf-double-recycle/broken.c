/* SPDX-License-Identifier: MIT */
/* Gives a buffer back in the handler and once more at the end of the loop. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct io_uring_buf_ring *buffers;
static char memory[4][64];

static void give(int id)
{
	io_uring_buf_ring_add(buffers, memory[id], sizeof(memory[id]), (unsigned short)id, io_uring_buf_ring_mask(4),
			      0);
	io_uring_buf_ring_advance(buffers, 1);
}

static void make_buffers(struct io_uring *ring, int n)
{
	struct io_uring_buf_reg reg = { .ring_entries = 4, .bgid = 1 };
	void *page;

	if (posix_memalign(&page, 4096, 4096))
		exit(1);
	memset(page, 0, 4096);
	buffers = page;
	reg.ring_addr = (unsigned long)page;
	if (io_uring_register_buf_ring(ring, &reg, 0)) {
		fprintf(stderr, "needs provided-buffer rings\n");
		exit(77);
	}
	io_uring_buf_ring_init(buffers);
	for (int i = 0; i < n; i++)
		give(i);
}

/* Waits at most a second for one completion, takes it and gives its buffer back; its flags, or a negative error. */
static int take(struct io_uring *ring, int recycle)
{
	struct __kernel_timespec limit = { .tv_sec = 1 };
	struct io_uring_cqe *cqe;
	int res = io_uring_wait_cqe_timeout(ring, &cqe, &limit), flags;

	if (res < 0)
		return res;
	flags = (int)(cqe->flags & 0xffff);
	printf("%d%s\n", cqe->res, flags & IORING_CQE_F_MORE ? " and more to come" : "");
	if (recycle && (cqe->flags & IORING_CQE_F_BUFFER))
		give((int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT));
	io_uring_cqe_seen(ring, cqe);
	return flags;
}

static void arm_once(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_recv(sqe, fd, NULL, 64, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 1;
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(ring);
}

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		exit(1);
}

int main(void)
{
	struct io_uring ring;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		return 1;
	if (io_uring_queue_init(8, &ring, 0))
		return 1;
	make_buffers(&ring, 4);
	for (int i = 0; i < 3; i++) {
		arm_once(&ring, fd[0]);
		say(fd[1], "message");
		take(&ring, 1);
		if (i == 1)
			give(1);
	}
	io_uring_queue_exit(&ring);
	return 0;
}
