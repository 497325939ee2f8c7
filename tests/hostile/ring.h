/* SPDX-License-Identifier: MIT */
/*
 * io_uring by raw system calls, for programs that attack: nothing of src/ and nothing of liburing, so that a mistake
 * there cannot hide itself here. Numbers are the kernel's ABI.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NR_SETUP = 425, NR_ENTER = 426, NR_REGISTER = 427 };

enum {
	F_IOPOLL = 1 << 0,
	F_SQPOLL = 1 << 1,
	F_SQ_AFF = 1 << 2,
	F_CQSIZE = 1 << 3,
	F_CLAMP = 1 << 4,
	F_ATTACH_WQ = 1 << 5,
	F_R_DISABLED = 1 << 6,
	F_SUBMIT_ALL = 1 << 7,
	F_COOP_TASKRUN = 1 << 8,
	F_TASKRUN_FLAG = 1 << 9,
	F_SQE128 = 1 << 10,
	F_CQE32 = 1 << 11,
	F_SINGLE_ISSUER = 1 << 12,
	F_DEFER_TASKRUN = 1 << 13,
	F_NO_MMAP = 1 << 14,
	F_REGISTERED_FD_ONLY = 1 << 15,
	F_NO_SQARRAY = 1 << 16,
};

enum {
	OP_NOP = 0,
	OP_READ_FIXED = 4,
	OP_OPENAT = 18,
	OP_READ = 22,
	OP_WRITE = 23,
	OP_SEND = 26,
	OP_MSG_RING = 40,
	OP_SOCKET = 45
};

enum {
	REG_BUFFERS = 0,
	REG_PERSONALITY = 9,
	REG_RESTRICTIONS = 11,
	REG_ENABLE_RINGS = 12,
	REG_IOWQ_MAX_WORKERS = 19,
	REG_RING_FDS = 20,
	REG_CLONE_BUFFERS = 30,
	REG_SEND_MSG_RING = 31,
	REG_RESIZE_RINGS = 33,
};

struct params {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3];
	struct {
		uint32_t head, tail, mask, entries, flags, dropped, array, resv;
		uint64_t user_addr;
	} sq;
	struct {
		uint32_t head, tail, mask, entries, overflow, cqes, flags, resv;
		uint64_t user_addr;
	} cq;
};
_Static_assert(sizeof(struct params) == 120, "kernel ABI");

struct sqe {
	uint8_t opcode, flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off, addr;
	uint32_t len, op_flags;
	uint64_t user_data;
	uint16_t buf_index, personality;
	int32_t file_index;
	uint64_t addr3, pad;
};
_Static_assert(sizeof(struct sqe) == 64, "kernel ABI");

struct cqe {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

struct ring {
	int fd;
	uint32_t flags;       /* as the kernel has them */
	uint32_t enter_flags; /* REGISTERED_RING where fd is an index */
	uint32_t sq_mask, cq_mask;
	char *rings, *sqes;
	size_t rings_size, sqes_size;
	struct params at;  /* only the offsets count */
	bool user_memory;  /* NO_MMAP: nothing to unmap */
	uint32_t patience; /* quarters of a second that a completion may take beyond the first */
};

/* What the kernel says of a ring in /proc/self/fdinfo; all it takes to use one of which nothing else is known. */
struct ring_info {
	uint32_t sq_mask, cq_mask;
	int sq_thread; /* -1 = none */
};

/* The raw calls: result or -errno, and no argument is narrowed on its way into its register. */
long sys_setup(uint64_t entries, void *params);
long sys_enter(uint64_t fd, uint64_t to_submit, uint64_t min_complete, uint64_t flags, const void *arg, uint64_t size);
long sys_register(uint64_t fd, uint64_t opcode, const void *arg, uint64_t nr);

bool ring_is(int fd); /* is this descriptor a ring? */
bool ring_info(int fd, struct ring_info *ret_info);
void ring_learn(void);                                          /* how this kernel lays rings out; call it once */
bool ring_adopt(int fd, uint32_t flags, struct ring *ret_ring); /* maps a ring of which only the flags are known */
void ring_in_memory(int fd, const struct params *params, void *rings, void *sqes, struct ring *ret_ring); /* NO_MMAP */
void ring_unmap(struct ring *ring); /* leaves the descriptor open */

/*
 * Submits one entry and waits for what becomes of it: 0 and its completion, or -errno where it was not taken; -ETIME
 * where it was and nothing came back. Its user_data is chosen here.
 */
int ring_run(struct ring *ring, const struct sqe *sqe, struct cqe *ret_cqe);
bool ring_take(struct ring *ring, struct cqe *ret_cqe); /* whatever is there */
