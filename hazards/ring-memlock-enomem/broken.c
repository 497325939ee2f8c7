/* SPDX-License-Identifier: MIT */
/* A megabyte of buffers where 64 KiB may be locked; what comes of it is not looked at. */
#include <errno.h>
#include <liburing.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* As a user without CAP_IPC_LOCK, who may lock so much. */
static int become_limited(rlim_t bytes)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	struct rlimit limit = { bytes, bytes };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || syscall(SYS_capget, &header, data))
		return -1;
	data[CAP_IPC_LOCK / 32].effective &= ~(1u << CAP_IPC_LOCK % 32);
	return (int)syscall(SYS_capset, &header, data);
}

int main(void)
{
	struct io_uring ring;
	struct iovec vector = { malloc(1 << 20), 1 << 20 };

	if (become_limited(1 << 16) || io_uring_queue_init(8, &ring, 0))
		return 77;
	io_uring_register_buffers(&ring, &vector, 1);
	io_uring_queue_exit(&ring);
	free(vector.iov_base);
	return 0;
}
