/* SPDX-License-Identifier: MIT */
/*
 * What runs inside of the containers. Each word on its command line is one thing to do, in order; each says one line,
 * "WORD RESULT", where a result below zero is an errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi/uring.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif

enum { ENTRIES = 8 };

struct ring {
	int fd;
	struct uring_params params;
	char *sq, *cq;
	struct uring_sqe *sqes;
};

static struct ring ring;

static long call(long number, long a, long b, long c, long d)
{
	long r = syscall(number, a, b, c, d, NULL, 0L);

	return r < 0 ? -errno : r;
}

static long setup(uint32_t flags, struct uring_params *params)
{
	memset(params, 0, sizeof *params);
	params->flags = flags;
	return call(SYS_io_uring_setup, ENTRIES, (long)params, 0, 0);
}

static long do_ring(uint32_t flags)
{
	long fd = setup(flags, &ring.params);

	if (fd < 0)
		return fd;
	ring.fd = (int)fd;
	ring.sq = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, (off_t)URING_OFF_SQ_RING);
	ring.cq = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, (off_t)URING_OFF_CQ_RING);
	ring.sqes = mmap(NULL, ENTRIES * sizeof *ring.sqes, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
			 (off_t)URING_OFF_SQES);
	return ring.sq == MAP_FAILED || ring.cq == MAP_FAILED || ring.sqes == MAP_FAILED ? -errno : 0;
}

static uint32_t *at(char *base, uint32_t offset)
{
	return (uint32_t *)(base + offset);
}

/* Submits the entry and waits: the completion's result. */
static long submit(const struct uring_sqe *sqe)
{
	uint32_t tail = *at(ring.sq, ring.params.sq_off.tail), mask = *at(ring.sq, ring.params.sq_off.ring_mask);
	uint32_t head = *at(ring.cq, ring.params.cq_off.head), cq_mask = *at(ring.cq, ring.params.cq_off.ring_mask);
	const struct uring_cqe *cqes = (const struct uring_cqe *)(ring.cq + ring.params.cq_off.cqes);
	long r, result;

	ring.sqes[tail & mask] = *sqe;
	if (!(ring.params.flags & URING_SETUP_NO_SQARRAY))
		at(ring.sq, ring.params.sq_off.array)[tail & mask] = tail & mask;
	__atomic_store_n(at(ring.sq, ring.params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	r = call(SYS_io_uring_enter, ring.fd, 1, 1, URING_ENTER_GETEVENTS);
	if (r != 1)
		return r < 0 ? r : -EPROTO;
	result = cqes[head & cq_mask].res;
	__atomic_store_n(at(ring.cq, ring.params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return result;
}

static long do_nop(void)
{
	return submit(&(struct uring_sqe){ .opcode = URING_OP_NOP });
}

static long do_socket(void)
{
	return submit(&(struct uring_sqe){ .opcode = URING_OP_SOCKET, .fd = AF_UNIX, .off = SOCK_STREAM });
}

/* Reads this program's own descriptor through the ring: it must be this process's table that counts. */
static long do_read(void)
{
	static char byte;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	long r = submit(
		&(struct uring_sqe){ .opcode = URING_OP_READ, .fd = fd, .addr = (uintptr_t)&byte, .len = 1, .off = 0 });

	close(fd);
	return r == 1 && byte != '\x7f' ? -EILSEQ : r;
}

static long do_files(void)
{
	int fd = 0;

	return call(SYS_io_uring_register, ring.fd, URING_REG_REGISTER_FILES, (long)&fd, 1);
}

/* A table larger than the descriptors that policies with a limit allow here. */
static long do_table(void)
{
	int fds[64];

	memset(fds, 0xff, sizeof fds);
	return call(SYS_io_uring_register, ring.fd, URING_REG_REGISTER_FILES, (long)fds, sizeof fds / sizeof *fds);
}

static long do_buffer(void)
{
	static char buffer[1 << 20];
	struct iovec whole = { buffer, sizeof buffer };

	return call(SYS_io_uring_register, ring.fd, URING_REG_REGISTER_BUFFERS, (long)&whole, 1);
}

static long do_nofile(void)
{
	struct rlimit limit = { 0 };

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : (long)limit.rlim_max;
}

static long do_raise(void)
{
	struct rlimit limit = { 100, 100 };

	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static long do_resize(void)
{
	struct uring_params params = { .sq_entries = 64, .cq_entries = 128 };

	return call(SYS_io_uring_register, ring.fd, URING_REG_RESIZE_RINGS, (long)&params, 1);
}

static long do_plain(void)
{
	return do_ring(0);
}

static long do_defer(void)
{
	return do_ring(URING_SETUP_SINGLE_ISSUER | URING_SETUP_DEFER_TASKRUN);
}

/* Not enabled yet, and so not restricted yet. */
static long do_disabled(void)
{
	return do_ring(URING_SETUP_R_DISABLED);
}

static long do_personality(void)
{
	return call(SYS_io_uring_register, ring.fd, URING_REG_REGISTER_PERSONALITY, 0, 0);
}

static long do_enable(void)
{
	return call(SYS_io_uring_register, ring.fd, URING_REG_ENABLE_RINGS, 0, 0);
}

/* The same call by the numbers of 32-bit programs; its pointer must fit. */
static void call_int80(void)
{
	void *params = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long r;

	if (params == MAP_FAILED)
		_exit(ENOMEM);
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(SYS_io_uring_setup), "b"(ENTRIES), "c"(params) : "memory");
	_exit((int)r < 0 ? -(int)r : 0);
}

/* In a child: a kernel without these calls ends who uses them. */
static long do_int80(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		call_int80();
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ENOTSUP;
}

/* And by those of x32. */
static long do_x32(void)
{
	struct uring_params params = { 0 };

	return call(SYS_io_uring_setup | 0x40000000, ENTRIES, (long)&params, 0, 0);
}

/* A listener of its own, before which the agent's would have to give way. */
static long do_nested(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, (long)&program, 0);
}

/* Whether the ring has the flags that `defer` asked for. */
static long do_deferred(void)
{
	return !!(ring.params.flags & URING_SETUP_DEFER_TASKRUN);
}

static long do_sqpoll(void)
{
	struct uring_params params;

	return setup(URING_SETUP_SQPOLL, &params);
}

static long do_iopoll(void)
{
	struct uring_params params;

	return setup(URING_SETUP_IOPOLL, &params);
}

/* Rings until one is refused: how many. Their descriptors stay open. */
static long do_many(void)
{
	struct uring_params params;
	long n = 0;

	while (n < 200 && setup(0, &params) >= 0)
		n++;
	return n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Set-ups as fast as they come, by four processes, until killed. */
static long do_storm(void)
{
	struct uring_params params;
	double began = now();
	long n = 0;

	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			break;
	while (n < INT64_MAX) {
		long fd = setup(0, &params);

		if (fd >= 0)
			close((int)fd);
		if (++n % 1000 == 0) {
			printf("storm-rate %.0f\n", (double)n / (now() - began));
			fflush(stdout);
		}
	}
	return 0;
}

/* A page whose content only a process that does not answer could give. */
static struct uring_params *unserved(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register what = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	what.range.start = (uintptr_t)page;
	what.range.len = 4096;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &what) < 0)
		return NULL;
	return page;
}

static long do_hang(void)
{
	struct uring_params *params = unserved();

	return params ? call(SYS_io_uring_setup, ENTRIES, (long)params, 0, 0) : -ENOTSUP;
}

/* The container ends while its request hangs. */
static long do_die(void)
{
	struct uring_params *params = unserved();
	pid_t pid;

	if (!params)
		return -ENOTSUP;
	pid = fork();
	if (pid == 0) {
		call(SYS_io_uring_setup, ENTRIES, (long)params, 0, 0);
		_exit(0);
	}
	usleep(200000); /* let it get there; nothing depends on it */
	return pid > 0 ? 0 : -EAGAIN;
}

/* Until SIGUSR1, or for a minute. */
static long do_wait(void)
{
	sigset_t set, old;
	struct timespec minute = { .tv_sec = 60 };

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	puts("waiting 0");
	fflush(stdout);
	return sigtimedwait(&set, NULL, &minute) == SIGUSR1 ? 0 : -ETIMEDOUT;
}

/* Neither text nor UTF-8. */
static long do_name(void)
{
	return prctl(PR_SET_NAME, "\xff\"\\\n{\x80x", 0, 0, 0) < 0 ? -errno : 0;
}

static long do_uid(void)
{
	return (long)getuid();
}

static const struct {
	const char *word;
	long (*act)(void);
} acts[] = {
	{ "ring", do_plain },
	{ "nop", do_nop },
	{ "socket", do_socket },
	{ "read", do_read },
	{ "files", do_files },
	{ "table", do_table },
	{ "buffer", do_buffer },
	{ "nofile", do_nofile },
	{ "raise", do_raise },
	{ "resize", do_resize },
	{ "defer", do_defer },
	{ "deferred", do_deferred },
	{ "sqpoll", do_sqpoll },
	{ "iopoll", do_iopoll },
	{ "many", do_many },
	{ "storm", do_storm },
	{ "hang", do_hang },
	{ "die", do_die },
	{ "wait", do_wait },
	{ "uid", do_uid },
	{ "name", do_name },
	{ "disabled", do_disabled },
	{ "personality", do_personality },
	{ "enable", do_enable },
	{ "int80", do_int80 },
	{ "x32", do_x32 },
	{ "nested", do_nested },
};

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		for (size_t j = 0; j < sizeof acts / sizeof *acts; j++) {
			if (strcmp(acts[j].word, argv[i]) != 0)
				continue;
			printf("%s %ld\n", argv[i], acts[j].act());
			fflush(stdout);
		}
	return 0;
}
