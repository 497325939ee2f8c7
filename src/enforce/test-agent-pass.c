/* SPDX-License-Identifier: MIT */
/* Descriptors and lines that come in larger numbers than they should, and readers that do not read. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "enforce/agent-log.h"
#include "enforce/agent-pass.h"

static size_t open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* As many as a caller likes, in one message. */
static void send_many(int to, size_t n)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * 64)];
	} control = { .header = { CMSG_LEN(sizeof(int) * n), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec part = { "x", 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(sizeof(int) * n) };

	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &(int){ STDIN_FILENO }, sizeof(int));
	assert_int_equal(sendmsg(to, &message, 0), 1);
}

static void passes_one(void **state)
{
	int pair[2], fd = -1;
	size_t n_fds = 0;
	char text[8];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(agent_pass(pair[0], "hello", 5, STDIN_FILENO), 0);
	assert_int_equal(agent_pass_receive(pair[1], text, sizeof text, &fd, 1, &n_fds), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(n_fds, 1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(agent_pass_receive(pair[1], text, sizeof text, &fd, 1, &n_fds), -EAGAIN);
	close(fd);
	close(pair[0]);
	assert_int_equal(agent_pass_receive(pair[1], text, sizeof text, NULL, 0, &n_fds), 0);
	assert_int_equal(agent_pass(pair[1], "x", 1, -1), -EPIPE);
	close(pair[1]);
}

static void keeps_no_more_than_asked(void **state)
{
	static const size_t counts[] = { 5, 31, 60 }; /* the last does not even fit into one call's room */

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		size_t before = open_descriptors(), n_fds = 1;
		int pair[2], fds[4] = { -1 };
		char text[8];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
		send_many(pair[0], counts[i]);
		assert_int_equal(agent_pass_receive(pair[1], text, sizeof text, fds, 4, &n_fds), -E2BIG);
		assert_int_equal(n_fds, 4);
		for (size_t j = 1; j < n_fds; j++)
			close(fds[j]);
		close(pair[0]);
		close(pair[1]);
		assert_int_equal(open_descriptors(), before);
	}
}

static void log_never_waits(void **state)
{
	char text[4096];
	int ends[2];
	struct agent_log log;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	log = (struct agent_log){ .fd = ends[1] };
	for (int i = 0; i < 10000; i++)
		agent_log(&log, AGENT_INFO, "much", "s:s", "text", "0123456789012345678901234567890123456789");
	assert_true(log.dropped > 1000);
	while (read(ends[0], text, sizeof text) > 0)
		;
	agent_log(&log, AGENT_ERROR, "after", "s:i", "n", 7);
	memset(text, 0, sizeof text);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	assert_non_null(strstr(text, "\"event\":\"after\""));
	assert_non_null(strstr(text, "\"dropped\":"));
	assert_non_null(strstr(text, "\"n\":7}\n"));
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_one),
		cmocka_unit_test(keeps_no_more_than_asked),
		cmocka_unit_test(log_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
