/* SPDX-License-Identifier: MIT */
#include "enforce/agent-store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { PASSED_FD = 3, PASSED_MAX = 1 << 16, TEXT_BYTES = 128 };

/* ---- what it is told ---- */

static int address_of(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof ret_address->sun_path)
		return -ENOTCONN;
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_address->sun_path, path, strlen(path));
	*ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (*path == '@')
		ret_address->sun_path[0] = '\0';
	return 0;
}

/* A manager that does not listen must not hold up the containers. */
static int tell(const char *text, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS } };
	const struct timeval patience = { .tv_sec = 1 };
	struct sockaddr_un address;
	struct iovec part = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct msghdr message = { .msg_name = &address, .msg_iov = &part, .msg_iovlen = 1 };
	CLEANUP(cleanup_fd) int to = -1;
	int r = address_of(getenv("NOTIFY_SOCKET"), &address, &message.msg_namelen);

	if (r < 0)
		return r;
	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
		message.msg_control = &control;
		message.msg_controllen = sizeof control.bytes;
	}
	to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (to < 0)
		return -errno;
	setsockopt(to, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	return sendmsg(to, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void agent_store_notify(const char *text)
{
	(void)tell(text, -1);
}

int agent_store_put(const char *name, int fd)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
	return tell(text, fd);
}

void agent_store_remove(const char *name)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	(void)tell(text, -1);
}

/* ---- what it passes ---- */

/* Descriptors from 3 on, for the process that LISTEN_PID names. */
static size_t count_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	long count = pid && n && atol(pid) == (long)getpid() ? atol(n) : 0;

	return count < 0 ? 0 : count > PASSED_MAX ? PASSED_MAX : (size_t)count;
}

/* Names are parted by colons. */
static void name_all(struct agent_passed *passed, size_t n)
{
	const char *names = getenv("LISTEN_FDNAMES");

	for (size_t i = 0; names && i < n; i++) {
		const char *end = strchrnul(names, ':');

		snprintf(passed[i].name, sizeof passed[i].name, "%.*s", (int)(end - names), names);
		names = *end ? end + 1 : NULL;
	}
}

int agent_store_take(struct agent_passed **ret_passed, size_t *ret_n)
{
	size_t n = count_passed();
	struct agent_passed *passed = n ? calloc(n, sizeof *passed) : NULL;

	if (n && !passed)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		passed[i].fd = PASSED_FD + (int)i;
		(void)fcntl(passed[i].fd, F_SETFD, FD_CLOEXEC);
	}
	name_all(passed, n);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	*ret_passed = passed;
	*ret_n = n;
	return 0;
}
