/* SPDX-License-Identifier: MIT */
/* What an entry points to: copied into the event as far as rules have use for it, and noted in the filter. A table
 * of the pointers per opcode. */
#include <sys/socket.h>
#include <sys/uio.h>

#include "shim/inner.h"
#include "shim/shadow.h"

enum { MOST_VECTORS = 1024, MAX_IOVECS = 64, MAX_PATH = 256, MAX_NAME = 128, MAX_OTHER = 256 };

enum field { NONE, ADDR, ADDR2, ADDR3 };
enum rule { FIXED, LEN, IOVECS, STRING, OFF, ADDR_LEN, SOCKLEN_AT_ADDR2, ELEMENTS, BUFFERS, OPTLEN };

struct pointer {
	uint8_t kind; /* enum event_arg_kind, 0: data, for the filter only */
	uint8_t field, rule;
	uint16_t size;
	bool held; /* until the completion, as all data is: else it is copied at submission */
};

static const struct pointer pointers[URING_OP_LAST][3] = {
	[URING_OP_READV] = { { EVENT_ARG_IOVEC, ADDR, IOVECS } },
	[URING_OP_WRITEV] = { { EVENT_ARG_IOVEC, ADDR, IOVECS } },
	[URING_OP_READV_FIXED] = { { EVENT_ARG_IOVEC, ADDR, IOVECS } },
	[URING_OP_WRITEV_FIXED] = { { EVENT_ARG_IOVEC, ADDR, IOVECS } },
	[URING_OP_READ_FIXED] = { { 0, ADDR, LEN } },
	[URING_OP_WRITE_FIXED] = { { 0, ADDR, LEN } },
	[URING_OP_READ] = { { 0, ADDR, LEN } },
	[URING_OP_WRITE] = { { 0, ADDR, LEN } },
	[URING_OP_SEND] = { { 0, ADDR, LEN }, { EVENT_ARG_SOCKADDR, ADDR2, ADDR_LEN } },
	[URING_OP_SEND_ZC] = { { 0, ADDR, LEN }, { EVENT_ARG_SOCKADDR, ADDR2, ADDR_LEN } },
	[URING_OP_RECV] = { { 0, ADDR, LEN } },
	[URING_OP_SENDMSG] = { { EVENT_ARG_MSGHDR, ADDR, FIXED, sizeof(struct msghdr) } },
	[URING_OP_SENDMSG_ZC] = { { EVENT_ARG_MSGHDR, ADDR, FIXED, sizeof(struct msghdr) } },
	[URING_OP_RECVMSG] = { { EVENT_ARG_MSGHDR, ADDR, FIXED, sizeof(struct msghdr) } },
	[URING_OP_TIMEOUT] = { { EVENT_ARG_TIMESPEC, ADDR, FIXED, 16 } },
	[URING_OP_LINK_TIMEOUT] = { { EVENT_ARG_TIMESPEC, ADDR, FIXED, 16 } },
	[URING_OP_TIMEOUT_REMOVE] = { { EVENT_ARG_TIMESPEC, ADDR2, FIXED, 16 } },
	[URING_OP_ACCEPT] = { { EVENT_ARG_SOCKLEN, ADDR2, FIXED, 4, true }, { 0, ADDR, SOCKLEN_AT_ADDR2 } },
	[URING_OP_CONNECT] = { { EVENT_ARG_SOCKADDR, ADDR, OFF } },
	[URING_OP_BIND] = { { EVENT_ARG_SOCKADDR, ADDR, OFF } },
	[URING_OP_OPENAT] = { { EVENT_ARG_PATH, ADDR, STRING } },
	[URING_OP_OPENAT2] = { { EVENT_ARG_PATH, ADDR, STRING }, { EVENT_ARG_OTHER, ADDR2, LEN } },
	[URING_OP_STATX] = { { EVENT_ARG_PATH, ADDR, STRING }, { 0, ADDR2, FIXED, 256 } },
	[URING_OP_UNLINKAT] = { { EVENT_ARG_PATH, ADDR, STRING } },
	[URING_OP_MKDIRAT] = { { EVENT_ARG_PATH, ADDR, STRING } },
	[URING_OP_RENAMEAT] = { { EVENT_ARG_PATH, ADDR, STRING }, { EVENT_ARG_PATH2, ADDR2, STRING } },
	[URING_OP_SYMLINKAT] = { { EVENT_ARG_PATH, ADDR, STRING }, { EVENT_ARG_PATH2, ADDR2, STRING } },
	[URING_OP_LINKAT] = { { EVENT_ARG_PATH, ADDR, STRING }, { EVENT_ARG_PATH2, ADDR2, STRING } },
	[URING_OP_FSETXATTR] = { { EVENT_ARG_PATH, ADDR, STRING }, { 0, ADDR2, LEN } },
	[URING_OP_FGETXATTR] = { { EVENT_ARG_PATH, ADDR, STRING }, { 0, ADDR2, LEN } },
	[URING_OP_SETXATTR] = { { EVENT_ARG_PATH, ADDR, STRING },
				{ 0, ADDR2, LEN },
				{ EVENT_ARG_PATH2, ADDR3, STRING } },
	[URING_OP_GETXATTR] = { { EVENT_ARG_PATH, ADDR, STRING },
				{ 0, ADDR2, LEN },
				{ EVENT_ARG_PATH2, ADDR3, STRING } },
	[URING_OP_EPOLL_CTL] = { { EVENT_ARG_OTHER, ADDR, FIXED, 12 } },
	[URING_OP_FILES_UPDATE] = { { EVENT_ARG_OTHER, ADDR, ELEMENTS, 4, true } },
	[URING_OP_PROVIDE_BUFFERS] = { { 0, ADDR, BUFFERS } },
	[URING_OP_READ_MULTISHOT] = { { 0 } },
	[URING_OP_WAITID] = { { 0, ADDR2, FIXED, 128 } },
	[URING_OP_FUTEX_WAIT] = { { 0, ADDR, FIXED, 8 } },
	[URING_OP_FUTEX_WAKE] = { { 0, ADDR, FIXED, 8 } },
	[URING_OP_FUTEX_WAITV] = { { EVENT_ARG_FUTEX_WAITV, ADDR, ELEMENTS, 24 } },
	[URING_OP_EPOLL_WAIT] = { { 0, ADDR, ELEMENTS, 12 } },
	[URING_OP_PIPE] = { { 0, ADDR, FIXED, 8 } },
};

