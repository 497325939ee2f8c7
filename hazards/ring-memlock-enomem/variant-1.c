/* SPDX-License-Identifier: MIT */
/* A ring that is too large for the limit, on kernels that account rings. */
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
	int res;

	if (become_limited(1 << 16))
		return 77;
	res = io_uring_queue_init(4096, &ring, 0);
	if (res == 0) {
		fprintf(stderr, "this kernel does not count a ring's memory\n");
		return 77;
	}
	return 1;
}
