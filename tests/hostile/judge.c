/* SPDX-License-Identifier: MIT */
/*
 * The judge. An operation counts as executed when its effect is there (bytes arrived, a descriptor opened), not when
 * somebody says so.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile.h"

struct result *result;

static void tell(const char *format, va_list args)
{
	if (!atomic_exchange(&result->told, true))
		vsnprintf(result->text, sizeof(result->text), format, args);
}

#define TELL(what)                                                                                                     \
	do {                                                                                                           \
		va_list args;                                                                                          \
		what;                                                                                                  \
		va_start(args, format);                                                                                \
		tell(format, args);                                                                                    \
		va_end(args);                                                                                          \
	} while (0)

void attack_breach(const char *format, ...)
{
	TELL(result->breaches++);
}

void attack_impossible(const char *format, ...)
{
	TELL(result->impossible = true);
}

void attack_broken(const char *format, ...)
{
	TELL(result->broken = true);
}

void attack_hung(const char *format, ...)
{
	TELL(result->hung = true);
}

void attack_waits(const char *format, ...)
{
	TELL(result->waits = true);
}

long attack_setup(uint64_t entries, void *params)
{
	long fd = sys_setup(entries, params);

	result->rounds++;
	if (fd < 0)
		result->refused++;
	else
		result->rings++;
	return fd;
}

bool attack_goes_on(uint32_t round, uint32_t rounds)
{
	return round < rounds && !result->impossible && !(result->is_control && (result->breaches || result->hung));
}

/* Each forbidden operation: made on the ring, then looked for in the world. */
struct bait {
	int pipe[2], pair[2];
};

static void bait_open(struct sqe *sqe, const struct bait *bait)
{
	(void)bait;
	*sqe = (struct sqe){
		.opcode = OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t) "/", .op_flags = O_RDONLY | O_CLOEXEC
	};
}

static bool opened(const struct cqe *cqe, const struct bait *bait)
{
	(void)bait;
	return cqe->res >= 0 && !close(cqe->res);
}

static void bait_socket(struct sqe *sqe, const struct bait *bait)
{
	(void)bait;
	*sqe = (struct sqe){ .opcode = OP_SOCKET, .fd = AF_UNIX, .off = SOCK_STREAM };
}

static void bait_write(struct sqe *sqe, const struct bait *bait)
{
	*sqe = (struct sqe){
		.opcode = OP_WRITE, .fd = bait->pipe[1], .addr = (uintptr_t) "x", .len = 1, .off = UINT64_MAX
	};
}

static bool arrived(int fd)
{
	int n = 0;
	char byte;

	return !ioctl(fd, FIONREAD, &n) && n > 0 && read(fd, &byte, 1) == 1;
}

static bool written(const struct cqe *cqe, const struct bait *bait)
{
	(void)cqe;
	return arrived(bait->pipe[0]);
}

static void bait_send(struct sqe *sqe, const struct bait *bait)
{
	*sqe = (struct sqe){ .opcode = OP_SEND, .fd = bait->pair[1], .addr = (uintptr_t) "y", .len = 1 };
}

static bool sent(const struct cqe *cqe, const struct bait *bait)
{
	(void)cqe;
	return arrived(bait->pair[0]);
}

static const struct {
	const char *name;
	void (*prepare)(struct sqe *sqe, const struct bait *bait);
	bool (*happened)(const struct cqe *cqe, const struct bait *bait);
} forbidden[] = {
	{ "OPENAT", bait_open, opened },
	{ "WRITE", bait_write, written },
	{ "SOCKET", bait_socket, opened },
	{ "SEND", bait_send, sent },
};

enum { N_FORBIDDEN = sizeof(forbidden) / sizeof(forbidden[0]), SQE_ASYNC = 1 << 4 };

static void try_forbidden(struct ring *ring, const struct bait *bait)
{
	for (int i = 0; i < N_FORBIDDEN; i++) {
		struct cqe cqe = { .res = -1 };
		struct sqe sqe;

		forbidden[i].prepare(&sqe, bait);
		sqe.flags = random_next() % 4 ? 0 : SQE_ASYNC;
		result->tried++;
		if (ring_run(ring, &sqe, &cqe) && forbidden[i].happened == opened)
			continue;
		if (forbidden[i].happened(&cqe, bait))
			attack_breach("%s was executed on a ring with flags 0x%x", forbidden[i].name, ring->flags);
	}
}

static bool bait_make(struct bait *bait)
{
	if (pipe2(bait->pipe, O_CLOEXEC | O_NONBLOCK))
		return false;
	if (!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, bait->pair))
		return true;
	close(bait->pipe[0]);
	close(bait->pipe[1]);
	return false;
}

void judge_mapped(struct ring *ring)
{
	struct bait bait;

	if (!bait_make(&bait))
		return;
	try_forbidden(ring, &bait);
	close(bait.pipe[0]);
	close(bait.pipe[1]);
	close(bait.pair[0]);
	close(bait.pair[1]);
}

/* Two threads that fill the same ring would lose entries and wait for them. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

void judge_use(int fd, uint32_t flags)
{
	struct ring ring;

	pthread_mutex_lock(&one_at_a_time);
	if (ring_adopt(fd, flags, &ring)) {
		judge_mapped(&ring);
		ring_unmap(&ring);
	}
	pthread_mutex_unlock(&one_at_a_time);
}

void judge_ring(int fd, uint32_t flags)
{
	const uint32_t odd = F_SQE128 | F_CQE32 | F_NO_MMAP | F_REGISTERED_FD_ONLY;
	struct ring_info info;

	if (flags & odd && !result->open[OPEN_SETUP_FLAGS])
		attack_breach("a ring has flags 0x%x, which the policy does not allow", flags & odd);
	if (ring_info(fd, &info)) {
		if (info.sq_mask >= CAP_SQ && !result->open[OPEN_SQ])
			attack_breach("a ring has %u entries, the policy allows %d", info.sq_mask + 1, CAP_SQ);
		if (info.cq_mask >= CAP_CQ && !result->open[OPEN_CQ])
			attack_breach("a ring has %u completion entries, the policy allows %d", info.cq_mask + 1,
				      CAP_CQ);
		if (info.sq_thread > 0 && !result->open[OPEN_SQPOLL])
			attack_breach("a ring has a polling thread");
	}
	sys_register((unsigned int)fd, REG_ENABLE_RINGS, NULL, 0);
	judge_use(fd, flags);
}

void judge_answer(long fd, uint32_t flags)
{
	if (fd >= 0 && !ring_is((int)fd))
		attack_breach("io_uring_setup answered %ld, which is no ring", fd);
	else if (fd >= 0)
		judge_ring((int)fd, flags);
	if (fd > 2)
		close((int)fd);
}

void judge_all(uint32_t flags)
{
	DIR *dir = opendir("/proc/thread-self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd == dirfd(dir) || !ring_is(fd))
			continue;
		judge_ring(fd, flags);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

uint64_t random_next(void)
{
	static _Thread_local uint64_t state;

	if (!state)
		state = ((uint64_t)(uintptr_t)&state ^ (uint64_t)gettid() << 20) * 0x9e3779b97f4a7c15u | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}
