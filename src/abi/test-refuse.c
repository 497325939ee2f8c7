/* SPDX-License-Identifier: MIT */
/*
 * What refuse.def says against the kernel that runs this: each entry is submitted as the second member of a chain. The
 * kernel cancels the first one if, and only if, it refused the second before running anything.
 *
 * Entries name no open file, so that what is not refused fails harmlessly.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/decode.h"
#include "abi/op.h"
#include "abi/uring.h"

enum { NO_FD = 0x7ffffff0, RANDOM_ENTRIES = 6000, OPS_OF_6_18 = 63 };

/* ---- one entry on a ring of its own ---- */

struct ring {
	int fd;
	struct uring_params params;
	char *rings;
	size_t rings_size;
	struct uring_sqe *sqes;
};

static int ring_open(struct ring *ring, unsigned int setup_flags)
{
	const struct uring_params *p = &ring->params;

	*ring = (struct ring){ .params = { .flags = setup_flags } };
	ring->fd = (int)syscall(__NR_io_uring_setup, 4, &ring->params);
	if (ring->fd < 0)
		return -errno;
	ring->rings_size = p->cq_off.cqes + p->cq_entries * 2 * sizeof(struct uring_cqe);
	ring->rings = mmap(NULL, ring->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, URING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, p->sq_entries * sizeof(struct uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			  URING_OFF_SQES);
	assert_ptr_not_equal(ring->rings, MAP_FAILED);
	assert_ptr_not_equal(ring->sqes, MAP_FAILED);
	return 0;
}

static void ring_close(struct ring *ring)
{
	munmap(ring->sqes, ring->params.sq_entries * sizeof(struct uring_sqe));
	munmap(ring->rings, ring->rings_size);
	close(ring->fd);
}

static unsigned int *ring_word(const struct ring *ring, uint32_t offset)
{
	return (unsigned int *)(ring->rings + offset);
}

/* The result of the entry with that user_data, or 1 when it has not completed; the first one if there are two. */
static int ring_result(const struct ring *ring, uint64_t user_data)
{
	const struct uring_cqe *cqes = (const struct uring_cqe *)(ring->rings + ring->params.cq_off.cqes);
	unsigned int head = *ring_word(ring, ring->params.cq_off.head);
	unsigned int tail = __atomic_load_n(ring_word(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE);

	for (; head != tail; head++)
		if (cqes[head & (ring->params.cq_entries - 1)].user_data == user_data)
			return cqes[head & (ring->params.cq_entries - 1)].res;
	return 1;
}

/* Submits a NOP linked to the entry and waits for both if the first was cancelled: that is always told then. */
static void ring_submit(struct ring *ring, const struct uring_sqe *sqe, uint64_t first_data)
{
	unsigned int *tail = ring_word(ring, ring->params.sq_off.tail);
	uint32_t *array = ring_word(ring, ring->params.sq_off.array), mask = ring->params.sq_entries - 1;
	unsigned int at[] = { *tail & mask, (*tail + 1) & mask };

	ring->sqes[at[0]] =
		(struct uring_sqe){ .opcode = URING_OP_NOP, .flags = URING_SQE_IO_LINK, .user_data = first_data };
	ring->sqes[at[1]] = *sqe;
	ring->sqes[at[1]].user_data = first_data + 1;
	array[at[0]] = at[0];
	array[at[1]] = at[1];
	__atomic_store_n(ring_word(ring, ring->params.cq_off.head), *ring_word(ring, ring->params.cq_off.tail),
			 __ATOMIC_RELEASE);
	__atomic_store_n(tail, *tail + 2, __ATOMIC_RELEASE);
	assert_int_equal(syscall(__NR_io_uring_enter, ring->fd, 2, 1, URING_ENTER_GETEVENTS, NULL, 0), 2);
	if (ring_result(ring, first_data) == -ECANCELED)
		syscall(__NR_io_uring_enter, ring->fd, 0, 2, URING_ENTER_GETEVENTS, NULL, 0);
}

/*
 * 0 when the kernel starts the entry, else the error it refuses it with. A ring is used again as long as nothing is
 * left in it that changes what the next entry meets.
 */
static int kernel_refuses(const struct uring_sqe *sqe, unsigned int setup_flags)
{
	enum { STICKY = URING_SQE_IO_DRAIN | URING_SQE_CQE_SKIP_SUCCESS };
	static struct ring ring = { .fd = -1 };
	static uint64_t data = 1;
	int first, second;

	if (ring.fd >= 0 && ring.params.flags != setup_flags) {
		ring_close(&ring);
		ring.fd = -1;
	}
	if (ring.fd < 0)
		assert_int_equal(ring_open(&ring, setup_flags), 0);
	data += 2;
	ring_submit(&ring, sqe, data);
	first = ring_result(&ring, data);
	second = ring_result(&ring, data + 1);
	assert_true(first == 0 || (first == -ECANCELED && second < 0));
	/* What the entry opened. */
	syscall(__NR_close_range, ring.fd + 1, ~0u, 0);
	if (second == 1 || sqe->flags & STICKY) {
		ring_close(&ring);
		ring.fd = -1;
	}
	return first == 0 ? 0 : second;
}

static unsigned int ops_known(void)
{
	struct {
		uint8_t last_op, n;
		uint16_t reserved;
		uint32_t more[3];
		uint64_t ops[256];
	} probe = { 0 };
	struct ring ring;

	if (ring_open(&ring, 0) < 0)
		return 0;
	syscall(__NR_io_uring_register, ring.fd, URING_REG_PROBE, &probe, 256);
	ring_close(&ring);
	return probe.last_op + 1u;
}

/* ---- entries that are right ---- */

static struct iovec iovec;
static struct msghdr msghdr;
static int64_t minute[2] = { 60, 0 };
static char text[4096] = "user.circlip", value[4096];
static char path[4096] = "/nonexistent/circlip";
static uint64_t how[512];
static struct {
	uint64_t value, address;
	uint32_t flags, reserved;
} waiters[128];

#define AT(object) .addr = (uint64_t)(uintptr_t)(object)
#define AT2(object) .addr2 = (uint64_t)(uintptr_t)(object)
#define AT3(object) .addr3 = (uint64_t)(uintptr_t)(object)

static struct uring_sqe right(unsigned int opcode)
{
	const struct uring_sqe entries[URING_OP_LAST] = {
		[URING_OP_READV] = { AT(&iovec), .len = 1 },
		[URING_OP_WRITEV] = { AT(&iovec), .len = 1 },
		[URING_OP_READV_FIXED] = { AT(&iovec), .len = 1 },
		[URING_OP_WRITEV_FIXED] = { AT(&iovec), .len = 1 },
		[URING_OP_SENDMSG] = { AT(&msghdr), .len = 1 },
		[URING_OP_SENDMSG_ZC] = { AT(&msghdr), .len = 1 },
		[URING_OP_RECVMSG] = { AT(&msghdr), .len = 1 },
		[URING_OP_TIMEOUT] = { AT(minute), .len = 1 },
		[URING_OP_LINK_TIMEOUT] = { AT(minute), .len = 1 },
		[URING_OP_TIMEOUT_REMOVE] = { .addr = 99, AT2(minute) },
		[URING_OP_CONNECT] = { AT(value), .off = 16 },
		[URING_OP_BIND] = { AT(value), .off = 16 },
		[URING_OP_OPENAT] = { AT(path) },
		[URING_OP_OPENAT2] = { AT(path), AT2(how), .len = 24 },
		[URING_OP_STATX] = { AT(path), AT2(value) },
		[URING_OP_UNLINKAT] = { AT(path) },
		[URING_OP_MKDIRAT] = { AT(path) },
		[URING_OP_RENAMEAT] = { AT(path), AT2(path) },
		[URING_OP_LINKAT] = { AT(path), AT2(path) },
		[URING_OP_SYMLINKAT] = { AT(path), AT2(path) },
		[URING_OP_FSETXATTR] = { AT(text), AT2(value), .len = 8 },
		[URING_OP_SETXATTR] = { AT(text), AT2(value), .len = 8, AT3(path) },
		[URING_OP_FGETXATTR] = { AT(text), AT2(value), .len = 8 },
		[URING_OP_GETXATTR] = { AT(text), AT2(value), .len = 8, AT3(path) },
		[URING_OP_FILES_UPDATE] = { AT(value), .len = 1 },
		[URING_OP_EPOLL_CTL] = { AT(value), .len = 1 },
		[URING_OP_EPOLL_WAIT] = { AT(value), .len = 1 },
		[URING_OP_PROVIDE_BUFFERS] = { AT(value), .len = 16, .fd = 1 },
		[URING_OP_REMOVE_BUFFERS] = { .fd = 1 },
		[URING_OP_SOCKET] = { .fd = AF_UNIX, .off = SOCK_STREAM },
		[URING_OP_WAITID] = { .fd = NO_FD, .len = 1, AT2(value), .file_index = 4 },
		[URING_OP_FUTEX_WAIT] = { .fd = 2, AT(value), .off = 1, .addr3 = UINT32_MAX },
		[URING_OP_FUTEX_WAKE] = { .fd = 2, AT(value), .off = 1, .addr3 = UINT32_MAX },
		[URING_OP_FUTEX_WAITV] = { AT(waiters), .len = 1 },
		[URING_OP_PIPE] = { AT(value) },
		[URING_OP_READ_MULTISHOT] = { .flags = URING_SQE_BUFFER_SELECT },
		[URING_OP_FIXED_FD_INSTALL] = { .flags = URING_SQE_FIXED_FILE },
	};
	struct uring_sqe sqe = entries[opcode];

	sqe.opcode = (uint8_t)opcode;
	if (abi_op(opcode)->traits & (ABI_FD | ABI_FD_DIR))
		sqe.fd = NO_FD;
	return sqe;
}

static void make_arguments(void)
{
	iovec = (struct iovec){ .iov_base = value, .iov_len = 8 };
	msghdr = (struct msghdr){ .msg_iov = &iovec, .msg_iovlen = 1 };
	for (size_t i = 0; i < sizeof(waiters) / sizeof(waiters[0]); i++) {
		waiters[i].value = 1;
		waiters[i].address = (uint64_t)(uintptr_t)value;
		waiters[i].flags = 2;
	}
}

/* ---- entries that are not ---- */

enum { CHANGES = 190 };

/*
 * Advice about whatever memory the numbers name is no experiment to make; and the number of a real file is none. Zero
 * copy behind a drain waits for its own notification for ever (Linux 6.18).
 */
static bool change_is_safe(const struct uring_sqe *sqe)
{
	bool file = abi_op(sqe->opcode)->traits & (ABI_FD | ABI_FD_DIR);

	if (abi_op(sqe->opcode)->traits & ABI_ZERO_COPY && sqe->flags & URING_SQE_IO_DRAIN)
		return false;
	if (sqe->opcode == URING_OP_MADVISE)
		return !sqe->op_flags && !sqe->len;
	return !file || sqe->opcode == URING_OP_FIXED_FD_INSTALL || sqe->fd == NO_FD || sqe->fd < 0;
}

/* One of CHANGES things to do to an entry: every bit of the small fields, and telling values of the others. */
static void change(struct uring_sqe *sqe, unsigned int number)
{
	static const uint64_t offs[] = { 0, 1, 129, 1 << 16, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX };
	static const uint32_t lens[] = { 0, 3, 5, 6, 7, 9, 23, 128, 129, 1025, 65537, UINT32_MAX };
	static const uint32_t flags[] = { 3, 5, 6, 9, 12, 18, 20, 24, 36, 65, 68, UINT32_MAX };
	static const uint16_t priorities[] = { 3, 0x12, 0x18, 0x30, 0x4007, 0x6000, 0x8001, 0xffff };
	static const uint32_t indexes[] = { 0, 1, 5, 200, 1 << 16, UINT32_MAX };
	static const int fds[] = { -1, 0, 1, 3, 6, 10, 16, 66, 130, 256, 65536, 65537 };
	static const uint8_t sqe_flags[] = { 0x21, 0x42, 0x60, 0x62, 0x81 };
#define TAKE(array, field)                                                                                             \
	if (number < sizeof(array) / sizeof(array[0])) {                                                               \
		sqe->field = array[number];                                                                            \
		return;                                                                                                \
	}                                                                                                              \
	number -= sizeof(array) / sizeof(array[0])
#define TOGGLE(bits, field)                                                                                            \
	if (number < (bits)) {                                                                                         \
		sqe->field ^= (__typeof__(sqe->field))(UINT64_C(1) << number);                                         \
		return;                                                                                                \
	}                                                                                                              \
	number -= (bits)

	TOGGLE(8, flags);
	TOGGLE(16, ioprio);
	TOGGLE(32, op_flags);
	TOGGLE(32, len);
	TOGGLE(4, addr);
	TOGGLE(16, buf_index);
	TOGGLE(4, addr3);
	TOGGLE(4, pad2);
	TOGGLE(8, off);
	TAKE(offs, off);
	TAKE(lens, len);
	TAKE(flags, op_flags);
	TAKE(priorities, ioprio);
	TAKE(indexes, file_index);
	TAKE(fds, fd);
	TAKE(sqe_flags, flags);
	sqe->addr = 0;
}

/* Whether an argument lies elsewhere than was prepared: anything may be there. */
static bool points_elsewhere(const struct uring_sqe *sqe)
{
	const struct uring_sqe prepared = right(sqe->opcode);

	for (const struct abi_pointer *p = abi_op(sqe->opcode)->pointers; p->name; p++)
		if (p->kind != ABI_DATA && abi_pointer_address(p, sqe) != abi_pointer_address(p, &prepared))
			return true;
	return false;
}

/* Refusals that abi_sqe_refused() leaves to others: memory, and counts of what lies in it. */
static bool not_the_tables(const struct uring_sqe *sqe, int error)
{
	bool sent_iovecs = (sqe->opcode == URING_OP_SEND || sqe->opcode == URING_OP_SEND_ZC) &&
			   sqe->ioprio & URING_SEND_VECTORIZED;
	bool fixed_iovecs = sqe->opcode == URING_OP_READV_FIXED || sqe->opcode == URING_OP_WRITEV_FIXED;

	if (error == -EFAULT || error == -ENOENT || error == -ENOMEM || error == -ERANGE || error == -EOVERFLOW ||
	    error == -EPERM)
		return true;
	if (sqe->opcode < URING_OP_LAST && points_elsewhere(sqe))
		return true;
	if (sqe->opcode == URING_OP_PROVIDE_BUFFERS)
		return sqe->off + (uint32_t)sqe->fd > 65536;
	/* More than a page is too much to be looked at; and O_CLOEXEC for a fixed slot stands in the struct. */
	if (sqe->opcode == URING_OP_OPENAT2)
		return error == -E2BIG || sqe->file_index;
	/* Elements beyond those that were filled. */
	if (sqe->opcode == URING_OP_FUTEX_WAITV)
		return sqe->len > 1;
	if (sqe->opcode == URING_OP_WRITEV || sqe->opcode == URING_OP_READV || fixed_iovecs || sent_iovecs)
		return sqe->len > 1;
	return false;
}

/* Prints where they differ and returns 1 then. */
static int compare(const struct uring_sqe *sqe, unsigned int setup_flags, unsigned int known)
{
	const char *field = NULL;
	int said = abi_sqe_refused(sqe, setup_flags, known, &field), done = kernel_refuses(sqe, setup_flags);
	char line[512];

	if (said == done || (said && done && not_the_tables(sqe, done)))
		return 0;
	if (!said && (not_the_tables(sqe, done) || known != OPS_OF_6_18))
		return 0;
	abi_decode_sqe(line, sizeof(line), sqe, NULL);
	print_error("%s: said %d (%s), the kernel's answer is %d\n", line, said, field ? field : "-", done);
	return 1;
}

/* An operation whose right entry this machine cannot make. */
static bool is_comparable(unsigned int opcode)
{
	return opcode != URING_OP_RECV_ZC;
}

static void test_right_entries_are_not_refused(void **state)
{
	const unsigned int *known = *state;
	const char *field = NULL;

	for (unsigned int opcode = 0; opcode < *known && opcode < URING_OP_LAST; opcode++) {
		struct uring_sqe sqe = right(opcode);

		if (!is_comparable(opcode))
			continue;
		if (abi_sqe_refused(&sqe, 0, *known, &field) || kernel_refuses(&sqe, 0))
			fail_msg("%s", abi_op(opcode)->name);
	}
}

static void test_one_change(void **state)
{
	const unsigned int *known = *state;
	int n = 0;

	for (unsigned int opcode = 0; opcode < *known && opcode < URING_OP_LAST; opcode++)
		for (unsigned int number = 0; number < CHANGES && is_comparable(opcode); number++) {
			struct uring_sqe sqe = right(opcode);

			change(&sqe, number);
			if (change_is_safe(&sqe))
				n += compare(&sqe, 0, *known);
		}
	assert_int_equal(n, 0);
}

static void test_several_changes(void **state)
{
	const unsigned int *known = *state;
	uint64_t random = 1;
	int n_differ = 0;

	for (unsigned int i = 0; i < RANDOM_ENTRIES; i++) {
		unsigned int opcode = i % (*known < URING_OP_LAST ? *known : URING_OP_LAST);
		struct uring_sqe sqe = right(opcode);

		for (unsigned int n = 0; n < 2 + i % 3; n++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			change(&sqe, (unsigned int)(random >> 33) % CHANGES);
		}
		if (is_comparable(opcode) && change_is_safe(&sqe))
			n_differ += compare(&sqe, 0, *known);
	}
	assert_int_equal(n_differ, 0);
}

static void test_iopoll_rings(void **state)
{
	const unsigned int *known = *state;

	for (unsigned int opcode = 0; opcode < *known && opcode < URING_OP_LAST; opcode++) {
		struct uring_sqe sqe = right(opcode);

		if (is_comparable(opcode))
			assert_int_equal(compare(&sqe, URING_SETUP_IOPOLL, *known), 0);
	}
}

static void test_unknown_opcodes(void **state)
{
	const unsigned int *known = *state;

	for (unsigned int opcode = *known; opcode < 256; opcode++) {
		struct uring_sqe sqe = { .opcode = (uint8_t)opcode };

		assert_int_equal(compare(&sqe, 0, *known), 0);
	}
}

/* ---- what needs no kernel ---- */

static void test_names_the_field(void **state)
{
	static const struct {
		struct uring_sqe sqe;
		const char *field;
		int error;
	} cases[] = {
		{ { .opcode = URING_OP_FSYNC, .buf_index = 3 }, "buf_index", -EINVAL },
		{ { .opcode = URING_OP_FSYNC, .flags = URING_SQE_BUFFER_SELECT }, "flags", -EOPNOTSUPP },
		{ { .opcode = URING_OP_FSYNC, .op_flags = 2 }, "fsync_flags", -EINVAL },
		{ { .opcode = URING_OP_NOP, .flags = 0x80 }, "flags", -EINVAL },
		{ { .opcode = URING_OP_READ, .ioprio = 0xffff }, "ioprio", -EINVAL },
		{ { .opcode = URING_OP_CONNECT, .ioprio = 1 }, "ioprio", -EINVAL },
		{ { .opcode = URING_OP_CLOSE, .fd = 3, .file_index = 1 }, "fd", -EINVAL },
		{ { .opcode = URING_OP_OPENAT, .flags = URING_SQE_FIXED_FILE }, "flags", -EBADF },
		{ { .opcode = URING_OP_POLL_ADD, .addr = 9 }, "addr", -EINVAL },
		{ { .opcode = URING_OP_TIMEOUT, .len = 2 }, "len", -EINVAL },
		{ { .opcode = URING_OP_LINK_TIMEOUT, .len = 1, .off = 1 }, "off", -EINVAL },
		{ { .opcode = URING_OP_PROVIDE_BUFFERS, .fd = 1, .len = 1, .off = 65536 }, "off", -E2BIG },
		{ { .opcode = 250 }, "opcode", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *field = NULL;

		assert_int_equal(abi_sqe_refused(&cases[i].sqe, 0, 0, &field), cases[i].error);
		assert_string_equal(field, cases[i].field);
		assert_int_equal(abi_sqe_refused(&cases[i].sqe, 0, 0, NULL), cases[i].error);
	}
}

static void test_kernels_differ(void **state)
{
	struct uring_sqe immediate = { .opcode = URING_OP_TIMEOUT, .len = 1, .op_flags = URING_TIMEOUT_IMMEDIATE_ARG };
	struct uring_sqe nop = { .opcode = URING_OP_NOP, .op_flags = 1u << 20 };
	struct uring_sqe newer = { .opcode = URING_OP_LAST }, pipe_op = { .opcode = URING_OP_PIPE };
	const char *field = "untouched";

	assert_int_equal(abi_sqe_refused(&immediate, 0, 0, &field), 0);
	assert_int_equal(abi_sqe_refused(&immediate, 0, 65, &field), 0);
	assert_int_equal(abi_sqe_refused(&nop, 0, 0, &field), 0);
	assert_int_equal(abi_sqe_refused(&newer, 0, 0, &field), 0);
	assert_int_equal(abi_sqe_refused(&newer, 0, URING_OP_LAST + 1, &field), 0);
	assert_int_equal(abi_sqe_refused(&pipe_op, 0, 0, &field), 0);
	assert_string_equal(field, "untouched");
	assert_int_equal(abi_sqe_refused(&immediate, 0, 63, &field), -EINVAL);
	assert_int_equal(abi_sqe_refused(&nop, 0, 58, &field), -EINVAL);
	assert_int_equal(abi_sqe_refused(&newer, 0, URING_OP_LAST, &field), -EINVAL);
	assert_int_equal(abi_sqe_refused(&pipe_op, 0, 62, &field), -EINVAL);
}

static int need_kernel(void **state)
{
	static unsigned int known;

	known = ops_known();
	make_arguments();
	*state = &known;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_the_field),
		cmocka_unit_test(test_kernels_differ),
	};
	const struct CMUnitTest against_kernel[] = {
		cmocka_unit_test(test_right_entries_are_not_refused),
		cmocka_unit_test(test_one_change),
		cmocka_unit_test(test_several_changes),
		cmocka_unit_test(test_iopoll_rings),
		cmocka_unit_test(test_unknown_opcodes),
	};
	int r = cmocka_run_group_tests_name("refuse", tests, NULL, NULL);

	if (r)
		return r;
	if (!ops_known()) {
		printf("no io_uring here: nothing to compare with\n");
		return 77;
	}
	return cmocka_run_group_tests_name("refuse against the kernel", against_kernel, need_kernel, NULL);
}