static const struct pointer vectorized[3] = { { EVENT_ARG_IOVEC, ADDR, IOVECS },
					      { EVENT_ARG_SOCKADDR, ADDR2, ADDR_LEN } };

struct writer {
	uint8_t *to;
	size_t used, room;
	uint16_t n;
};

static const struct pointer *pointers_of(const struct uring_sqe *sqe)
{
	if (sqe->opcode >= URING_OP_LAST)
		return pointers[URING_OP_NOP];
	if ((sqe->opcode == URING_OP_SEND || sqe->opcode == URING_OP_SEND_ZC) && sqe->ioprio & URING_SEND_VECTORIZED)
		return vectorized;
	if (sqe->opcode == URING_OP_TIMEOUT_REMOVE &&
	    !(sqe->op_flags & (URING_TIMEOUT_UPDATE | URING_LINK_TIMEOUT_UPDATE)))
		return pointers[URING_OP_NOP];
	if (sqe->op_flags & URING_TIMEOUT_IMMEDIATE_ARG &&
	    (sqe->opcode == URING_OP_TIMEOUT || sqe->opcode == URING_OP_LINK_TIMEOUT))
		return pointers[URING_OP_NOP];
	return pointers[sqe->opcode];
}

static uint64_t address_of(const struct pointer *pointer, const struct uring_sqe *sqe)
{
	return pointer->field == ADDR ? sqe->addr : pointer->field == ADDR2 ? sqe->addr2 : sqe->addr3;
}

static uint64_t bytes_of(const struct pointer *pointer, const struct uring_sqe *sqe)
{
	socklen_t length = 0;

	switch (pointer->rule) {
	case FIXED:
		return pointer->size;
	case LEN:
		return sqe->len;
	case IOVECS:
		return (uint64_t)sqe->len * sizeof(struct iovec);
	case STRING:
		return MAX_PATH;
	case OFF:
		return sqe->off;
	case ADDR_LEN:
		return sqe->addr_len;
	case ELEMENTS:
		return (uint64_t)sqe->len * pointer->size;
	case BUFFERS:
		return (uint64_t)sqe->len * (uint32_t)(sqe->fd > 0 ? sqe->fd : 0);
	case OPTLEN:
		return sqe->optlen;
	case SOCKLEN_AT_ADDR2:
		return shim_peek(&length, sqe->addr2, sizeof(length)) == sizeof(length) ? length : 0;
	}
	return 0;
}

