/* SPDX-License-Identifier: MIT */
/* The table is made first, and filled with more than may be locked. */
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
	int res;

	if (become_limited(1 << 16) || io_uring_queue_init(8, &ring, 0))
		return 77;
	res = io_uring_register_buffers_sparse(&ring, 4);
	if (res) {
		fprintf(stderr, "this kernel has no sparse tables\n");
		return 77;
	}
	io_uring_register_buffers_update_tag(&ring, 0, &vector, NULL, 1);
	io_uring_queue_exit(&ring);
	free(vector.iov_base);
	return 0;
}
