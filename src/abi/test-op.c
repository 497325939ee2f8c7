/* SPDX-License-Identifier: MIT */
/* The rows of the table of operations: whole, in agreement with the system's headers, and what they say of entries. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <liburing.h>

#include "abi/op.h"
#include "abi/uring.h"

static void test_every_row_is_whole(void **state)
{
	for (unsigned int i = 0; i < URING_OP_LAST; i++) {
		const struct abi_op *op = abi_op(i);

		assert_non_null(op->name);
		assert_true(op->summary && *op->summary);
		/* Opcodes are only ever appended. */
		assert_true(op->since >= (i ? abi_op(i - 1)->since : 5 << 8 | 1));
		assert_int_equal(abi_op_find(op->name), i);
	}
}

/* Both ends of a pipe, but each of a list of descriptors. */
static size_t size_of(const struct abi_pointer *pointer)
{
	static const struct {
		const char *name;
		size_t size;
	} structs[] = {
		{ "statxbuf", sizeof(struct statx) },
		{ "infop", sizeof(siginfo_t) },
		{ "event", sizeof(struct epoll_event) },
		{ "events", sizeof(struct epoll_event) },
		{ "fds", sizeof(int) },
		{ "futex", sizeof(uint32_t) },
		{ "waiters", 24 },
	};

	for (size_t i = 0; i < sizeof(structs) / sizeof(structs[0]); i++)
		if (!strcmp(structs[i].name, pointer->name))
			return structs[i].size *
			       (pointer->length == ABI_LEN_FIXED && !strcmp(pointer->name, "fds") ? 2 : 1);
	return pointer->kind == ABI_MSGHDR     ? sizeof(struct msghdr)
	       : pointer->kind == ABI_TIMESPEC ? sizeof(struct __kernel_timespec)
	       : pointer->kind == ABI_SOCKLEN  ? sizeof(socklen_t)
					       : 0;
}

static void test_every_pointer_is_whole(void **state)
{
	for (unsigned int i = 0; i < URING_OP_LAST; i++)
		for (const struct abi_pointer *p = abi_op(i)->pointers; p->name; p++) {
			bool sized = p->length == ABI_LEN_FIXED || p->length == ABI_LEN_COUNT_SIZE;

			assert_in_range(p->direction, ABI_IN, ABI_INOUT);
			assert_int_equal(p->size, sized ? size_of(p) : 0);
			assert_int_equal(p->kind == ABI_PATH, p->length == ABI_LEN_STRING);
			assert_int_equal(p->kind == ABI_IOVEC, p->length == ABI_LEN_IOVECS);
			/* What the kernel writes it writes at the end, but for buffers that it is only told of. */
			assert_true(p->lifetime != ABI_UNTIL_CONSUMED || !(p->direction & ABI_OUT) ||
				    p->kind == ABI_IOVEC || i == URING_OP_PROVIDE_BUFFERS);
			assert_true(p->lifetime != ABI_UNTIL_NOTIF || abi_op(i)->traits & ABI_ZERO_COPY);
		}
}

/* As far as the distribution's header goes. */
static void test_numbers_are_the_systems(void **state)
{
#define SAME(name) assert_int_equal(abi_op_find(#name), name)
	SAME(IORING_OP_NOP);
	SAME(IORING_OP_READV);
	SAME(IORING_OP_READ_FIXED);
	SAME(IORING_OP_POLL_ADD);
	SAME(IORING_OP_SYNC_FILE_RANGE);
	SAME(IORING_OP_SENDMSG);
	SAME(IORING_OP_TIMEOUT);
	SAME(IORING_OP_ACCEPT);
	SAME(IORING_OP_LINK_TIMEOUT);
	SAME(IORING_OP_FALLOCATE);
	SAME(IORING_OP_CLOSE);
	SAME(IORING_OP_STATX);
	SAME(IORING_OP_READ);
	SAME(IORING_OP_MADVISE);
	SAME(IORING_OP_RECV);
	SAME(IORING_OP_EPOLL_CTL);
	SAME(IORING_OP_PROVIDE_BUFFERS);
	SAME(IORING_OP_TEE);
	SAME(IORING_OP_UNLINKAT);
	SAME(IORING_OP_LINKAT);
	SAME(IORING_OP_MSG_RING);
	SAME(IORING_OP_GETXATTR);
	SAME(IORING_OP_URING_CMD);
	SAME(IORING_OP_SENDMSG_ZC);
#undef SAME
}

