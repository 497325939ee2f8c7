/* SPDX-License-Identifier: MIT */
/* An entry as one line in strace's manner: READ(fd=7</data/x>, buf=0x7f.., len=4096, off=0, flags=FIXED_FILE|LINK, user_data=0x12) */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct uring_sqe;
struct uring_cqe;

/*
 * Writes the line into `buf` (always NUL-terminated, truncated with "..." when it does not fit) and returns its length.
 * `fd_name` is what the descriptor is known as, or NULL.
 */
size_t abi_decode_sqe(char *buf, size_t size, const struct uring_sqe *sqe, const char *fd_name);

/* "res=4096 flags=MORE|BUFFER(3)"; errors as "res=-11 EAGAIN". */
size_t abi_decode_cqe(char *buf, size_t size, const struct uring_cqe *cqe);

/* Names of set bits joined by '|', unknown bits in hex, "0" for none. `which` picks the table. */
enum abi_flags { ABI_FLAGS_SQE, ABI_FLAGS_SETUP, ABI_FLAGS_ENTER, ABI_FLAGS_CQE, ABI_FLAGS_FEATURES };
size_t abi_decode_flags(char *buf, size_t size, enum abi_flags which, unsigned int flags);

/*
 * The flag at `bit` by its name, NULL where none is known there; and the mask of the flag so called (any case, with or
 * without IOSQE_, IORING_SETUP_ and the like, IO_LINK as well as LINK), 0 where there is none.
 */
const char *abi_flag_name(enum abi_flags which, unsigned int bit);
uint32_t abi_flag_find(enum abi_flags which, const char *name);

/* "REGISTER_BUFFERS", or "unknown". */
const char *abi_register_name(unsigned int opcode);

/* The register opcode with that name (any case; IORING_ and REGISTER_ may stand before it or not), or -ENOENT. */
int abi_register_find(const char *name);

/*
 * Calls `each` for every named flag of the operation's own fields ("msg_flags", "MSG_PEEK") that the kernel accepts, alone or beside
 * another; `ops_known` as for abi_sqe_refused(). Those of sqe->flags are not among them.
 */
typedef void abi_flag_visitor(void *context, const char *field, const char *flag);
void abi_op_flags(unsigned int opcode, unsigned int ops_known, abi_flag_visitor *each, void *context);
