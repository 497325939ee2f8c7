/* SPDX-License-Identifier: MIT */
/* A server with a multishot accept flushes its log with IOSQE_IO_DRAIN: the flush never runs. */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A listener on a port of the loopback interface. */
static int listener(struct sockaddr_in *ret_address)
{
	socklen_t length = sizeof(*ret_address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*ret_address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(fd, (struct sockaddr *)ret_address, length) || listen(fd, 8) ||
	    getsockname(fd, (struct sockaddr *)ret_address, &length))
		return -1;
	return fd;
}

/* A file without a name. */
static int temporary(const char *content)
{
	int fd = memfd_create("file", 0);

	if (fd >= 0 && *content && write(fd, content, strlen(content)) < 0)
		return -1;
	return fd;
}

int main(void)
{
	struct sockaddr_in address;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int server = listener(&address), log = temporary("");

	alarm(4);
	if (server < 0 || log < 0 || io_uring_queue_init(8, &ring, 0))
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_multishot_accept(sqe, server, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_fsync(sqe, log, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_DRAIN);
	io_uring_sqe_set_data64(sqe, 2);
	io_uring_submit(&ring);
	if (io_uring_wait_cqe(&ring, &cqe))
		return 1;
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return 0;
}
