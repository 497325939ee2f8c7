/* SPDX-License-Identifier: MIT */
/*
 * What every opcode means: one const row per opcode, from src/abi/ops.def. Everything that prints, decodes, validates,
 * tracks or documents an operation reads these rows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uring_sqe;

/* Until when the kernel may touch the memory (measured: pointer lifetimes on Linux 6.18). */
enum abi_lifetime {
	ABI_UNTIL_CONSUMED,	/* copied when the SQE is consumed: by enter's return, later under SQPOLL */
	ABI_UNTIL_COMPLETE,	/* until the request's final CQE */
	ABI_UNTIL_NOTIF,	/* until the CQE with F_NOTIF (zero copy) */
};

enum abi_direction { ABI_IN = 1, ABI_OUT = 2, ABI_INOUT = 3 };	/* IN: the kernel reads it */

/*
 * What lies behind a pointer. For ABI_IOVEC and ABI_MSGHDR the row's lifetime is that of the array or struct itself, its
 * direction that of the data; an iovec array is only ever read, and copied when the SQE is consumed, behind a msghdr too.
 * With BUFFER_SELECT the elements' addresses do not count. A message's control is in use until complete, its name until
 * complete when receiving and until consumed when sending.
 */
enum abi_kind {
	ABI_DATA,	/* plain bytes */
	ABI_IOVEC,	/* array of struct iovec; what the elements point to is ABI_DATA until complete/notif */
	ABI_MSGHDR,	/* struct msghdr with its iovec array, name and control */
	ABI_PATH,	/* NUL-terminated */
	ABI_TIMESPEC,
	ABI_SOCKADDR,
	ABI_SOCKLEN,
	ABI_STRUCT,	/* another fixed-size struct: open_how, statx, siginfo, epoll_event, futex_waitv ... */
};

/* Where in the SQE the pointer lies. */
enum abi_field { ABI_FIELD_ADDR, ABI_FIELD_ADDR2, ABI_FIELD_ADDR3 };

/* How many bytes lie behind it. */
enum abi_length {
	ABI_LEN_LEN,		/* sqe->len bytes */
	ABI_LEN_IOVECS,		/* sqe->len * sizeof(struct iovec) */
	ABI_LEN_FIXED,		/* `size` bytes */
	ABI_LEN_STRING,		/* up to and including NUL */
	ABI_LEN_ADDR_LEN,	/* sqe->addr_len bytes (send's destination) */
	ABI_LEN_OFF,		/* sqe->off bytes (connect, bind) */
	ABI_LEN_OPTLEN,		/* sqe->optlen bytes (socket commands) */
	ABI_LEN_COUNT_SIZE,	/* sqe->len elements of `size` bytes */
	ABI_LEN_SOCKLEN,	/* *addr2 bytes, where addr2 points to a socklen_t (accept) */
	ABI_LEN_BUFFERS,	/* sqe->len bytes times sqe->fd buffers (PROVIDE_BUFFERS) */
};

struct abi_pointer {
	const char *name;	/* as in the man page: "buf", "iov", "msg", "path", "statxbuf" ... NULL ends the list */
	uint8_t field;		/* enum abi_field */
	uint8_t kind;		/* enum abi_kind */
	uint8_t length;		/* enum abi_length */
	uint8_t direction;	/* enum abi_direction */
	uint8_t lifetime;	/* enum abi_lifetime */
	uint16_t size;		/* for ABI_LEN_FIXED and ABI_LEN_COUNT_SIZE */
	uint32_t when;		/* enum abi_when: a condition on the SQE, 0 = always */
};

/* Conditions under which a pointer counts. */
enum abi_when {
	ABI_ALWAYS,
	ABI_WHEN_NO_BUFFER_SELECT,	/* not with IOSQE_BUFFER_SELECT */
	ABI_WHEN_NOT_VECTORIZED,	/* send: ioprio lacks VECTORIZED (and no BUFFER_SELECT) */
	ABI_WHEN_VECTORIZED,		/* send: ioprio has VECTORIZED */
	ABI_WHEN_NOT_IMMEDIATE,		/* timeout: flags lack IMMEDIATE_ARG */
	ABI_WHEN_SETSOCKOPT,
	ABI_WHEN_GETSOCKOPT,
	ABI_WHEN_EPOLL_NOT_DEL,
	ABI_WHEN_TIMEOUT_UPDATE,	/* timeout_remove: changes the timeout, and not to an IMMEDIATE_ARG */
	ABI_WHEN_SLOTS_CHOSEN,		/* files_update: the kernel only reads the descriptors */
	ABI_WHEN_FUTEX_PRIVATE,		/* futex_wake: the flags (in fd) have FUTEX2_PRIVATE, the address alone is the key */
	ABI_WHEN_FUTEX_SHARED,		/* the page behind the address is */
	ABI_WHEN_SLOTS_ALLOCATED,	/* files_update with FILE_INDEX_ALLOC: it writes the slots' numbers there */
};

