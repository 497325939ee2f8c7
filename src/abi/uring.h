/* SPDX-License-Identifier: MIT */
/*
 * The io_uring interface as numbers and layouts.
 *
 * These are facts of the kernel's ABI (include/uapi/linux/io_uring.h up to Linux 7.2), written here under our own names
 * because a distribution's header may be years older than the kernel a program meets, and because this header must be
 * includable beside liburing's. The sizes of the structs are pinned below.
 */
#pragma once

#include <stdint.h>

enum uring_op {
	URING_OP_NOP = 0,
	URING_OP_READV = 1,
	URING_OP_WRITEV = 2,
	URING_OP_FSYNC = 3,
	URING_OP_READ_FIXED = 4,
	URING_OP_WRITE_FIXED = 5,
	URING_OP_POLL_ADD = 6,
	URING_OP_POLL_REMOVE = 7,
	URING_OP_SYNC_FILE_RANGE = 8,
	URING_OP_SENDMSG = 9,
	URING_OP_RECVMSG = 10,
	URING_OP_TIMEOUT = 11,
	URING_OP_TIMEOUT_REMOVE = 12,
	URING_OP_ACCEPT = 13,
	URING_OP_ASYNC_CANCEL = 14,
	URING_OP_LINK_TIMEOUT = 15,
	URING_OP_CONNECT = 16,
	URING_OP_FALLOCATE = 17,
	URING_OP_OPENAT = 18,
	URING_OP_CLOSE = 19,
	URING_OP_FILES_UPDATE = 20,
	URING_OP_STATX = 21,
	URING_OP_READ = 22,
	URING_OP_WRITE = 23,
	URING_OP_FADVISE = 24,
	URING_OP_MADVISE = 25,
	URING_OP_SEND = 26,
	URING_OP_RECV = 27,
	URING_OP_OPENAT2 = 28,
	URING_OP_EPOLL_CTL = 29,
	URING_OP_SPLICE = 30,
	URING_OP_PROVIDE_BUFFERS = 31,
	URING_OP_REMOVE_BUFFERS = 32,
	URING_OP_TEE = 33,
	URING_OP_SHUTDOWN = 34,
	URING_OP_RENAMEAT = 35,
	URING_OP_UNLINKAT = 36,
	URING_OP_MKDIRAT = 37,
	URING_OP_SYMLINKAT = 38,
	URING_OP_LINKAT = 39,
	URING_OP_MSG_RING = 40,
	URING_OP_FSETXATTR = 41,
	URING_OP_SETXATTR = 42,
	URING_OP_FGETXATTR = 43,
	URING_OP_GETXATTR = 44,
	URING_OP_SOCKET = 45,
	URING_OP_URING_CMD = 46,
	URING_OP_SEND_ZC = 47,
	URING_OP_SENDMSG_ZC = 48,
	URING_OP_READ_MULTISHOT = 49,
	URING_OP_WAITID = 50,
	URING_OP_FUTEX_WAIT = 51,
	URING_OP_FUTEX_WAKE = 52,
	URING_OP_FUTEX_WAITV = 53,
	URING_OP_FIXED_FD_INSTALL = 54,
	URING_OP_FTRUNCATE = 55,
	URING_OP_BIND = 56,
	URING_OP_LISTEN = 57,
	URING_OP_RECV_ZC = 58,
	URING_OP_EPOLL_WAIT = 59,
	URING_OP_READV_FIXED = 60,
	URING_OP_WRITEV_FIXED = 61,
	URING_OP_PIPE = 62,
	URING_OP_NOP128 = 63,
	URING_OP_URING_CMD128 = 64,
	URING_OP_LAST,
};

enum uring_sqe_flag {
	URING_SQE_FIXED_FILE = 1u << 0,
	URING_SQE_IO_DRAIN = 1u << 1,
	URING_SQE_IO_LINK = 1u << 2,
	URING_SQE_IO_HARDLINK = 1u << 3,
	URING_SQE_ASYNC = 1u << 4,
	URING_SQE_BUFFER_SELECT = 1u << 5,
	URING_SQE_CQE_SKIP_SUCCESS = 1u << 6,
};

