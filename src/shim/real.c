/* SPDX-License-Identifier: MIT */
/* What lies behind the interposed symbols, and system calls of the shim's own. */
#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "shim/inner.h"

long (*real_syscall)(long number, ...);

pid_t (*real_vfork)(void);

void real_init(void)
{
	real_find((void **)&real_syscall, "syscall");
	real_find((void **)&real_vfork, "vfork");
}

void *real_find(void **cache, const char *name)
{
	void *found = __atomic_load_n(cache, __ATOMIC_RELAXED);

	if (!found) {
		found = dlsym(RTLD_NEXT, name);
		__atomic_store_n(cache, found, __ATOMIC_RELAXED);
	}
	return found;
}

long shim_sys(long number, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long result;

	if (!real_syscall)
		real_find((void **)&real_syscall, "syscall");
	result = real_syscall(number, a, b, c, d, e, f);
	if (result == -1)
		result = -errno;
	errno = saved;
	return result;
}

size_t shim_peek(void *to, uint64_t from, size_t bytes)
{
	struct iovec local = { to, bytes }, remote[3];
	unsigned n = 0;
	long copied;

	if (!bytes || from + bytes < from)
		return 0;
	/* Partial answers come per element, so elements end where pages do. */
	while (bytes && n < 3) {
		size_t rest = n < 2 ? 4096 - (from & 4095) : bytes;

		if (rest > bytes)
			rest = bytes;
		remote[n++] = (struct iovec){ (void *)from, rest };
		from += rest;
		bytes -= rest;
	}
	copied = SYS6(SYS_process_vm_readv, shim_pid, &local, 1, remote, n, 0);
	return copied < 0 ? 0 : (size_t)copied;
}
