/* SPDX-License-Identifier: MIT */
/*
 * The one record: everything a sensor can tell, as it lies in shared memory, in a file and in a test's array.
 *
 * A fixed header, then a payload per kind, then (for some kinds) a variable tail. All records are a multiple of 8 bytes
 * and 8-byte aligned. RULE: append only. A kind never changes its meaning or its layout; new meaning is a new kind.
 * A reader skips kinds it does not know by `size`. Bump EVENT_VERSION when kinds are added.
 *
 * This header is the wire format: it is included by the shim (in the observed process) and must stay free of anything
 * but types.
 *
 * Order. `seq` numbers all events of one observation; sources yield them in that order. A submission has two phases:
 * EVENT_ENTER, its EVENT_SUBMITs (intent: what lies in the SQ now), then EVENT_ENTER_RETURN with how many were consumed.
 * EVENT_COMPLETE is a CQE that became visible in the completion ring, whether or not the program has looked at it yet.
 */
#pragma once

#include <stdint.h>

#include "abi/uring.h"

#define EVENT_VERSION 2u

enum event_kind {
	EVENT_NONE,
	/* processes and threads */
	EVENT_PROCESS_START,	/* struct event_process, tail: path of the executable */
	EVENT_EXEC,		/* about to exec: struct event_process (pid = own), tail: path. Rings go (CLOEXEC), memory goes */
	EVENT_FORK,		/* in the parent: struct event_process with child pid */
	EVENT_PROCESS_EXIT,	/* struct event_exit: clean exit is beginning, or the sensor saw the process gone */
	EVENT_THREAD_START,	/* struct event_thread: stack bounds */
	EVENT_THREAD_EXIT,
	EVENT_CREDENTIALS,	/* struct event_credentials: ids after a successful set*id */
	EVENT_MODULE,		/* struct event_module, tail: path. An ELF object mapped in the process */
	/* rings */
	EVENT_RING_SETUP,	/* struct event_setup: also failed ones (result < 0) */
	EVENT_RING_UNMAPPED,	/* struct event_ring_state: its memory is about to go; CQEs can no longer be seen */
	EVENT_RING_CLOSED,	/* struct event_ring_state: the last descriptor of this process is closed */
	EVENT_RING_RESIZED,	/* struct event_setup */
	EVENT_REGISTER,		/* struct event_register, tail: the argument's bytes as far as kept */
	/* descriptors */
	EVENT_FD,		/* struct event_fd: what a descriptor is, told before its first use by a request */
	EVENT_FD_CLOSE,		/* struct event_fd: closed (object as it was known; type UNKNOWN if never used) */
	EVENT_FD_DUP,		/* struct event_fd_dup: dup2/dup3 onto a number (implies a close of `to`), or dup */
	EVENT_FD_PAIR,		/* struct event_fd_pair: socketpair, pipe: the two ends */
	/* submission and completion */
	EVENT_ENTER,		/* struct event_enter */
	EVENT_SUBMIT,		/* struct event_submit, tail: 64 more SQE bytes if `sqe_size` is 128, then struct event_arg ... */
	EVENT_ENTER_RETURN,	/* struct event_enter_return */
	EVENT_COMPLETE,		/* struct event_complete */
	EVENT_OVERFLOW,		/* struct event_ring_state: SQ_CQ_OVERFLOW is set */
	EVENT_CQ_LOST,		/* struct event_lost: completions went by unseen on this ring: its open requests become unknown */
	EVENT_BUFFERS_ADDED,	/* struct event_buffers, tail: struct uring_buf[n]: new entries of a provided-buffer ring */
	/* memory */
	EVENT_BOUNDS,		/* struct event_bounds: a range of the next SUBMIT leaves its allocation */
	EVENT_RELEASE,		/* struct event_release */
	EVENT_STACK,		/* struct event_stack, tail: `bytes` of stack from `sp` upwards */
	/* the observation itself */
	EVENT_TICK,		/* no payload: time passes while nothing else happens */
	EVENT_LOST,		/* struct event_lost: events of this process (pid) or all (pid 0) are missing here */
	EVENT_NOTICE,		/* struct event_notice, tail: text: something the sensor could not do, for the report */
	/* kernel-side facts (bpf sensor) */
	EVENT_LINK, EVENT_LINK_FAILED, EVENT_PUNTED, EVENT_POLLED, EVENT_REFUSED,
	/* findings of sensors that must look for themselves */
	EVENT_CHECKSUM,		/* struct event_checksum: a buffer's contents changed while the request was in flight */
	EVENT_SLOT_CHANGED,	/* struct event_slot_changed: an entry consumed earlier differs from what was consumed */
	/* version 2 */
	EVENT_GLANCE,		/* no payload: the thread is at `stack` now, and all rings' completions so far were told before */
	EVENT_STALLED,		/* struct event_ring_state: for long now, or until it exits, the program has gone on without a call on this
				   ring, having taken all completions in it, while the kernel holds others that did not fit */
	EVENT_STRAY_CALL,	/* struct event_stray: an io_uring call named a descriptor that is no ring, and was refused */
	EVENT_KIND_COUNT,
};

