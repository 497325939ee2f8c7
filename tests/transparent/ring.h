/* SPDX-License-Identifier: MIT */
/* What the programs here have in common. */
#pragma once

#include <errno.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void need(int condition, const char *what)
{
	if (condition)
		return;
	printf("failed: %s\n", what);
	fflush(stdout);
	_exit(1);
}

/* A NOP there and back. */
static inline void nop(struct io_uring *ring, uint64_t id)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int r;

	need(sqe != NULL, "an entry");
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, id);
	do
		r = io_uring_submit(ring);
	while (r == -EINTR);
	need(r == 1, "submitting one");
	do
		r = io_uring_wait_cqe(ring, &cqe);
	while (r == -EINTR);
	need(r == 0 && cqe->user_data == id && cqe->res == 0, "its completion");
	io_uring_cqe_seen(ring, cqe);
}
