/* SPDX-License-Identifier: MIT */
/* The table of operations and the questions that its rows answer about an entry. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>

#include "abi/op.h"
#include "abi/uring.h"

/* Each row's place in the file must be its opcode's number. */
enum place {
#define OP(op_name, ...) PLACE_##op_name,
#include "ops.def"
#undef OP
	PLACE_LAST
};
#define OP(op_name, ...) _Static_assert((int)PLACE_##op_name == (int)URING_OP_##op_name, "ops.def: row out of place");
#include "ops.def"
#undef OP
_Static_assert((int)PLACE_LAST == (int)URING_OP_LAST, "ops.def: a row is missing or too many");

#define VERSION(major, minor) ((major) << 8 | (minor))
#define P(p_name, p_field, p_kind, p_length, p_direction, p_lifetime, p_when, p_size)                                  \
	{                                                                                                              \
		.name = p_name, .field = ABI_FIELD_##p_field, .kind = ABI_##p_kind, .length = ABI_LEN_##p_length,      \
		.direction = ABI_##p_direction, .lifetime = ABI_UNTIL_##p_lifetime, .size = p_size,                    \
		.when = ABI_##p_when                                                                                   \
	}

static const struct abi_op ops[] = {
#define OP(op_name, op_since, op_traits, op_summary, ...)                                                              \
	{ .name = #op_name,                                                                                            \
	  .since = op_since,                                                                                           \
	  .traits = op_traits,                                                                                         \
	  .pointers = { __VA_ARGS__ },                                                                                 \
	  .summary = op_summary },
#include "ops.def"
#undef OP
};

static const struct abi_op unknown = { .name = "UNKNOWN", .summary = "an operation that this version does not know" };

const struct abi_op *abi_op(unsigned int opcode)
{
	return opcode < URING_OP_LAST ? &ops[opcode] : &unknown;
}

int abi_op_find(const char *name)
{
	static const char prefix[] = "IORING_OP_";

	if (!strncasecmp(name, prefix, sizeof(prefix) - 1))
		name += sizeof(prefix) - 1;
	for (int i = 0; i < URING_OP_LAST; i++)
		if (!strcasecmp(name, ops[i].name))
			return i;
	return -ENOENT;
}

bool abi_sqe_is_multishot(const struct uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case URING_OP_POLL_ADD:
		return sqe->len & URING_POLL_ADD_MULTI;
	case URING_OP_TIMEOUT:
		return sqe->op_flags & URING_TIMEOUT_MULTISHOT;
	case URING_OP_ACCEPT:
		return sqe->ioprio & URING_ACCEPT_MULTISHOT;
	case URING_OP_RECV:
	case URING_OP_RECVMSG:
	case URING_OP_RECV_ZC:
		return sqe->ioprio & URING_RECV_MULTISHOT;
	case URING_OP_URING_CMD:
	case URING_OP_URING_CMD128:
		return sqe->op_flags & URING_CMD_MULTISHOT;
	default:
		return sqe->opcode == URING_OP_READ_MULTISHOT;
	}
}

bool abi_pointer_applies(const struct abi_pointer *pointer, const struct uring_sqe *sqe)
{
	enum { EPOLL_DELETE = 2, FUTEX_PRIVATE = 128 };
	bool buffer_select = sqe->flags & URING_SQE_BUFFER_SELECT;
	bool vectorized = sqe->ioprio & URING_SEND_VECTORIZED;
	bool immediate = sqe->op_flags & URING_TIMEOUT_IMMEDIATE_ARG;

	switch (pointer->when) {
	case ABI_WHEN_NO_BUFFER_SELECT:
		return !buffer_select;
	case ABI_WHEN_NOT_VECTORIZED:
		return !vectorized && !buffer_select;
	case ABI_WHEN_VECTORIZED:
		return vectorized && !buffer_select;
	case ABI_WHEN_NOT_IMMEDIATE:
		return !immediate;
	case ABI_WHEN_SETSOCKOPT:
		return sqe->cmd_op == URING_SOCKET_SETSOCKOPT;
	case ABI_WHEN_GETSOCKOPT:
		return sqe->cmd_op == URING_SOCKET_GETSOCKOPT;
	case ABI_WHEN_EPOLL_NOT_DEL:
		return sqe->len != EPOLL_DELETE;
	case ABI_WHEN_TIMEOUT_UPDATE:
		return !immediate && sqe->op_flags & (URING_TIMEOUT_UPDATE | URING_LINK_TIMEOUT_UPDATE);
	case ABI_WHEN_FUTEX_PRIVATE:
		return sqe->fd & FUTEX_PRIVATE;
	case ABI_WHEN_FUTEX_SHARED:
		return !(sqe->fd & FUTEX_PRIVATE);
	case ABI_WHEN_SLOTS_CHOSEN:
		return (uint32_t)sqe->off != URING_FILE_INDEX_ALLOC;
	case ABI_WHEN_SLOTS_ALLOCATED:
		return (uint32_t)sqe->off == URING_FILE_INDEX_ALLOC;
	default:
		return true;
	}
}

uint64_t abi_pointer_address(const struct abi_pointer *pointer, const struct uring_sqe *sqe)
{
	return pointer->field == ABI_FIELD_ADDR    ? sqe->addr
	       : pointer->field == ABI_FIELD_ADDR2 ? sqe->addr2
						   : sqe->addr3;
}

uint64_t abi_pointer_length(const struct abi_pointer *pointer, const struct uring_sqe *sqe)
{
	switch (pointer->length) {
	case ABI_LEN_LEN:
		return sqe->len;
	case ABI_LEN_IOVECS:
		return (uint64_t)sqe->len * sizeof(struct iovec);
	case ABI_LEN_FIXED:
		return pointer->size;
	case ABI_LEN_ADDR_LEN:
		return sqe->addr_len;
	case ABI_LEN_OFF:
		return sqe->off;
	case ABI_LEN_OPTLEN:
		return sqe->optlen;
	case ABI_LEN_COUNT_SIZE:
		return (uint64_t)sqe->len * pointer->size;
	case ABI_LEN_BUFFERS:
		return (uint64_t)sqe->len * (uint32_t)(sqe->fd > 0 ? sqe->fd : 0);
	default:
		return 0;
	}
}