struct event {
	uint16_t kind;	/* enum event_kind */
	uint16_t size;	/* bytes, header and tail included; a multiple of 8 */
	uint16_t cpu;
	uint16_t flags;	/* enum event_flag */
	uint32_t pid;	/* as the sensor's reader sees it */
	uint32_t tid;
	uint32_t ring;	/* sensor-wide ring number, from 1; 0 = none. The same kernel ring seen from a forked child keeps its number */
	uint32_t stack;	/* id of an earlier EVENT_STACK of this process: where the program was, 0 = not taken */
	uint64_t seq;
	uint64_t time;	/* CLOCK_MONOTONIC, nanoseconds */
};
_Static_assert(sizeof(struct event) == 40, "wire format");

enum event_flag {
	EVENT_UNCERTAIN = 1u << 0,	/* order against other threads' events is not certain: accuse of nothing */
	EVENT_IN_SIGNAL = 1u << 1,
	EVENT_SYNTHETIC = 1u << 2,	/* made by the reader (process gone, frame gone), not by the program */
	EVENT_SHARED = 1u << 3,		/* EVENT_ENTER: the ring came over fork(), and what its entries name is memory that processes share */
};

struct event_process {
	struct event h;
	uint32_t parent, child;
	uint32_t uid, gid;
	uint32_t page_size;
	uint32_t length;	/* of the path that follows */
};

struct event_exit {
	struct event h;
	int32_t status;		/* as wait(2), -1 = not known */
	uint32_t clean;		/* 1: exit() or return from main: all rings' last state was read before */
};

struct event_thread {
	struct event h;
	uint64_t stack_low, stack_high;
};

struct event_credentials {
	struct event h;
	uint32_t ruid, euid, suid, rgid, egid, sgid;
};

struct event_module {
	struct event h;
	uint64_t base;	/* load bias */
	uint64_t low, high;
	uint32_t length;
	uint32_t flags;
};

struct event_setup {
	struct event h;
	uint32_t entries;	/* as asked */
	int32_t result;		/* descriptor or -errno */
	uint32_t asked_flags;	/* the program's setup flags */
	uint32_t emulated;	/* bits taken away by the sensor before the call (SQPOLL ...) */
	struct uring_params params; /* as the kernel answered; as asked where it refused */
	uint64_t sq_ring, cq_ring, sqes; /* addresses when known (NO_MMAP), else 0 */
	uint32_t asked_cq_entries, asked_wq_fd;
	uint32_t asked_idle, asked_cpu;
	uint32_t asked_resv;	/* any of resv[] was set */
	uint32_t ring_is_sqpoll_kept; /* SQPOLL without emulation */
};

struct event_ring_state {
	struct event h;
	uint32_t sq_head, sq_tail, cq_head, cq_tail;
	uint32_t sq_flags, cq_overflow;
	int32_t fd;
	uint32_t known;		/* 0: the ring's memory could not be read */
};

struct event_register {
	struct event h;
	uint32_t opcode, nr_args;
	int32_t result;
	int32_t fd;
	uint64_t arg;		/* the pointer */
	uint32_t length;	/* bytes of argument in the tail */
	uint32_t phase;		/* 0 = returned (result valid). 1 = about to be made (for calls that block, change rings, or answer in the argument) */
};

enum event_fd_type {
	EVENT_FD_UNKNOWN, EVENT_FD_BAD /* not open */, EVENT_FD_FILE, EVENT_FD_DIR, EVENT_FD_PIPE, EVENT_FD_STREAM /* stream socket */,
	EVENT_FD_DGRAM /* any non-stream socket */, EVENT_FD_LISTENER, EVENT_FD_EVENTFD, EVENT_FD_TIMERFD, EVENT_FD_CHAR,
	EVENT_FD_BLOCK, EVENT_FD_RING, EVENT_FD_EPOLL, EVENT_FD_OTHER, EVENT_FD_PATH,
};

struct event_fd {
	struct event h;
	int32_t fd;
	uint16_t type;		/* enum event_fd_type */
	uint16_t access;	/* O_ACCMODE: 0 read only, 1 write only, 2 both */
	uint32_t open_flags;	/* F_GETFL */
	uint32_t ring;		/* for EVENT_FD_RING */
	uint64_t device, inode;	/* identity of the object; eventfd and other anonymous inodes: a sensor-made number in `inode`, device 0 */
	uint64_t file_size;	/* regular files */
};

struct event_fd_dup {
	struct event h;
	int32_t from, to;
};

struct event_fd_pair {
	struct event h;
	int32_t fd[2];		/* pipe: read end, write end */
	uint16_t type;		/* enum event_fd_type: PIPE, STREAM or DGRAM */
	uint16_t pad[3];
	uint64_t device, inode[2]; /* pipe: both the same */
};