size_t args_room(const struct uring_sqe *sqe)
{
	const struct pointer *pointer = pointers_of(sqe);
	size_t room = 0;

	for (int i = 0; i < 3 && pointer[i].field; i++)
		if (pointer[i].kind && address_of(&pointer[i], sqe))
			room += sizeof(struct event_arg) + (pointer[i].kind == EVENT_ARG_TIMESPEC  ? 16
							    : pointer[i].kind == EVENT_ARG_SOCKLEN ? 8
							    : pointer[i].kind == EVENT_ARG_MSGHDR  ? 1792
							    : pointer[i].kind == EVENT_ARG_IOVEC   ? 1024
												   : 256);
	return room;
}

/* One argument of at most `limit` bytes; returns its data in the event, or NULL where it could not be read. */
static void *put(struct writer *writer, uint16_t kind, uint64_t address, uint64_t bytes, size_t limit, bool string)
{
	struct event_arg *arg = (struct event_arg *)(writer->to + writer->used);
	size_t left = writer->room - writer->used, wanted = bytes < limit ? (size_t)bytes : limit, got, end = 0;

	if (left < sizeof(*arg))
		return NULL;
	left = (left - sizeof(*arg)) & ~(size_t)7;
	wanted = wanted < left ? wanted : left;
	got = shim_peek(arg + 1, address, wanted);
	if (string) {
		while (end < got && ((char *)(arg + 1))[end])
			end++;
		arg->truncated = end == got;
		got = end < got ? end + 1 : got;
	} else {
		arg->truncated = got < bytes;
	}
	arg->kind = got || !wanted ? kind : EVENT_ARG_FAULT;
	if (!string && got < wanted) {
		arg->kind = EVENT_ARG_FAULT;
		got = 0;
	}
	arg->length = (uint16_t)got;
	arg->size = (uint16_t)(sizeof(*arg) + ((got + 7) & ~(size_t)7));
	arg->address = address;
	writer->used += arg->size;
	writer->n++;
	return arg->kind == EVENT_ARG_FAULT ? NULL : (void *)(arg + 1);
}

static void put_message(struct writer *writer, uint64_t address)
{
	const struct msghdr *at = put(writer, EVENT_ARG_MSGHDR, address, sizeof(*at), sizeof(*at), false);
	struct msghdr message;

	if (!at)
		return;
	message = *at;
	if (message.msg_iov && message.msg_iovlen)
		put(writer, EVENT_ARG_MSG_IOVEC, (uint64_t)message.msg_iov,
		    (uint64_t)message.msg_iovlen * sizeof(struct iovec), MAX_IOVECS * sizeof(struct iovec), false);
	if (message.msg_name && message.msg_namelen)
		put(writer, EVENT_ARG_SOCKADDR, (uint64_t)message.msg_name, message.msg_namelen, MAX_NAME, false);
}

size_t args_write(const struct uring_sqe *sqe, uint8_t *to, size_t room, uint16_t *ret_count)
{
	const struct pointer *pointer = pointers_of(sqe);
	struct writer writer = { .to = to, .room = room };

	for (int i = 0; i < 3 && pointer[i].field; i++) {
		uint64_t address = address_of(&pointer[i], sqe), bytes = bytes_of(&pointer[i], sqe);

		if (!pointer[i].kind || !address)
			continue;
		if (pointer[i].kind == EVENT_ARG_MSGHDR)
			put_message(&writer, address);
		else if (bytes)
			put(&writer, pointer[i].kind, address, bytes,
			    pointer[i].kind == EVENT_ARG_IOVEC ? MAX_IOVECS * sizeof(struct iovec) : MAX_OTHER,
			    pointer[i].rule == STRING);
	}
	*ret_count = writer.n;
	return writer.used;
}

/* ---- what stays in use until the completion, and whether it is all there ---- */

struct claiming {
	struct emit *emit; /* NULL: bounds were looked at before */
	struct ring *ring;
	uint32_t position;
	bool queued; /* has yet to be consumed: all of it stays in use */
	bool silent; /* nobody would see the end of a success that is not told */
	struct filter_claims claims;
};

static void hold(struct claiming *claiming, uint64_t address, uint64_t length)
{
	if (claiming->silent)
		return;
	filter_add(&claiming->claims, address, length);
	if (address >= shim_self.stack_low && address < shim_self.stack_high)
		shim_self.stack_claims = STACK_GLANCES;
}

static void check_bounds(struct claiming *claiming, uint64_t address, uint64_t length)
{
	struct event_bounds event = { .address = address, .length = length, .position = claiming->position };

	if (!claiming->emit || !shadow_find(address, &event.base, &event.size) ||
	    length <= event.size - (address - event.base))
		return;
	emit_event(claiming->emit, EVENT_BOUNDS, claiming->ring->number, &event, sizeof(event));
}

