/* SPDX-License-Identifier: MIT */
/* Entries, completions and flags as text. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "abi/decode.h"
#include "abi/op.h"
#include "abi/uring.h"

static void assert_decodes(struct uring_sqe sqe, const char *fd_name, const char *expected)
{
	char line[512];

	assert_int_equal(abi_decode_sqe(line, sizeof(line), &sqe, fd_name), strlen(expected));
	assert_string_equal(line, expected);
}

enum { OPS_OF_6_18 = 63 };

#define ENTRY(op, ...) ((struct uring_sqe){ .opcode = URING_OP_##op, __VA_ARGS__ })

static void test_names_fields_as_the_operation_does(void **state)
{
	assert_decodes(ENTRY(READ, .fd = 7, .addr = 0x7f10, .len = 4096, .user_data = 0x12,
			     .flags = URING_SQE_FIXED_FILE | URING_SQE_IO_LINK),
		       "/data/x",
		       "READ(fd=7</data/x>, buf=0x7f10, len=4096, off=0, flags=FIXED_FILE|LINK, user_data=0x12)");
	assert_decodes(ENTRY(WRITE, .fd = 1, .off = UINT64_MAX), NULL,
		       "WRITE(fd=1, buf=0x0, len=0, off=-1, user_data=0x0)");
	assert_decodes(
		ENTRY(OPENAT, .fd = AT_FDCWD, .addr = 16, .op_flags = O_RDWR | O_CREAT | O_CLOEXEC, .len = 0644,
		      .file_index = UINT32_MAX),
		NULL,
		"OPENAT(dfd=AT_FDCWD, path=0x10, open_flags=O_RDWR|O_CREAT|O_CLOEXEC, mode=0644, file_index=ALLOC, "
		"user_data=0x0)");
	assert_decodes(ENTRY(EPOLL_CTL, .fd = 5, .off = 6, .len = 3, .addr = 1), NULL,
		       "EPOLL_CTL(epfd=5, op=MOD, fd=6, event=0x1, user_data=0x0)");
	assert_decodes(ENTRY(EPOLL_CTL, .fd = 5, .off = 6, .len = 0), NULL,
		       "EPOLL_CTL(epfd=5, op=0, fd=6, event=0x0, user_data=0x0)");
	assert_decodes(ENTRY(SPLICE, .fd = 5, .splice_fd_in = -1, .splice_off_in = UINT64_MAX, .len = 9), NULL,
		       "SPLICE(fd_in=-1, off_in=-1, fd_out=5, off=0, len=9, user_data=0x0)");
	assert_decodes(ENTRY(RECV, .fd = 5, .flags = URING_SQE_BUFFER_SELECT, .buf_group = 3, .ioprio = 2), NULL,
		       "RECV(fd=5, buf=0x0, len=0, ioprio=MULTISHOT, buf_index=3, flags=BUFFER_SELECT, user_data=0x0)");
}

static void test_one_number_means_different_things(void **state)
{
	assert_decodes(ENTRY(SEND, .fd = 5, .addr = 1, .len = 2), NULL, "SEND(fd=5, buf=0x1, len=2, user_data=0x0)");
	assert_decodes(ENTRY(SEND, .fd = 5, .addr = 1, .len = 2, .ioprio = URING_SEND_VECTORIZED), NULL,
		       "SEND(fd=5, iov=0x1, iovcnt=2, ioprio=VECTORIZED, user_data=0x0)");
	assert_decodes(ENTRY(URING_CMD, .fd = 5, .cmd_op = 3, .level = 1, .optname = 2, .optval = 16, .optlen = 4),
		       NULL, "URING_CMD(fd=5, cmd_op=0x3, level=1, optname=2, optval=0x10, optlen=4, user_data=0x0)");
	assert_decodes(ENTRY(URING_CMD, .fd = 5, .cmd_op = 0x4e80, .addr3 = 16), NULL,
		       "URING_CMD(fd=5, cmd_op=0x4e80, addr3=0x10, user_data=0x0)");
}

static void test_shows_what_the_operation_does_not_use(void **state)
{
	assert_decodes(ENTRY(FSYNC, .fd = 3, .addr = 9, .buf_index = 3, .personality = 2, .ioprio = 1, .pad2 = 4), NULL,
		       "FSYNC(fd=3, addr=0x9, ioprio=0x1, buf_index=3, pad2=0x4, personality=2, user_data=0x0)");
	assert_decodes((struct uring_sqe){ .opcode = 250, .fd = 4, .off = 1, .flags = 0x82 }, NULL,
		       "OP_250(fd=4, off=0x1, flags=DRAIN|0x80, user_data=0x0)");
	assert_decodes(ENTRY(NOP, .fd = -1), NULL, "NOP(user_data=0x0)");
}

static void test_a_terminal_does_not_obey_names(void **state)
{
	assert_decodes(ENTRY(FSYNC, .fd = 3), "/tmp/a\n\033[2J\\\x7f\xc3\xa4",
		       "FSYNC(fd=3</tmp/a\\x0a\\x1b[2J\\x5c\\x7f\xc3\xa4>, user_data=0x0)");
}

static void test_every_operation_has_arguments(void **state)
{
	struct uring_sqe sqe;
	char plain[1024], line[1024];

	memset(&sqe, 0x11, sizeof(sqe));
	sqe.opcode = 250;
	abi_decode_sqe(plain, sizeof(plain), &sqe, NULL);
	for (unsigned int i = 0; i < URING_OP_LAST; i++) {
		sqe.opcode = (uint8_t)i;
		abi_decode_sqe(line, sizeof(line), &sqe, NULL);
		assert_int_equal(strncmp(line, abi_op(i)->name, strlen(abi_op(i)->name)), 0);
		/* Not what an unknown one shows, which is the fields by their common names. */
		assert_string_not_equal(strchr(line, '('), strchr(plain, '('));
		assert_null(strstr(line, "..."));
	}
}