struct event_enter {
	struct event h;
	uint32_t to_submit, min_complete, flags;
	uint32_t sq_head, sq_tail, cq_head, cq_tail, sq_flags;
	uint32_t n_submit;	/* EVENT_SUBMITs that follow */
	uint32_t cq_overflow;
	int32_t fd;
	uint32_t sq_dropped;
	uint64_t timeout;	/* nanoseconds; UINT64_MAX = waits without limit */
	uint64_t call;		/* number of this call; the return names it */
};

struct event_submit {
	struct event h;
	uint32_t slot;		/* index into the SQE array */
	uint32_t position;	/* 0.. within this call */
	uint16_t sqe_size;	/* 64 or 128 */
	uint16_t n_args;
	uint32_t sq_index;	/* free-running head value this entry has */
	struct uring_sqe sqe;
};

enum event_arg_kind {
	EVENT_ARG_IOVEC = 1,	/* struct iovec[] as 64-bit pairs */
	EVENT_ARG_MSGHDR,	/* struct msghdr */
	EVENT_ARG_MSG_IOVEC,	/* the msghdr's iovecs */
	EVENT_ARG_PATH,
	EVENT_ARG_PATH2,
	EVENT_ARG_TIMESPEC,
	EVENT_ARG_SOCKADDR,
	EVENT_ARG_SOCKLEN,
	EVENT_ARG_FUTEX_WAITV,
	EVENT_ARG_FAULT,	/* the memory at `address` could not be read: the kernel will say EFAULT */
	EVENT_ARG_OTHER,
};

struct event_arg {
	uint16_t kind;		/* enum event_arg_kind */
	uint16_t size;		/* bytes, this header and padding included; a multiple of 8 */
	uint16_t length;	/* bytes of data */
	uint16_t truncated;
	uint64_t address;
	/* data follows */
};

struct event_enter_return {
	struct event h;
	int32_t result;
	uint32_t consumed;	/* SQEs the kernel took, by the SQ head; UINT32_MAX = cannot be told */
	uint32_t sq_head, sq_tail, cq_head, cq_tail, sq_flags, cq_overflow;
	uint32_t sq_dropped, pad;
	uint64_t call;
};

struct event_complete {
	struct event h;
	struct uring_cqe cqe;
	uint64_t extra[2];	/* 32-byte CQEs */
	uint32_t cq_index;	/* free-running */
	uint32_t taken;		/* 1: the program's CQ head had already passed it when it was seen */
	uint64_t request;	/* the kernel's request pointer where the sensor has it, else 0 */
};

struct event_buffers {
	struct event h;
	uint16_t group;
	uint16_t n;
	uint16_t ring_entries;
	uint16_t tail;		/* after these */
};

struct event_bounds {
	struct event h;
	uint64_t address, length;	/* what the request uses */
	uint64_t base, size;		/* the allocation, with the size that was asked for */
	uint32_t position;		/* of the SUBMIT it concerns */
	uint32_t pad;
};

enum event_release_how {
	EVENT_FREE = 1, EVENT_REALLOC, EVENT_MUNMAP, EVENT_MREMAP, EVENT_MADVISE, EVENT_MMAP_FIXED, EVENT_SHMDT, EVENT_FRAME /* stack frame returned */,
	EVENT_THREAD_STACK,
};

struct event_release {
	struct event h;
	uint64_t address, length;
	uint32_t how;		/* enum event_release_how */
	uint32_t alloc_stack;	/* stack id of the allocation, 0 = not recorded */
	uint64_t asked;		/* size asked for, 0 = not known */
};

/* Registers in the order of DWARF numbers 0..16 for x86-64: rax rdx rcx rbx rsi rdi rbp rsp r8..r15 rip. */
struct event_stack {
	struct event h;		/* h.stack = the id being defined, unique in the process */
	uint64_t registers[17];
	uint64_t sp;
	uint32_t bytes;
	uint32_t pad;
};

struct event_lost {
	struct event h;
	uint64_t count;		/* events or completions missing; 0 = not known how many */
};

enum event_notice_topic {
	EVENT_NOTICE_OTHER, EVENT_NOTICE_STATIC, EVENT_NOTICE_SETID, EVENT_NOTICE_SECCOMP, EVENT_NOTICE_SIGSYS, EVENT_NOTICE_NO_SLOT,
};

struct event_notice {
	struct event h;
	uint32_t topic;		/* enum event_notice_topic */
	uint32_t length;
};

struct event_checksum {
	struct event h;
	uint64_t address, length, user_data;
};

/* Told for slots of the last consumed batch that are not part of the entries now published. */
struct event_slot_changed {
	struct event h;
	uint32_t slot;
	uint32_t sq_index;	/* free-running value it was consumed at */
	uint32_t sq_tail;	/* now: slots from here on may be under preparation for the next submission */
	uint32_t unchanged_between; /* 1: some slot between sq_tail and this one still holds its consumed contents, or nothing is being prepared, so this one is no preparation */
	struct uring_sqe now;
};

struct event_stray {
	struct event h;
	uint32_t number;	/* of the system call: 426 enter, 427 register */
	int32_t fd;
	int32_t result;		/* -EOPNOTSUPP: something else; -EBADF: nothing */
	uint32_t opcode;	/* of register */
};