enum uring_setup_flag {
	URING_SETUP_IOPOLL = 1u << 0,
	URING_SETUP_SQPOLL = 1u << 1,
	URING_SETUP_SQ_AFF = 1u << 2,
	URING_SETUP_CQSIZE = 1u << 3,
	URING_SETUP_CLAMP = 1u << 4,
	URING_SETUP_ATTACH_WQ = 1u << 5,
	URING_SETUP_R_DISABLED = 1u << 6,
	URING_SETUP_SUBMIT_ALL = 1u << 7,
	URING_SETUP_COOP_TASKRUN = 1u << 8,
	URING_SETUP_TASKRUN_FLAG = 1u << 9,
	URING_SETUP_SQE128 = 1u << 10,
	URING_SETUP_CQE32 = 1u << 11,
	URING_SETUP_SINGLE_ISSUER = 1u << 12,
	URING_SETUP_DEFER_TASKRUN = 1u << 13,
	URING_SETUP_NO_MMAP = 1u << 14,
	URING_SETUP_REGISTERED_FD_ONLY = 1u << 15,
	URING_SETUP_NO_SQARRAY = 1u << 16,
	URING_SETUP_HYBRID_IOPOLL = 1u << 17,
	URING_SETUP_CQE_MIXED = 1u << 18,
	URING_SETUP_SQE_MIXED = 1u << 19,
	URING_SETUP_SQ_REWIND = 1u << 20,
};

enum uring_enter_flag {
	URING_ENTER_GETEVENTS = 1u << 0,
	URING_ENTER_SQ_WAKEUP = 1u << 1,
	URING_ENTER_SQ_WAIT = 1u << 2,
	URING_ENTER_EXT_ARG = 1u << 3,
	URING_ENTER_REGISTERED_RING = 1u << 4,
	URING_ENTER_ABS_TIMER = 1u << 5,
	URING_ENTER_EXT_ARG_REG = 1u << 6,
	URING_ENTER_NO_IOWAIT = 1u << 7,
};

enum uring_feature {
	URING_FEAT_SINGLE_MMAP = 1u << 0,
	URING_FEAT_NODROP = 1u << 1,
	URING_FEAT_SUBMIT_STABLE = 1u << 2,
	URING_FEAT_RW_CUR_POS = 1u << 3,
	URING_FEAT_CUR_PERSONALITY = 1u << 4,
	URING_FEAT_FAST_POLL = 1u << 5,
	URING_FEAT_POLL_32BITS = 1u << 6,
	URING_FEAT_SQPOLL_NONFIXED = 1u << 7,
	URING_FEAT_EXT_ARG = 1u << 8,
	URING_FEAT_NATIVE_WORKERS = 1u << 9,
	URING_FEAT_RSRC_TAGS = 1u << 10,
	URING_FEAT_CQE_SKIP = 1u << 11,
	URING_FEAT_LINKED_FILE = 1u << 12,
	URING_FEAT_REG_REG_RING = 1u << 13,
	URING_FEAT_RECVSEND_BUNDLE = 1u << 14,
	URING_FEAT_MIN_TIMEOUT = 1u << 15,
	URING_FEAT_RW_ATTR = 1u << 16,
	URING_FEAT_NO_IOWAIT = 1u << 17,
};

enum uring_register_op {
	URING_REG_REGISTER_BUFFERS = 0,
	URING_REG_UNREGISTER_BUFFERS = 1,
	URING_REG_REGISTER_FILES = 2,
	URING_REG_UNREGISTER_FILES = 3,
	URING_REG_REGISTER_EVENTFD = 4,
	URING_REG_UNREGISTER_EVENTFD = 5,
	URING_REG_FILES_UPDATE = 6,
	URING_REG_EVENTFD_ASYNC = 7,
	URING_REG_PROBE = 8,
	URING_REG_REGISTER_PERSONALITY = 9,
	URING_REG_UNREGISTER_PERSONALITY = 10,
	URING_REG_RESTRICTIONS = 11,
	URING_REG_ENABLE_RINGS = 12,
	URING_REG_FILES2 = 13,
	URING_REG_FILES_UPDATE2 = 14,
	URING_REG_BUFFERS2 = 15,
	URING_REG_BUFFERS_UPDATE = 16,
	URING_REG_REGISTER_IOWQ_AFF = 17,
	URING_REG_UNREGISTER_IOWQ_AFF = 18,
	URING_REG_IOWQ_MAX_WORKERS = 19,
	URING_REG_REGISTER_RING_FDS = 20,
	URING_REG_UNREGISTER_RING_FDS = 21,
	URING_REG_REGISTER_PBUF_RING = 22,
	URING_REG_UNREGISTER_PBUF_RING = 23,
	URING_REG_SYNC_CANCEL = 24,
	URING_REG_FILE_ALLOC_RANGE = 25,
	URING_REG_PBUF_STATUS = 26,
	URING_REG_REGISTER_NAPI = 27,
	URING_REG_UNREGISTER_NAPI = 28,
	URING_REG_CLOCK = 29,
	URING_REG_CLONE_BUFFERS = 30,
	URING_REG_SEND_MSG_RING = 31,
	URING_REG_ZCRX_IFQ = 32,
	URING_REG_RESIZE_RINGS = 33,
	URING_REG_MEM_REGION = 34,
	URING_REG_QUERY = 35,
	URING_REG_ZCRX_CTRL = 36,
	URING_REG_BPF_FILTER = 37,
	URING_REG_LAST,
};

