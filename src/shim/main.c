/* SPDX-License-Identifier: MIT */
/* How a program comes under observation: the constructor finds circlip through the environment, fetches the shared
 * memory and arms the first thread. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/inner.h"

static uint8_t no_canary = 1;
uint8_t *main_canary = &no_canary;
char main_socket[108];
int shim_pid;
uint32_t shim_process_pid;

static int receive(int fd, struct shared_welcome *welcome)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { welcome, sizeof(*welcome) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *header;
	long n = SYS3(SYS_recvmsg, fd, &message, MSG_CMSG_CLOEXEC);

	header = CMSG_FIRSTHDR(&message);
	if (n != (long)sizeof(*welcome) || !header || header->cmsg_type != SCM_RIGHTS ||
	    header->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EPROTO;
	return *(int *)CMSG_DATA(header);
}

static int dial(int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(main_socket);
	int fd = (int)SYS3(SYS_socket, AF_UNIX, type | SOCK_CLOEXEC, 0);
	long r;

	if (fd < 0)
		return fd;
	memcpy(address.sun_path + 1, main_socket, length);
	r = SYS3(SYS_connect, fd, &address, offsetof(struct sockaddr_un, sun_path) + 1 + length);
	if (r == 0)
		return fd;
	SYS1(SYS_close, fd);
	return (int)r;
}

/* The welcome, and the memory's descriptor: or -errno. */
static int greet(struct shared_welcome *ret_welcome)
{
	struct shared_hello hello = { SHARED_MAGIC, SHARED_VERSION, (uint32_t)shim_pid };
	int fd = dial(SOCK_SEQPACKET), memory = -EPROTO;

	if (fd == -EPROTOTYPE)
		fd = dial(SOCK_STREAM);
	if (fd < 0)
		return fd;
	if (SYS6(SYS_sendto, fd, &hello, sizeof(hello), MSG_NOSIGNAL, 0, 0) == (long)sizeof(hello))
		memory = receive(fd, ret_welcome);
	SYS1(SYS_close, fd);
	return memory;
}

static bool usable(const struct shared_header *header)
{
	return header->magic == SHARED_MAGIC && header->version == SHARED_VERSION && header->n_slots == SHARED_SLOTS &&
	       header->ring_bytes == SHARED_RING_BYTES;
}

int main_connect(void)
{
	struct shared_welcome welcome = { 0 };
	int fd = greet(&welcome);
	long mapped;

	if (fd < 0)
		return fd;
	mapped = shim_shared ? (long)shim_shared
			     : SYS6(SYS_mmap, 0, shared_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	SYS1(SYS_close, fd);
	if ((mapped < 0 && mapped > -4096) || welcome.magic != SHARED_MAGIC || !usable((struct shared_header *)mapped))
		return -EPROTO;
	shim_shared = (struct shared_header *)mapped;
	shim_options = shim_shared->options;
	shim_process_pid = welcome.pid;
	return 0;
}

static void set_canary(void)
{
	long page = SYS6(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if ((page < 0 && page > -4096) || SYS3(SYS_madvise, page, 4096, 18 /* MADV_WIPEONFORK */) != 0)
		return;
	main_canary = (uint8_t *)page;
	*main_canary = 1;
}

__attribute__((constructor(101))) static void begin(void)
{
	const char *name = getenv(SHARED_ENV);

	real_init();
	glance_init();
	if (!name || !*name || strlen(name) >= sizeof(main_socket) - 1 || getauxval(AT_SECURE))
		return;
	memcpy(main_socket, name, strlen(name) + 1);
	shim_pid = (int)SYS0(SYS_getpid);
	if (main_connect() < 0)
		return;
	set_canary();
	filter_init();
	allocate_init();
	thread_init();
	signals_init();
	process_init();
	thread_arm(process_start_event);
}
