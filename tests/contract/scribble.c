/* SPDX-License-Identifier: MIT */
/*
 * Writes nonsense over memory that Circlip reads: its own ring (the entries, the indices of the completion queue) or
 * every writable mapping it shares with the reader. It must still be able to end by itself. usage: scribble ring|events
 * SEED
 */
#include <inttypes.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t state;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void use(struct io_uring *ring, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		if (!sqe)
			return;
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i);
	}
	io_uring_submit(ring);
}

/* Random entries, as far as they cannot block or harm: the kernel refuses or fails them. */
static void scribble_entries(struct io_uring *ring)
{
	struct io_uring_sqe *sqe;

	while ((sqe = io_uring_get_sqe(ring))) {
		uint64_t *words = (uint64_t *)sqe;

		for (size_t i = 0; i < sizeof(*sqe) / sizeof(*words); i++)
			words[i] = next_random();
		sqe->fd = -1 - (int)(next_random() % 1000);
		sqe->flags &= ~(IOSQE_FIXED_FILE | IOSQE_IO_DRAIN);
		if (sqe->opcode < IORING_OP_LAST + 16)
			sqe->opcode = 200 + (uint8_t)(next_random() % 50);
	}
	io_uring_submit(ring);
}

static void scribble_ring(void)
{
	struct io_uring ring;

	for (int round = 0; round < 50; round++) {
		if (io_uring_queue_init(16, &ring, 0) < 0)
			exit(1);
		use(&ring, 8);
		scribble_entries(&ring);
		*ring.cq.khead = (unsigned)next_random();
		use(&ring, 4);
		*ring.cq.ktail = (unsigned)next_random();
		use(&ring, 4);
		*ring.sq.ktail = (unsigned)next_random();
		*ring.sq.khead = (unsigned)next_random();
		use(&ring, 4);
		memset(ring.cq.cqes, (int)next_random(), 16 * sizeof(struct io_uring_cqe));
		use(&ring, 4);
		close(ring.ring_fd);
	}
}

static void scribble_range(uintptr_t low, uintptr_t high)
{
	for (int i = 0; i < 20000; i++) {
		uintptr_t at = low + next_random() % (high - low - 8);

		*(volatile uint64_t *)(at & ~(uintptr_t)7) = next_random() >> (next_random() % 64);
	}
	/* the beginning is where descriptions of what follows tend to lie */
	for (uintptr_t at = low; at < low + 512 && at < high; at += 8)
		*(volatile uint64_t *)at = next_random();
}

/* Mappings shared with somebody else that can be written: name holds memfd, shm or circlip. */
static int scribble_events(void)
{
	char line[4096];
	FILE *maps = fopen("/proc/self/maps", "r");
	int n = 0;

	while (maps && fgets(line, sizeof(line), maps)) {
		uintptr_t low, high;
		char mode[8];

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &low, &high, mode) != 3)
			continue;
		if (mode[1] != 'w' || mode[3] != 's' || strstr(line, "io_uring"))
			continue;
		scribble_range(low, high);
		n++;
	}
	if (maps)
		fclose(maps);
	return n;
}

int main(int argc, char **argv)
{
	struct io_uring ring;

	state = (argc > 2 ? strtoull(argv[2], NULL, 0) : 1) * UINT64_C(0x9e3779b97f4a7c15) + 1;
	if (argc > 1 && !strcmp(argv[1], "ring")) {
		scribble_ring();
		return 0;
	}
	if (io_uring_queue_init(16, &ring, 0) < 0)
		return 1;
	use(&ring, 8);
	fprintf(stderr, "%d shared mappings\n", scribble_events());
	use(&ring, 8);
	_exit(0);
}
