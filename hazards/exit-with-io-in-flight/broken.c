/* SPDX-License-Identifier: MIT */
/* The ring is closed while reads from disk are in flight. */
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { N = 16, SIZE = 4 << 20 };

static int make_file(void)
{
	char path[] = "/var/tmp/hazard-XXXXXX";
	int fd = mkostemp(path, O_DIRECT);

	unlink(path);
	if (fd < 0 || ftruncate(fd, (off_t)N * SIZE) || fallocate(fd, 0, 0, (off_t)N * SIZE)) {
		fprintf(stderr, "no file system with O_DIRECT in /var/tmp\n");
		exit(77);
	}
	void *zeros = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(zeros, 1, SIZE);
	for (int i = 0; i < N; i++)
		pwrite(fd, zeros, SIZE, (off_t)i * SIZE);
	munmap(zeros, SIZE);
	return fd;
}

int main(void)
{
	struct io_uring ring;
	void *buffers[N];
	int fd = make_file();

	if (io_uring_queue_init(64, &ring, 0))
		return 1;
	for (int i = 0; i < N; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
		buffers[i] = aligned_alloc(4096, SIZE);
		io_uring_prep_read(sqe, fd, buffers[i], SIZE, (off_t)i * SIZE);
		io_uring_sqe_set_data64(sqe, 100 + i);
	}
	io_uring_submit(&ring);
	io_uring_queue_exit(&ring);
	sleep(1);
	return 0;
}
