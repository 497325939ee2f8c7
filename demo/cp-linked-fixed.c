/* SPDX-License-Identifier: MIT */
/*
 * cp-linked FROM TO: copies a file with pairs of linked requests. For every block a READ and, linked behind it, a WRITE
 * of the same buffer, sixteen blocks at a time; the kernel starts each write when its read is done, without coming back
 * here in between.
 *
 * The repaired cp-linked.c: a block's memory is given back when its write is done, not when its read is.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4096, BLOCKS_AT_ONCE = 16 };

/* The lowest bit of user_data says which of a block's two requests it is. */
enum { BLOCK_READ = 0, BLOCK_WRITE = 1 };

struct block {
	char *data;
	unsigned length;
	off_t offset;
};

struct copy {
	struct io_uring ring;
	int from, to;
	off_t size, next;   /* of the file; where the next block starts */
	unsigned in_flight; /* requests */
};

static void fail(const char *what, int error)
{
	fprintf(stderr, "cp-linked: %s: %s\n", what, strerror(error));
	exit(1);
}

static void block_start(struct copy *copy)
{
	char *data = malloc(BLOCK_BYTES);
	struct block *block = malloc(sizeof(*block));
	struct io_uring_sqe *sqe;

	if (!data || !block)
		fail("a block", ENOMEM);
	block->data = data;
	block->offset = copy->next;
	block->length = copy->size - copy->next < BLOCK_BYTES ? copy->size - copy->next : BLOCK_BYTES;
	copy->next += block->length;

	sqe = io_uring_get_sqe(&copy->ring);
	io_uring_prep_read(sqe, copy->from, block->data, block->length, block->offset);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, (uintptr_t)block | BLOCK_READ);

	sqe = io_uring_get_sqe(&copy->ring);
	io_uring_prep_write(sqe, copy->to, block->data, block->length, block->offset);
	io_uring_sqe_set_flags(sqe, IOSQE_ASYNC); /* a slow disk must not hold up the blocks behind this one */
	io_uring_sqe_set_data64(sqe, (uintptr_t)block | BLOCK_WRITE);
	copy->in_flight += 2;
}

static void block_done(uint64_t user_data, int result)
{
	struct block *block = (struct block *)(uintptr_t)(user_data & ~(uint64_t)BLOCK_WRITE);
	int which = user_data & BLOCK_WRITE;

	if (result < 0)
		fail(which == BLOCK_READ ? "reading" : "writing", -result);
	if ((unsigned)result != block->length)
		fail(which == BLOCK_READ ? "reading" : "writing", EIO);
	if (which == BLOCK_READ)
		return;
	free(block->data);
	free(block);
}

static void copy_run(struct copy *copy)
{
	struct io_uring_cqe *cqe;

	while (copy->next < copy->size || copy->in_flight) {
		int r;

		while (copy->next < copy->size && copy->in_flight + 2 <= 2 * BLOCKS_AT_ONCE)
			block_start(copy);
		r = io_uring_submit_and_wait(&copy->ring, 1);
		if (r < 0)
			fail("submitting", -r);
		while (io_uring_peek_cqe(&copy->ring, &cqe) == 0) {
			block_done(cqe->user_data, cqe->res);
			io_uring_cqe_seen(&copy->ring, cqe);
			copy->in_flight--;
		}
	}
}

int main(int argc, char **argv)
{
	struct copy copy = { 0 };
	struct stat st;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: cp-linked FROM TO\n");
		return 2;
	}
	copy.from = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (copy.from < 0 || fstat(copy.from, &st) < 0)
		fail(argv[1], errno);
	copy.to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (copy.to < 0)
		fail(argv[2], errno);
	copy.size = st.st_size;
	r = io_uring_queue_init(2 * BLOCKS_AT_ONCE, &copy.ring, 0);
	if (r < 0)
		fail("io_uring", -r);
	copy_run(&copy);
	io_uring_queue_exit(&copy.ring);
	if (close(copy.to) < 0)
		fail(argv[2], errno);
	close(copy.from);
	return 0;
}
