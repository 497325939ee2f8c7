/* SPDX-License-Identifier: MIT */
#include "enforce/agent-pass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_AT_ONCE = 32, FIRST = 3 };

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int) * FDS_AT_ONCE)];
};

int agent_pass(int to, const void *bytes, size_t size, int fd)
{
	union control control = { .header.cmsg_len = CMSG_LEN(sizeof fd) };
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof fd);
	}
	do
		n = sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EMSGSIZE;
}

/* False when there was no room for one. */
static bool take(struct cmsghdr *header, int *fds, size_t max_fds, size_t *n_fds)
{
	size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fits = true;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
		if (*n_fds < max_fds) {
			fds[(*n_fds)++] = fd;
		} else {
			(void)close(fd);
			fits = false;
		}
	}
	return fits;
}

ssize_t agent_pass_receive(int from, void *bytes, size_t size, int *fds, size_t max_fds, size_t *n_fds)
{
	union control control;
	struct iovec part = { .iov_base = bytes, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
	};
	bool fits;
	ssize_t n;

	do
		n = recvmsg(from, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	fits = !(message.msg_flags & MSG_CTRUNC);
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
			fits = take(header, fds, max_fds, n_fds) && fits;
	return fits ? n : -E2BIG;
}

bool agent_pass_is_listener(int fd)
{
	char path[32], target[64] = "";

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof target - 1) > 0 && strcmp(target, "anon_inode:seccomp notify") == 0;
}

int agent_pass_keep_only(int *fds, size_t n)
{
	unsigned int end = FIRST + (unsigned int)n;

	/* Aside first: one may be where another shall be. */
	for (size_t i = 0; i < n; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, (int)end);
		if (fds[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < n; i++) {
		fds[i] = dup3(fds[i], FIRST + (int)i, O_CLOEXEC);
		if (fds[i] < 0)
			return -errno;
	}
	return close_range(end, ~0u, 0) < 0 ? -errno : 0;
}
