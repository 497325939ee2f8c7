/* SPDX-License-Identifier: MIT */
/*
 * Uses a ring rightly, says so, passes its input on and ends as told.
 * usage: innocent exit N | signal N | cat | environment
 */
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int nops(unsigned n)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;

	if (io_uring_queue_init(8, &ring, 0) < 0)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i + 1);
		if (io_uring_submit_and_wait(&ring, 1) != 1 || io_uring_peek_cqe(&ring, &cqe) < 0 ||
		    cqe->user_data != i + 1)
			return -1;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return 0;
}

static void cat(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin))
		fputs(line, stdout);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "exit";
	int number = argc > 2 ? atoi(argv[2]) : 0;

	if (nops(20) < 0) {
		fprintf(stderr, "innocent: the ring does not work\n");
		return 1;
	}
	printf("twenty requests\n");
	fprintf(stderr, "to the other stream\n");
	fflush(stdout);
	if (!strcmp(what, "signal"))
		raise(number);
	if (!strcmp(what, "cat"))
		cat();
	if (!strcmp(what, "environment"))
		printf("LD_PRELOAD seen by a child of the shell: %d\n", system("test -n \"$LD_PRELOAD\""));
	return number;
}
