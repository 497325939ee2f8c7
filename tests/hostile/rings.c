/* SPDX-License-Identifier: MIT */
/* Attacks by asking for rings of every kind. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hostile.h"

static void plain(uint32_t rounds)
{
	if (!works_here())
		attack_broken("NOP and READ do not work on a plain ring");
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		struct params params = { 0 };
		long fd = attack_setup(1 + i % 64, &params);

		if (fd < 0)
			continue;
		judge_ring((int)fd, params.flags);
		close((int)fd);
	}
}

/* Sets that a kernel grants; mostly their unions are asked for, sometimes just anything. */
static const uint32_t sane[] = {
	0,
	F_CQSIZE,
	F_CQSIZE | F_CLAMP,
	F_CLAMP,
	F_SUBMIT_ALL,
	F_COOP_TASKRUN | F_TASKRUN_FLAG,
	F_SQE128,
	F_CQE32,
	F_SINGLE_ISSUER,
	F_SINGLE_ISSUER | F_DEFER_TASKRUN,
	F_R_DISABLED,
	F_NO_SQARRAY,
	F_SQPOLL,
};
enum { N_SANE = sizeof(sane) / sizeof(sane[0]) };

static uint32_t some_flags(void)
{
	uint32_t any = (uint32_t)(random_next() & random_next()) & 0x1fffff;

	if (random_next() % 4 == 0)
		return any & ~(uint32_t)(F_NO_MMAP | F_REGISTERED_FD_ONLY | F_IOPOLL);
	return sane[random_next() % N_SANE] | sane[random_next() % N_SANE] | sane[random_next() % (N_SANE - 1)];
}

/* Flags that change the layout count as the answer says, for the kernel's answer is what a program goes by. */
static void every_flag(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		struct params params = { 0 };
		long fd;

		params.flags = some_flags();
		params.cq_entries = 1u << random_next() % 18;
		params.wq_fd = (uint32_t)(random_next() % 16);
		params.sq_thread_idle = (uint32_t)random_next() % 50;
		params.resv[0] = random_next() % 32 == 0;
		fd = attack_setup(1u << random_next() % 16, &params);
		if (fd < 0)
			continue;
		judge_ring((int)fd, params.flags);
		close((int)fd);
	}
}

/* --- operations */

/* What the kernel says to each opcode of which nothing but the number is right. */
static void ask_all(struct ring *ring, int *ret_results)
{
	for (int op = 0; op < 256; op++) {
		struct cqe cqe = { 0 };
		int error = ring_run(ring, &(struct sqe){ .opcode = (uint8_t)op, .fd = -1 }, &cqe);

		ret_results[op] = error ? error : cqe.res;
	}
}

/* An opcode that the kernel has and the policy has not must be refused as such, before anybody looks at its fields. */
static void every_opcode(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		struct params params = { 0 };
		long fd = attack_setup(4, &params);
		int answers[256], last = 0;
		struct ring ring;

		if (fd < 0 || !ring_adopt((int)fd, params.flags, &ring))
			continue;
		ask_all(&ring, answers);
		for (int op = 0; op < 256; op++)
			last = answers[op] != -EINVAL ? op : last;
		for (int op = 0; op <= last; op++) {
			result->tried++;
			if (op != OP_NOP && op != OP_READ && answers[op] != -EACCES)
				attack_breach("opcode %d got as far as %d", op, answers[op]);
		}
		ring_unmap(&ring);
		close((int)fd);
	}
}

enum {
	SQE_FIXED_FILE = 1,
	SQE_DRAIN = 2,
	SQE_LINK = 4,
	SQE_ASYNC = 16,
	SQE_ALLOWED = SQE_FIXED_FILE | SQE_LINK | SQE_ASYNC
};

/* BUFFER_SELECT on an operation that takes no buffer is refused (EOPNOTSUPP) before anybody asks the policy. */
static void every_sqe_flag(uint32_t rounds)
{
	struct params params = { 0 };
	long fd = attack_setup(4, &params);
	struct ring ring;

	if (result->open[OPEN_SQE_FLAGS]) {
		attack_impossible("this mechanism does not keep sqeFlags");
		return;
	}
	if (fd < 0 || !ring_adopt((int)fd, params.flags, &ring))
		return;
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		uint8_t flags = (uint8_t)random_next();
		struct cqe cqe = { 0 };

		if (!(flags & ~SQE_ALLOWED) || flags & SQE_LINK) /* a link alone waits for its next member */
			continue;
		result->rounds++;
		result->tried++;
		if (!ring_run(&ring, &(struct sqe){ .opcode = OP_NOP, .flags = flags, .fd = -1 }, &cqe) &&
		    cqe.res != -EACCES && cqe.res != -EINVAL && cqe.res != -EOPNOTSUPP)
			attack_breach("a NOP with flags 0x%x gave %d", flags, cqe.res);
	}
	ring_unmap(&ring);
	close((int)fd);
}

/* --- rings that somebody else may have made */

/*
 * A ring whose work is done by another process reads that process's descriptors: look for numbers that are open there
 * and not here. What is read there may never come, so the first one found is enough.
 */