/* OR-ed into the register opcode when fd is an index of a registered ring (Linux 6.3). */
#define URING_REG_USE_REGISTERED_RING 0x80000000u

enum uring_cqe_flag {
	URING_CQE_F_BUFFER = 1u << 0,	/* buffer id in the upper 16 bits */
	URING_CQE_F_MORE = 1u << 1,
	URING_CQE_F_SOCK_NONEMPTY = 1u << 2,
	URING_CQE_F_NOTIF = 1u << 3,
	URING_CQE_F_BUF_MORE = 1u << 4,
	URING_CQE_F_SKIP = 1u << 5,
	URING_CQE_F_32 = 1u << 15,
};
#define URING_CQE_BUFFER_SHIFT 16

/* sq_ring->flags, written by the kernel */
enum uring_sq_flag { URING_SQ_NEED_WAKEUP = 1u << 0, URING_SQ_CQ_OVERFLOW = 1u << 1, URING_SQ_TASKRUN = 1u << 2 };

/* sqe->timeout_flags */
enum uring_timeout_flag {
	URING_TIMEOUT_ABS = 1u << 0,
	URING_TIMEOUT_UPDATE = 1u << 1,
	URING_TIMEOUT_BOOTTIME = 1u << 2,
	URING_TIMEOUT_REALTIME = 1u << 3,
	URING_LINK_TIMEOUT_UPDATE = 1u << 4,
	URING_TIMEOUT_ETIME_SUCCESS = 1u << 5,
	URING_TIMEOUT_MULTISHOT = 1u << 6,
	URING_TIMEOUT_IMMEDIATE_ARG = 1u << 7, /* addr is nanoseconds, no pointer (about 7.1) */
};

/* sqe->ioprio of send and recv */
enum uring_recvsend_flag {
	URING_RECVSEND_POLL_FIRST = 1u << 0,
	URING_RECV_MULTISHOT = 1u << 1,
	URING_RECVSEND_FIXED_BUF = 1u << 2,
	URING_SEND_ZC_REPORT_USAGE = 1u << 3,
	URING_RECVSEND_BUNDLE = 1u << 4,
	URING_SEND_VECTORIZED = 1u << 5, /* addr is an iovec array */
};

/* sqe->ioprio of accept */
enum uring_accept_flag {
	URING_ACCEPT_MULTISHOT = 1u << 0,
	URING_ACCEPT_DONTWAIT = 1u << 1,
	URING_ACCEPT_POLL_FIRST = 1u << 2,
};

/* sqe->cancel_flags */
enum uring_cancel_flag {
	URING_CANCEL_ALL = 1u << 0,
	URING_CANCEL_FD = 1u << 1,
	URING_CANCEL_ANY = 1u << 2,
	URING_CANCEL_FD_FIXED = 1u << 3,
	URING_CANCEL_USERDATA = 1u << 4,
	URING_CANCEL_OP = 1u << 5,
};

/* sqe->len of poll_add and poll_remove */
enum uring_poll_flag {
	URING_POLL_ADD_MULTI = 1u << 0,
	URING_POLL_UPDATE_EVENTS = 1u << 1,
	URING_POLL_UPDATE_USER_DATA = 1u << 2,
	URING_POLL_ADD_LEVEL = 1u << 3,
};

/* sqe->addr of msg_ring */
enum uring_msg_cmd { URING_MSG_DATA = 0, URING_MSG_SEND_FD = 1 };
enum uring_msg_flag { URING_MSG_RING_CQE_SKIP = 1u << 0, URING_MSG_RING_FLAGS_PASS = 1u << 1 };

enum uring_nop_flag {
	URING_NOP_INJECT_RESULT = 1u << 0,
	URING_NOP_FILE = 1u << 1,
	URING_NOP_FIXED_FILE = 1u << 2,
	URING_NOP_FIXED_BUFFER = 1u << 3,
	URING_NOP_TW = 1u << 4,
	URING_NOP_CQE32 = 1u << 5,
};

enum uring_cmd_flag { URING_CMD_FIXED = 1u << 0, URING_CMD_MULTISHOT = 1u << 1 };

enum uring_socket_cmd {
	URING_SOCKET_SIOCINQ,
	URING_SOCKET_SIOCOUTQ,
	URING_SOCKET_GETSOCKOPT,
	URING_SOCKET_SETSOCKOPT,
	URING_SOCKET_TX_TIMESTAMP,
	URING_SOCKET_GETSOCKNAME,
};

enum uring_pbuf_flag { URING_PBUF_RING_MMAP = 1u << 0, URING_PBUF_RING_INC = 1u << 1 };

/* sqe->file_index of ops that make a descriptor: allocate any free slot */
#define URING_FILE_INDEX_ALLOC UINT32_MAX