static void test_unknown_opcodes_have_a_row(void **state)
{
	assert_non_null(abi_op(URING_OP_LAST)->name);
	assert_ptr_equal(abi_op(URING_OP_LAST), abi_op(255));
	assert_ptr_equal(abi_op(~0u), abi_op(255));
	assert_int_equal(abi_op(255)->traits, 0);
	assert_null(abi_op(255)->pointers[0].name);
}

static void test_finds_by_name(void **state)
{
	assert_int_equal(abi_op_find("READ"), URING_OP_READ);
	assert_int_equal(abi_op_find("read"), URING_OP_READ);
	assert_int_equal(abi_op_find("ioring_op_Send_zc"), URING_OP_SEND_ZC);
	assert_int_equal(abi_op_find("READ_"), -ENOENT);
	assert_int_equal(abi_op_find("UNKNOWN"), -ENOENT);
	assert_int_equal(abi_op_find("IORING_OP_"), -ENOENT);
	assert_int_equal(abi_op_find(""), -ENOENT);
}

static void test_knows_multishot(void **state)
{
	static const struct uring_sqe multishot[] = {
		{ .opcode = URING_OP_POLL_ADD, .len = URING_POLL_ADD_MULTI },
		{ .opcode = URING_OP_TIMEOUT, .op_flags = URING_TIMEOUT_MULTISHOT | URING_TIMEOUT_BOOTTIME },
		{ .opcode = URING_OP_ACCEPT, .ioprio = URING_ACCEPT_MULTISHOT },
		{ .opcode = URING_OP_RECV, .ioprio = URING_RECV_MULTISHOT },
		{ .opcode = URING_OP_RECVMSG, .ioprio = URING_RECV_MULTISHOT | URING_RECVSEND_POLL_FIRST },
		{ .opcode = URING_OP_RECV_ZC, .ioprio = URING_RECV_MULTISHOT },
		{ .opcode = URING_OP_READ_MULTISHOT },
		{ .opcode = URING_OP_URING_CMD, .op_flags = URING_CMD_MULTISHOT },
	};

	for (size_t i = 0; i < sizeof(multishot) / sizeof(multishot[0]); i++) {
		struct uring_sqe once = { .opcode = multishot[i].opcode };

		assert_true(abi_sqe_is_multishot(&multishot[i]));
		assert_true(abi_op(once.opcode)->traits & ABI_MULTISHOT);
		assert_int_equal(abi_sqe_is_multishot(&once), once.opcode == URING_OP_READ_MULTISHOT);
	}
	/* The same bits mean something else elsewhere. */
	for (unsigned int i = 0; i < 256; i++) {
		struct uring_sqe sqe = {
			.opcode = (uint8_t)i, .len = UINT32_MAX, .op_flags = UINT32_MAX, .ioprio = UINT16_MAX
		};

		assert_int_equal(abi_sqe_is_multishot(&sqe), (abi_op(i)->traits & ABI_MULTISHOT) != 0);
	}
}

/* The pointers that count, by name. */
static void assert_pointers(struct uring_sqe sqe, const char *expected)
{
	char found[256] = "";

	for (const struct abi_pointer *p = abi_op(sqe.opcode)->pointers; p->name; p++)
		if (abi_pointer_applies(p, &sqe))
			strcat(strcat(found, found[0] ? " " : ""), p->name);
	assert_string_equal(found, expected);
}

