/* SPDX-License-Identifier: MIT */
/* The peer's address lies in the frame of the function that arms the accept; a thread connects when that is gone. */
#include <arpa/inet.h>
#include <liburing.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in here = { .sin_family = AF_INET };

static void *connect_there(void *unused)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&here, sizeof(here)) == 0)
		close(fd);
	return NULL;
}

static void __attribute__((noinline)) arm(struct io_uring *ring, int listener)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_accept(sqe, listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(ring);
}

/* Keeps what the kernel writes into the frame that is gone away from what main() needs. */
static void __attribute__((noinline)) run(struct io_uring *ring)
{
	char room[4096];
	struct io_uring_cqe *cqe;
	pthread_t thread;

	__asm__ volatile("" : : "r"(room) : "memory");
	if (pthread_create(&thread, NULL, connect_there, NULL) == 0)
		pthread_join(thread, NULL);
	if (io_uring_wait_cqe(ring, &cqe) == 0) {
		if (cqe->res >= 0)
			close(cqe->res);
		io_uring_cqe_seen(ring, cqe);
	}
}

int main(void)
{
	struct io_uring ring;
	socklen_t length = sizeof(here);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&here, length) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&here, &length) || io_uring_queue_init(4, &ring, 0))
		return 1;
	arm(&ring, listener);
	run(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}