/* mmap offsets of the ring's regions (io_uring_setup(2)) */
#define URING_OFF_SQ_RING UINT64_C(0)
#define URING_OFF_CQ_RING UINT64_C(0x8000000)
#define URING_OFF_SQES UINT64_C(0x10000000)
#define URING_OFF_PBUF_RING UINT64_C(0x80000000)

#define URING_SETUP_MAX_SQ 32768u
#define URING_SETUP_MAX_CQ 65536u

struct uring_sqe {
	uint8_t opcode;
	uint8_t flags;
	uint16_t ioprio;
	int32_t fd;
	union {
		uint64_t off;
		uint64_t addr2;
		struct {
			uint32_t cmd_op;
			uint32_t pad1;
		};
	};
	union {
		uint64_t addr;
		uint64_t splice_off_in;
		struct {
			uint32_t level;
			uint32_t optname;
		};
	};
	uint32_t len;
	union {
		uint32_t op_flags; /* rw_flags, msg_flags, timeout_flags, accept_flags, ... */
		uint32_t poll32_events;
	};
	uint64_t user_data;
	union {
		uint16_t buf_index;
		uint16_t buf_group;
	};
	uint16_t personality;
	union {
		int32_t splice_fd_in;
		uint32_t file_index;
		uint32_t optlen;
		struct {
			uint16_t addr_len;
			uint16_t pad3;
		};
	};
	union {
		struct {
			uint64_t addr3;
			uint64_t pad2;
		};
		uint64_t optval;
		uint8_t cmd[16]; /* 80 bytes on SQE128 rings */
	};
};
_Static_assert(sizeof(struct uring_sqe) == 64, "kernel ABI");

struct uring_cqe {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};
_Static_assert(sizeof(struct uring_cqe) == 16, "kernel ABI");

struct uring_sq_offsets {
	uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
	uint64_t user_addr;
};

struct uring_cq_offsets {
	uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
	uint64_t user_addr;
};

struct uring_params {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3];
	struct uring_sq_offsets sq_off;
	struct uring_cq_offsets cq_off;
};
_Static_assert(sizeof(struct uring_params) == 120, "kernel ABI");

/* io_uring_enter's extended argument (IORING_ENTER_EXT_ARG) */
struct uring_getevents_arg {
	uint64_t sigmask;
	uint32_t sigmask_sz;
	uint32_t min_wait_usec;
	uint64_t ts;
};
_Static_assert(sizeof(struct uring_getevents_arg) == 24, "kernel ABI");

/* One entry of a provided-buffer ring; entry 0's resv is the ring's tail. */
struct uring_buf {
	uint64_t addr;
	uint32_t len;
	uint16_t bid;
	uint16_t resv;
};
_Static_assert(sizeof(struct uring_buf) == 16, "kernel ABI");

/* Argument of URING_REG_REGISTER_PBUF_RING */
struct uring_buf_reg {
	uint64_t ring_addr;
	uint32_t ring_entries;
	uint16_t bgid;
	uint16_t flags;
	uint64_t resv[3];
};
_Static_assert(sizeof(struct uring_buf_reg) == 40, "kernel ABI");

/* What an entry of a list of restrictions (URING_REG_RESTRICTIONS) is about. */
enum uring_restrict {
	URING_RESTRICT_REGISTER_OP = 0,
	URING_RESTRICT_SQE_OP = 1,
	URING_RESTRICT_SQE_FLAGS_ALLOWED = 2,
	URING_RESTRICT_SQE_FLAGS_REQUIRED = 3,
};

struct uring_restriction {
	uint16_t opcode; /* enum uring_restrict */
	uint8_t value;	 /* register op, op or flags */
	uint8_t resv;
	uint32_t resv2[3];
};
_Static_assert(sizeof(struct uring_restriction) == 16, "kernel ABI");

/* URING_REG_RESTRICTIONS on descriptor -1 (Linux 7.0): `restrictions` follow it; nr_args is 1. */
struct uring_task_restriction {
	uint16_t flags, n_restrictions;
	uint32_t resv[3];
	struct uring_restriction restrictions[];
};
_Static_assert(sizeof(struct uring_task_restriction) == 16, "kernel ABI");

/* Argument of URING_REG_QUERY (Linux 6.18; nr_args is 0), and what its query 0 answers. */
struct uring_query {
	uint64_t next_entry, query_data;
	uint32_t query_op, size;
	int32_t result;
	uint32_t resv[3];
};
_Static_assert(sizeof(struct uring_query) == 40, "kernel ABI");

struct uring_query_opcodes {
	uint32_t n_ops, n_register_ops;
	uint64_t features, setup_flags, enter_flags, sqe_flags;
	uint32_t n_queries, resv;
};
_Static_assert(sizeof(struct uring_query_opcodes) == 48, "kernel ABI");

struct uring_timespec {
	int64_t tv_sec;
	int64_t tv_nsec;
};
