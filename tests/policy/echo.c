/* SPDX-License-Identifier: MIT */
/*
 * A server and its client in one process, with what servers use: SOCKET and multishot accept, buffers from a ring of
 * them, linked timeouts, registered files, a poll, cancellation, a file that is served. Says what came of each.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GROUP = 3, BUFFERS = 8, BYTES = 256 };

static struct io_uring ring;

/* Submits what is there and says the result of the request with that number. */
static int result(const char *what, unsigned number)
{
	struct io_uring_cqe *cqe;
	int res = -1;

	io_uring_submit(&ring);
	do {
		if (io_uring_wait_cqe(&ring, &cqe) < 0)
			return -1;
		if (cqe->user_data == number)
			res = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	} while (cqe->user_data != number);
	printf("%s: %d\n", what, res < 0 ? res : 0);
	return res;
}

static struct io_uring_sqe *next(void)
{
	return io_uring_get_sqe(&ring);
}

static void *client(void *context)
{
	struct sockaddr_in *address = context;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[BYTES];

	if (connect(fd, (struct sockaddr *)address, sizeof(*address)) == 0 && write(fd, "hello", 5) == 5)
		while (read(fd, text, sizeof(text)) > 0)
			;
	close(fd);
	return NULL;
}

static int listening(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	struct io_uring_sqe *sqe = next();
	int fd;

	io_uring_prep_socket(sqe, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0);
	sqe->user_data = 1;
	fd = result("socket", 1);
	if (fd < 0)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* as a program that falls back */
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)address, length) || listen(fd, 8) ||
	    getsockname(fd, (struct sockaddr *)address, &length))
		exit(1);
	return fd;
}

static void serve(int fd, struct io_uring_buf_ring *buffers, char (*memory)[BYTES])
{
	struct __kernel_timespec second = { .tv_sec = 5 };
	struct io_uring_sqe *sqe = next();
	int slot = fd, file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	printf("files: %d\n", io_uring_register_files(&ring, &slot, 1));
	io_uring_prep_recv(sqe, 0, NULL, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_IO_LINK;
	sqe->buf_group = GROUP;
	sqe->user_data = 3;
	sqe = next();
	io_uring_prep_link_timeout(sqe, &second, 0);
	sqe->user_data = 4;
	result("recv", 3);
	sqe = next();
	io_uring_prep_read(sqe, file, memory[0], BYTES, 0);
	sqe->user_data = 5;
	result("read", 5);
	sqe = next();
	io_uring_prep_send(sqe, fd, memory[0], BYTES, MSG_NOSIGNAL);
	sqe->user_data = 6;
	result("send", 6);
	sqe = next();
	io_uring_prep_shutdown(sqe, fd, SHUT_WR);
	sqe->user_data = 7;
	result("shutdown", 7);
}

static void give_up(void)
{
	struct io_uring_sqe *sqe = next();
	int event = eventfd(0, EFD_CLOEXEC);

	io_uring_prep_poll_add(sqe, event, POLLIN);
	sqe->user_data = 8;
	io_uring_submit(&ring);
	sqe = next();
	io_uring_prep_cancel64(sqe, 8, 0);
	sqe->user_data = 9;
	result("cancel", 9);
}

int main(void)
{
	static char memory[BUFFERS][BYTES];
	struct io_uring_buf_reg reg = { .ring_entries = BUFFERS, .bgid = GROUP };
	struct sockaddr_in address = { 0 };
	struct io_uring_buf_ring *buffers = aligned_alloc(4096, 4096);
	struct io_uring_sqe *sqe;
	pthread_t thread;
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	memset(buffers, 0, 4096);
	if (io_uring_queue_init(32, &ring, IORING_SETUP_SINGLE_ISSUER) < 0)
		return 1;
	reg.ring_addr = (unsigned long)buffers;
	printf("buffers: %d\n", io_uring_register_buf_ring(&ring, &reg, 0));
	for (int i = 0; i < BUFFERS; i++)
		io_uring_buf_ring_add(buffers, memory[i], BYTES, (unsigned short)i, BUFFERS - 1, i);
	io_uring_buf_ring_advance(buffers, BUFFERS);
	fd = listening(&address);
	pthread_create(&thread, NULL, client, &address);
	sqe = next();
	io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = 2;
	fd = result("accept", 2);
	if (fd < 0)
		exit(2);
	serve(fd, buffers, memory);
	give_up();
	close(fd);
	pthread_join(thread, NULL);
	io_uring_queue_exit(&ring);
	free(buffers);
	return 0;
}