static void test_cuts_what_does_not_fit(void **state)
{
	struct uring_sqe sqe = ENTRY(READ, .fd = 7);
	char whole[256], line[256];
	size_t length = abi_decode_sqe(whole, sizeof(whole), &sqe, "/name");

	memset(line, 'x', sizeof(line));
	assert_int_equal(abi_decode_sqe(line, 0, &sqe, "/name"), 0);
	assert_int_equal(line[0], 'x');
	for (size_t size = 1; size <= length; size++) {
		size_t dots = size - 1 < 3 ? size - 1 : 3;

		memset(line, 'x', sizeof(line));
		assert_int_equal(abi_decode_sqe(line, size, &sqe, "/name"), size - 1);
		assert_int_equal(line[size - 1], '\0');
		assert_int_equal(line[size], 'x');
		assert_memory_equal(line, whole, size - 1 - dots);
		assert_string_equal(line + size - 1 - dots, &"..."[3 - dots]);
	}
	assert_int_equal(abi_decode_sqe(line, length + 1, &sqe, "/name"), length);
	assert_string_equal(line, whole);
}

static void assert_completes(int32_t res, uint32_t flags, const char *expected)
{
	struct uring_cqe cqe = { .res = res, .flags = flags };
	char line[128];

	assert_int_equal(abi_decode_cqe(line, sizeof(line), &cqe), strlen(expected));
	assert_string_equal(line, expected);
}

static void test_completions(void **state)
{
	assert_completes(4096, URING_CQE_F_MORE | URING_CQE_F_BUFFER | 3 << URING_CQE_BUFFER_SHIFT,
			 "res=4096 flags=MORE|BUFFER(3)");
	assert_completes(0, 0, "res=0");
	assert_completes(-EAGAIN, 0, "res=-11 EAGAIN");
	assert_completes(-512, 0, "res=-512");
	assert_completes(INT_MIN, URING_CQE_F_NOTIF, "res=-2147483648 ZC_COPIED flags=NOTIF");
	assert_completes(INT_MIN, 0, "res=-2147483648");
	assert_completes(1, 1u << 16 | 1u << 6, "res=1 flags=0x10040");
}

static void assert_flags(enum abi_flags which, unsigned int flags, const char *expected)
{
	char line[512];

	assert_int_equal(abi_decode_flags(line, sizeof(line), which, flags), strlen(expected));
	assert_string_equal(line, expected);
}

static void test_flags(void **state)
{
	assert_flags(ABI_FLAGS_SQE, 0, "0");
	assert_flags(ABI_FLAGS_SQE, 0xff, "FIXED_FILE|DRAIN|LINK|HARDLINK|ASYNC|BUFFER_SELECT|CQE_SKIP_SUCCESS|0x80");
	assert_flags(ABI_FLAGS_SETUP, URING_SETUP_SQPOLL | URING_SETUP_SQ_REWIND | 1u << 31,
		     "SQPOLL|SQ_REWIND|0x80000000");
	assert_flags(ABI_FLAGS_ENTER, URING_ENTER_GETEVENTS | URING_ENTER_NO_IOWAIT, "GETEVENTS|NO_IOWAIT");
	assert_flags(ABI_FLAGS_CQE, URING_CQE_F_BUFFER, "BUFFER(0)");
	assert_flags(ABI_FLAGS_FEATURES, URING_FEAT_NODROP | 1u << 20, "NODROP|0x100000");
}