static void claim_data(struct claiming *claiming, uint64_t address, uint64_t length, bool registered)
{
	if (!address || !length)
		return;
	if (!registered)
		check_bounds(claiming, address, length);
	hold(claiming, address, length);
}

static void claim_vectors(struct claiming *claiming, uint64_t address, uint64_t n, bool registered)
{
	struct iovec vectors[8];

	n = n < MOST_VECTORS ? n : MOST_VECTORS;
	for (uint64_t i = 0; i < n; i += 8) {
		size_t part = n - i < 8 ? n - i : 8;

		if (shim_peek(vectors, address + i * sizeof(vectors[0]), part * sizeof(vectors[0])) !=
		    part * sizeof(vectors[0]))
			return;
		for (size_t k = 0; k < part; k++)
			claim_data(claiming, (uint64_t)vectors[k].iov_base, vectors[k].iov_len, registered);
	}
}

static void claim_message(struct claiming *claiming, const struct uring_sqe *sqe)
{
	struct msghdr message;

	if (shim_peek(&message, sqe->addr, sizeof(message)) != sizeof(message))
		return;
	if (claiming->queued || sqe->opcode == URING_OP_RECVMSG) {
		hold(claiming, sqe->addr, sizeof(message));
		hold(claiming, (uint64_t)message.msg_name, message.msg_namelen);
	}
	if (claiming->queued)
		hold(claiming, (uint64_t)message.msg_iov, message.msg_iovlen * sizeof(struct iovec));
	hold(claiming, (uint64_t)message.msg_control, message.msg_controllen);
	if (message.msg_iov && !(sqe->flags & URING_SQE_BUFFER_SELECT))
		claim_vectors(claiming, (uint64_t)message.msg_iov, message.msg_iovlen, false);
}

/* Its data lies in memory that was registered, with bounds of its own. */
static bool uses_registered(const struct uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case URING_OP_READ_FIXED:
	case URING_OP_WRITE_FIXED:
	case URING_OP_READV_FIXED:
	case URING_OP_WRITEV_FIXED:
		return true;
	case URING_OP_SEND:
	case URING_OP_SEND_ZC:
	case URING_OP_SENDMSG_ZC:
		return sqe->ioprio & URING_RECVSEND_FIXED_BUF;
	}
	return false;
}

static void claim_pointer(struct claiming *claiming, const struct pointer *pointer, const struct uring_sqe *sqe)
{
	uint64_t address = address_of(pointer, sqe);

	if (pointer->kind == EVENT_ARG_IOVEC)
		claim_vectors(claiming, address, sqe->flags & URING_SQE_BUFFER_SELECT ? 0 : sqe->len,
			      uses_registered(sqe));
	else if (pointer->kind == EVENT_ARG_MSGHDR)
		claim_message(claiming, sqe);
	else if (pointer->rule == BUFFERS)
		check_bounds(claiming, address, bytes_of(pointer, sqe));
	else if (!pointer->kind && pointer->rule == LEN)
		claim_data(claiming, address, sqe->len, uses_registered(sqe));
	else if (!pointer->kind || (pointer->held && !claiming->queued))
		hold(claiming, address, bytes_of(pointer, sqe));
	if (claiming->queued && pointer->kind && pointer->kind != EVENT_ARG_MSGHDR)
		hold(claiming, address, bytes_of(pointer, sqe));
}

static void claim(struct claiming *claiming, const struct uring_sqe *sqe, uint64_t key)
{
	const struct pointer *pointer = pointers_of(sqe);

	if (!pointer->field)
		return;
	filter_begin(&claiming->claims, claiming->ring, key);
	for (int i = 0; i < 3 && pointer[i].field; i++)
		if (address_of(&pointer[i], sqe) &&
		    !(i == 0 && !pointer[i].kind && sqe->flags & URING_SQE_BUFFER_SELECT))
			claim_pointer(claiming, &pointer[i], sqe);
	filter_end(&claiming->claims);
}

void args_claim(struct emit *emit, struct ring *ring, const struct uring_sqe *sqe, uint32_t position)
{
	struct claiming claiming;

	claiming.emit = emit;
	claiming.ring = ring;
	claiming.position = position;
	claiming.queued = false;
	claiming.silent = sqe->flags & URING_SQE_CQE_SKIP_SUCCESS;
	claim(&claiming, sqe, sqe->user_data);
}

void args_claim_queued(struct ring *ring, const struct uring_sqe *sqe, uint64_t key)
{
	struct claiming claiming = { .ring = ring, .queued = true };

	claim(&claiming, sqe, key);
}
