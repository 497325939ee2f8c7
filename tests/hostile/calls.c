/* SPDX-License-Identifier: MIT */
/* Attacks by register calls: those that undo limits, in every spelling of their numbers. */
#include <errno.h>
#include <unistd.h>

#include "hostile.h"

static long new_ring(uint32_t flags, struct params *ret_params)
{
	struct params params = { .flags = flags };
	long fd = attack_setup(8, &params);

	*ret_params = params;
	return fd;
}

/* --- register calls that the policy denies, in every spelling of the same number */

static const uint64_t garbage[] = { 0, 0x100000000, 0xffffffff00000000, 0xdead00000000 };

static void raise_workers(uint64_t fd, uint64_t bits)
{
	uint32_t limits[2] = { 64, 64 };
	long answer = sys_register(fd, REG_IOWQ_MAX_WORKERS | bits, limits, 2);

	result->tried++;
	if (answer >= 0 && !result->open[OPEN_WORKERS])
		attack_breach("IOWQ_MAX_WORKERS was executed (opcode 0x%lx)", (unsigned long)bits);
}

static void resize(uint64_t fd, uint64_t bits)
{
	struct params params = { .flags = F_CQSIZE, .sq_entries = 8, .cq_entries = 65536 };
	long answer = sys_register(fd, REG_RESIZE_RINGS | bits, &params, 1);

	result->tried++;
	if (answer >= 0 && !result->open[OPEN_CQ])
		attack_breach("RESIZE_RINGS was executed (opcode 0x%lx)", (unsigned long)bits);
}

static void personality(uint64_t fd, uint64_t bits)
{
	result->tried++;
	if (sys_register(fd, REG_PERSONALITY | bits, NULL, 0) >= 0 && !result->open[OPEN_REGISTER])
		attack_breach("REGISTER_PERSONALITY was executed (opcode 0x%lx)", (unsigned long)bits);
}

/* With nothing but an operation that the policy denies: afterwards it would be the only one allowed. */
static void own_restrictions(uint64_t fd, uint64_t bits)
{
	struct {
		uint16_t kind;
		uint8_t op, resv;
		uint32_t more[3];
	} allow[] = { { 1, OP_OPENAT, 0, { 0 } }, { 1, OP_WRITE, 0, { 0 } }, { 0, REG_ENABLE_RINGS, 0, { 0 } } };

	result->tried++;
	if (!sys_register(fd, REG_RESTRICTIONS | bits, allow, 3))
		attack_breach("RESTRICTIONS of my own were taken (opcode 0x%lx)", (unsigned long)bits);
}

static void (*const undo[])(uint64_t fd, uint64_t bits) = { raise_workers, resize, personality, own_restrictions };

static long register_index(int fd)
{
	struct {
		uint32_t offset, resv;
		uint64_t data;
	} update = { UINT32_MAX, 0, (uint64_t)fd };

	return sys_register((unsigned int)fd, REG_RING_FDS, &update, 1) == 1 ? (long)update.offset : -1;
}

static void undo_limits(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		uint32_t flags = (i % 2 ? F_R_DISABLED : 0) | (i % 3 ? F_SINGLE_ISSUER | F_DEFER_TASKRUN : 0);
		uint64_t high = garbage[random_next() % 4], low = garbage[random_next() % 4];
		struct params params;
		long fd = new_ring(flags, &params), index;

		if (fd < 0)
			continue;
		for (int n = 0; n < 4; n++)
			undo[n]((unsigned int)fd | high, low);
		index = register_index((int)fd);
		for (int n = 0; index >= 0 && n < 4; n++)
			undo[n]((uint64_t)index | high, 0x80000000 | low);
		judge_ring((int)fd, params.flags);
		close((int)fd);
		sys_register((unsigned int)-1, 21, NULL, 0);
	}
}

/* --- SEND_MSG_RING: an entry outside of any ring */

static bool heard(struct ring *ring, uint64_t word)
{
	struct cqe cqe;

	sys_enter((unsigned int)ring->fd, 0, 0, 1, NULL, 0); /* so that it is delivered */
	while (ring_take(ring, &cqe))
		if (cqe.user_data == word)
			return true;
	return false;
}

static void blind_message(uint32_t rounds)
{
	static const uint64_t fds[] = { UINT64_MAX, UINT32_MAX, 0x1ffffffff, 0xdeadffffffff };
	bool known = false;

	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		struct sqe message = { .opcode = OP_MSG_RING, .off = 4711, .len = 1 };
		struct params params;
		struct ring ring;
		long fd = new_ring(0, &params), answer;

		if (fd < 0 || !ring_adopt((int)fd, params.flags, &ring))
			continue;
		message.fd = (int32_t)fd;
		answer = sys_register(fds[i % 4], REG_SEND_MSG_RING | garbage[i / 4 % 4] | (i % 5 ? 0 : 0x80000000),
				      &message, 1);
		known |= answer != -EINVAL && answer != -EBADF;
		result->tried++;
		if (answer >= 0 || heard(&ring, 4711))
			attack_breach("a message arrived through SEND_MSG_RING on descriptor -1");
		ring_unmap(&ring);
		close((int)fd);
	}
	if (!known)
		attack_impossible("this kernel has no SEND_MSG_RING");
}

/* --- buffers of another ring */

static void clone_buffers(uint32_t rounds)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct {
		uint64_t base, size;
	} vector = { (uintptr_t)page, sizeof(page) };
	bool known = false;

	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		struct params params;
		long from = new_ring(0, &params), to = new_ring(i % 2 ? F_R_DISABLED : 0, &params), answer;
		uint32_t clone[16] = { (uint32_t)from };

		if (from < 0 || to < 0)
			continue;
		sys_register((unsigned int)from, REG_BUFFERS, &vector, 1);
		answer = sys_register((unsigned int)to, REG_CLONE_BUFFERS, clone, 1);
		known |= answer != -EINVAL;
		result->tried++;
		if (answer >= 0 && !result->open[OPEN_REGISTER])
			attack_breach("CLONE_BUFFERS was executed");
		close((int)from);
		close((int)to);
	}
	if (!known)
		attack_impossible("this kernel has no CLONE_BUFFERS");
}

const struct attack attacks_calls[] = {
	{ "undo-limits", "workers, sizes, credentials, restrictions: before ENABLE, with bit 31, with garbage above",
	  "loose-compare", 1500, ATTACK_ORDINARY, undo_limits },
	{ "disabled-ring", "the same on rings that wait for ENABLE, where their own restrictions do not hold yet",
	  "no-register-filter", 500, ATTACK_ORDINARY, undo_limits },
	{ "blind-message", "SEND_MSG_RING on descriptor -1, outside of any ring", "bare", 1000, ATTACK_ORDINARY,
	  blind_message },
	{ "clone-buffers", "CLONE_BUFFERS between rings", "bare", 500, ATTACK_ORDINARY, clone_buffers },
	{ 0 },
};