static void test_register_names(void **state)
{
	for (unsigned int i = 0; i < URING_REG_LAST; i++) {
		assert_non_null(abi_register_name(i));
		assert_string_not_equal(abi_register_name(i), "unknown");
	}
	assert_string_equal(abi_register_name(0), "REGISTER_BUFFERS");
	assert_string_equal(abi_register_name(37), "BPF_FILTER");
	assert_string_equal(abi_register_name(URING_REG_FILES2 | URING_REG_USE_REGISTERED_RING), "FILES2");
	assert_string_equal(abi_register_name(URING_REG_LAST), "unknown");
	assert_string_equal(abi_register_name(~0u), "unknown");
}

static void see_flag(void *context, const char *field, const char *flag)
{
	unsigned int *n = context;

	assert_non_null(field);
	assert_non_null(flag);
	++*n;
}

static void see_level(void *context, const char *field, const char *flag)
{
	unsigned int *n = context;

	*n += !strcmp(field, "poll_flags") && !strcmp(flag, "LEVEL");
}

static void test_flags_of_operations(void **state)
{
	unsigned int n = 0;

	abi_op_flags(URING_OP_FSYNC, 0, see_flag, &n);
	assert_int_equal(n, 1);
	abi_op_flags(URING_OP_LISTEN, 0, see_flag, &n);
	abi_op_flags(URING_OP_LAST, 0, see_flag, &n);
	assert_int_equal(n, 1);
	abi_op_flags(URING_OP_SEND, 0, see_flag, &n);
	assert_true(n > 10);
	/* An operation's flags share a name with those of others, but some are refused. */
	n = 0;
	abi_op_flags(URING_OP_POLL_ADD, OPS_OF_6_18, see_level, &n);
	assert_int_equal(n, 0);
}

/* What has a name is found by it, in each of the ways that people write it. */
static void test_names_are_found_again(void **state)
{
	for (unsigned int bit = 0; bit < 32; bit++)
		for (int which = ABI_FLAGS_SQE; which <= ABI_FLAGS_FEATURES; which++)
			if (abi_flag_name((enum abi_flags)which, bit))
				assert_int_equal(
					abi_flag_find((enum abi_flags)which, abi_flag_name((enum abi_flags)which, bit)),
					1u << bit);
	for (unsigned int i = 0; i < URING_REG_LAST; i++)
		assert_int_equal(abi_register_find(abi_register_name(i)), i);
	assert_int_equal(abi_flag_find(ABI_FLAGS_SQE, "IOSQE_IO_LINK"), URING_SQE_IO_LINK);
	assert_int_equal(abi_flag_find(ABI_FLAGS_SQE, "io_drain"), URING_SQE_IO_DRAIN);
	assert_int_equal(abi_flag_find(ABI_FLAGS_SETUP, "IORING_SETUP_SQPOLL"), URING_SETUP_SQPOLL);
	assert_int_equal(abi_flag_find(ABI_FLAGS_SETUP, "LINK"), 0);
	assert_int_equal(abi_register_find("IORING_REGISTER_PBUF_RING"), URING_REG_REGISTER_PBUF_RING);
	assert_int_equal(abi_register_find("buffers"), URING_REG_REGISTER_BUFFERS);
	assert_int_equal(abi_register_find("register_probe"), URING_REG_PROBE);
	assert_int_equal(abi_register_find("UNREGISTER_NAPI"), URING_REG_UNREGISTER_NAPI);
	assert_true(abi_register_find("nothing") < 0);
	assert_null(abi_flag_name(ABI_FLAGS_SQE, 7));
	assert_null(abi_flag_name(ABI_FLAGS_SETUP, 32));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_fields_as_the_operation_does),
		cmocka_unit_test(test_one_number_means_different_things),
		cmocka_unit_test(test_shows_what_the_operation_does_not_use),
		cmocka_unit_test(test_a_terminal_does_not_obey_names),
		cmocka_unit_test(test_every_operation_has_arguments),
		cmocka_unit_test(test_cuts_what_does_not_fit),
		cmocka_unit_test(test_completions),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_register_names),
		cmocka_unit_test(test_flags_of_operations),
		cmocka_unit_test(test_names_are_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