static void test_pointers_depend_on_the_entry(void **state)
{
#define ENTRY(op, ...) ((struct uring_sqe){ .opcode = URING_OP_##op, __VA_ARGS__ })
	assert_pointers(ENTRY(READ), "buf");
	assert_pointers(ENTRY(READ, .flags = URING_SQE_BUFFER_SELECT), "");
	assert_pointers(ENTRY(SEND), "buf addr");
	assert_pointers(ENTRY(SEND, .ioprio = URING_SEND_VECTORIZED), "iov addr");
	assert_pointers(ENTRY(SEND, .flags = URING_SQE_BUFFER_SELECT), "addr");
	assert_pointers(ENTRY(SEND_ZC, .ioprio = URING_SEND_VECTORIZED), "iov addr");
	assert_pointers(ENTRY(TIMEOUT), "ts");
	assert_pointers(ENTRY(TIMEOUT, .op_flags = URING_TIMEOUT_IMMEDIATE_ARG), "");
	assert_pointers(ENTRY(TIMEOUT_REMOVE), "");
	assert_pointers(ENTRY(TIMEOUT_REMOVE, .op_flags = URING_LINK_TIMEOUT_UPDATE), "ts");
	assert_pointers(ENTRY(EPOLL_CTL, .len = EPOLL_CTL_ADD), "event");
	assert_pointers(ENTRY(EPOLL_CTL, .len = EPOLL_CTL_DEL), "");
	assert_pointers(ENTRY(URING_CMD, .cmd_op = URING_SOCKET_SIOCINQ), "");
	assert_pointers(ENTRY(URING_CMD, .cmd_op = URING_SOCKET_SETSOCKOPT), "optval");
	assert_pointers(ENTRY(URING_CMD, .cmd_op = URING_SOCKET_GETSOCKOPT), "optval");
	assert_pointers(ENTRY(FILES_UPDATE, .off = 3), "fds");
	assert_pointers(ENTRY(FILES_UPDATE, .off = URING_FILE_INDEX_ALLOC), "fds");
	assert_pointers(ENTRY(FUTEX_WAKE, .fd = 2), "futex");
	assert_pointers(ENTRY(FUTEX_WAKE, .fd = 2 | 128), "futex");
	assert_pointers(ENTRY(SETXATTR), "name value path");
	assert_pointers(ENTRY(NOP), "");
}

static void assert_ranges(struct uring_sqe sqe, unsigned int index, uint64_t address, uint64_t length)
{
	const struct abi_pointer *p = &abi_op(sqe.opcode)->pointers[index];

	assert_int_equal(abi_pointer_address(p, &sqe), address);
	assert_int_equal(abi_pointer_length(p, &sqe), length);
}

static void test_addresses_and_lengths(void **state)
{
	assert_ranges(ENTRY(READ, .addr = 7, .len = UINT32_MAX), 0, 7, UINT32_MAX);
	assert_ranges(ENTRY(READV, .addr = 7, .len = 3), 0, 7, 48);
	assert_ranges(ENTRY(READV, .addr = 7, .len = UINT32_MAX), 0, 7, UINT64_C(16) * UINT32_MAX);
	assert_ranges(ENTRY(SEND, .addr2 = 9, .addr_len = 16), 2, 9, 16);
	assert_ranges(ENTRY(CONNECT, .addr = 5, .off = 110), 0, 5, 110);
	assert_ranges(ENTRY(ACCEPT, .addr = 5, .addr2 = 6), 0, 5, 0);
	assert_ranges(ENTRY(ACCEPT, .addr = 5, .addr2 = 6), 1, 6, 4);
	assert_ranges(ENTRY(OPENAT2, .addr = 5, .addr2 = 6, .len = 24), 1, 6, 24);
	assert_ranges(ENTRY(STATX, .addr2 = 6, .len = 9), 1, 6, 256);
	assert_ranges(ENTRY(GETXATTR, .addr3 = 8, .len = 9), 2, 8, 0);
	assert_ranges(ENTRY(GETXATTR, .addr2 = 8, .len = 9), 1, 8, 9);
	assert_ranges(ENTRY(FUTEX_WAITV, .addr = 8, .len = 2), 0, 8, 48);
	assert_ranges(ENTRY(PROVIDE_BUFFERS, .addr = 8, .len = 4096, .fd = 65536), 0, 8, UINT64_C(4096) << 16);
	assert_ranges(ENTRY(PROVIDE_BUFFERS, .addr = 8, .len = 4096, .fd = -1), 0, 8, 0);
	assert_ranges(ENTRY(URING_CMD, .optval = 8, .optlen = 4, .cmd_op = URING_SOCKET_SETSOCKOPT), 1, 8, 4);
#undef ENTRY
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_whole),
		cmocka_unit_test(test_every_pointer_is_whole),
		cmocka_unit_test(test_numbers_are_the_systems),
		cmocka_unit_test(test_unknown_opcodes_have_a_row),
		cmocka_unit_test(test_finds_by_name),
		cmocka_unit_test(test_knows_multishot),
		cmocka_unit_test(test_pointers_depend_on_the_entry),
		cmocka_unit_test(test_addresses_and_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