enum abi_trait {
	ABI_FD = 1u << 0,		/* sqe->fd names a file */
	ABI_FD_DIR = 1u << 1,		/* sqe->fd is a directory fd, AT_FDCWD allowed */
	ABI_MULTISHOT = 1u << 2,	/* has a multishot form */
	ABI_BUFFER_SELECT = 1u << 3,	/* IOSQE_BUFFER_SELECT is legal */
	ABI_FIXED_BUFFER = 1u << 4,	/* always uses buf_index */
	ABI_ZERO_COPY = 1u << 5,	/* posts a second CQE with F_NOTIF */
	ABI_MAKES_FD = 1u << 6,		/* a result >= 0 is a new descriptor (unless into a fixed slot) */
	ABI_MAY_BLOCK = 1u << 7,	/* may wait for another party without bound (poll, accept, recv, futex ...) */
	ABI_SOCKET_ONLY = 1u << 8,
	ABI_READS_FILE = 1u << 9,	/* moves bytes out of the file: read, recv, splice's source ... */
	ABI_WRITES_FILE = 1u << 10,
	ABI_POSITIONED = 1u << 11,	/* sqe->off is a file offset */
	ABI_SHORT_BREAKS_LINK = 1u << 12, /* a short result severs a soft link (read/write class, not recv/send) */
	ABI_BOUNDED = 1u << 13,		/* io-wq runs it on bounded workers */
	ABI_STREAM_SEND = 1u << 14,	/* appends to a stream when fd is one: send class, and write class on pipes */
	ABI_STREAM_RECV = 1u << 15,
	ABI_IOPOLL = 1u << 16,		/* legal on an IOPOLL ring */
	ABI_NO_FILE_FLAG = 1u << 17,	/* IOSQE_FIXED_FILE is refused or meaningless */
};

enum { ABI_MAX_POINTERS = 5 };

struct abi_op {
	const char *name;	/* "READ" */
	uint16_t since;		/* kernel major << 8 | minor */
	uint32_t traits;	/* enum abi_trait */
	struct abi_pointer pointers[ABI_MAX_POINTERS];
	const char *summary;	/* one line for people */
};

/* The row for an opcode; opcodes beyond the table give the one "unknown" row, never NULL. */
const struct abi_op *abi_op(unsigned int opcode);

/* The opcode with that name (any case, with or without IORING_OP_), or -ENOENT. */
int abi_op_find(const char *name);

/* Whether the request as written is multishot (its flags ask for more than one completion). */
bool abi_sqe_is_multishot(const struct uring_sqe *sqe);

/* Whether this pointer of the op counts for this SQE (see enum abi_when). */
bool abi_pointer_applies(const struct abi_pointer *pointer, const struct uring_sqe *sqe);

/* The pointer's value. */
uint64_t abi_pointer_address(const struct abi_pointer *pointer, const struct uring_sqe *sqe);

/* Bytes behind the pointer as far as the SQE itself says; 0 when only the memory says it (strings, *addrlen). */
uint64_t abi_pointer_length(const struct abi_pointer *pointer, const struct uring_sqe *sqe);

/*
 * Why the kernel refuses this SQE before running it (so that a chain is cancelled whole and a batch stops), or 0 when it
 * would not: -EINVAL, -EOPNOTSUPP ..., as the kernel answers in the CQE. `ret_field` (may be NULL) gets the offending
 * field's name ("flags", "ioprio", "buf_index", ...) then. `ops_known` is the number of opcodes the running kernel knows, as its probe
 * tells (0: not known, then only what every kernel since Linux 5.15 refuses counts, and opcodes from 128 on). Says nothing
 * about files, memory (where the answer may be -EFAULT instead), neighbours or restrictions. Only refusals that were
 * observed are in it.
 */
int abi_sqe_refused(const struct uring_sqe *sqe, unsigned int setup_flags, unsigned int ops_known, const char **ret_field);