static void look_for_others_files(int fd, uint32_t flags)
{
	struct ring ring;

	if (!ring_adopt(fd, flags, &ring))
		return;
	for (int other = 0; other < 40; other++) {
		struct cqe cqe = { .res = -EBADF };
		struct sqe sqe = { .opcode = OP_READ, .fd = other, .flags = random_next() % 2 ? SQE_ASYNC : 0 };

		if (fcntl(other, F_GETFD) >= 0)
			continue;
		result->tried++;
		if (ring_run(&ring, &sqe, &cqe) == -ETIME)
			cqe.res = -ETIME;
		if (cqe.res == -EBADF || cqe.res == -EACCES || cqe.res == -EINVAL)
			continue;
		attack_breach("descriptor %d is not open here, READ gave %d: somebody else's", other, cqe.res);
		break;
	}
	ring_unmap(&ring);
}

static const uint32_t poller_flags[] = {
	F_SQPOLL,    F_SQPOLL | F_SQ_AFF,     F_SQPOLL | F_ATTACH_WQ,
	F_ATTACH_WQ, F_SQPOLL | F_R_DISABLED, F_SQPOLL | F_SINGLE_ISSUER,
};

static void pollers(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		struct params params = { .flags = poller_flags[i % 6], .sq_thread_idle = 1 };
		struct params mine = { 0 };
		long own = sys_setup(4, &mine), fd;

		params.wq_fd = random_next() % 2 && own >= 0 ? (uint32_t)own : (uint32_t)random_next() % 40;
		fd = attack_setup(4, &params);
		if (fd >= 0) {
			judge_ring((int)fd, params.flags);
			look_for_others_files((int)fd, params.flags);
			close((int)fd);
		}
		if (own >= 0)
			close((int)own);
	}
}

/* --- rings in the program's memory */

enum { PAGE = 4096, AREA = 4 * PAGE };

static void use_own_memory(long fd, struct params *params, char *area)
{
	struct cqe cqe = { .res = -1 };
	struct ring ring;

	if (!(params->flags & F_NO_MMAP)) { /* answered as a plain ring */
		judge_ring((int)fd, params->flags);
		close((int)fd);
		return;
	}
	if (!result->open[OPEN_SETUP_FLAGS])
		attack_breach("a ring in my memory, which the policy does not allow");
	ring_in_memory((int)fd, params, area + PAGE, area, &ring);
	if (ring_run(&ring, &(struct sqe){ .opcode = OP_NOP }, &cqe))
		attack_breach("a ring in my memory does not use my memory: whose?");
	judge_mapped(&ring);
	if (!(params->flags & F_REGISTERED_FD_ONLY))
		close((int)fd);
}

static void own_memory(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		char *area =
			mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		struct params params = { .flags = F_NO_MMAP | (i % 2 ? F_NO_SQARRAY : 0) |
						  (i % 8 > 5 ? F_REGISTERED_FD_ONLY : 0) };
		bool odd = random_next() % 4 == 0;
		long fd;

		params.sq.user_addr = odd ? random_next() & ~(uint64_t)(PAGE - 1) : (uintptr_t)area;
		params.cq.user_addr = (uintptr_t)area + PAGE;
		if (i % 16 == 3)
			mprotect(area, PAGE, PROT_READ);
		fd = attack_setup(8, &params);
		if (fd >= 0)
			use_own_memory(fd, &params, area);
		sys_register((uint64_t)-1, 21, NULL, 0);
		munmap(area, AREA);
	}
	if (result->is_control && !result->rings)
		attack_impossible("this kernel has no NO_MMAP");
	judge_all(0);
}

/* --- rings from before */

static void leaked(uint32_t rounds)
{
	const char *text = getenv("HOSTILE_LEAKED");
	(void)rounds;

	if (!text) {
		attack_impossible("no ring was left open by whoever started this (hostile --leak)");
		return;
	}
	result->rounds++;
	if (!ring_is(atoi(text)))
		result->refused++;
	judge_all(0);
}

const struct attack attacks_rings[] = {
	{ "plain", "forbidden operations on a plain ring", "bare", 500, ATTACK_ORDINARY, plain },
	{ "every-flag", "rings of every combination of flags and sizes", "bare", 2000, ATTACK_ORDINARY, every_flag },
	{ "every-opcode", "each opcode, of which nothing but the number is right", "bare", 20, ATTACK_ORDINARY,
	  every_opcode },
	{ "every-sqe-flag", "entries with flags that are not allowed", "bare", 2000, ATTACK_ORDINARY, every_sqe_flag },
	{ "pollers", "SQPOLL, SQ_AFF, ATTACH_WQ to anything: other people's files", "sqpoll", 600, ATTACK_ORDINARY,
	  pollers },
	{ "own-memory", "NO_MMAP and REGISTERED_FD_ONLY, also at odd addresses", "bare", 1000, ATTACK_ORDINARY,
	  own_memory },
	{ "leaked", "a ring that was open before the policy came", "bare", 1, ATTACK_LEAKED, leaked },
	{ 0 },
};
