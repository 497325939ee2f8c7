/* SPDX-License-Identifier: MIT */
/*
 * The lifetimes in ops.def against the kernel that runs this. An entry waits behind a read from an empty pipe; once it
 * is submitted, one of its arguments is made unreadable; then the pipe is written to. -EFAULT says that the kernel
 * still needed it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>
#include <liburing.h>

#include "abi/op.h"
#include "abi/uring.h"

enum { PAGE = 4096, OPS_OF_6_18 = 63, MEASURED_AT_LEAST = 40 };

/* ---- arguments with which every operation succeeds ---- */

struct world {
	int file, pipe[2], datagram[2], stream[2], receiver, sender, listener, client, epoll;
	pid_t child;
	struct sockaddr_un unix_address;
	socklen_t unix_length, any_length;
	struct sockaddr_in address;
	char control[64] __attribute__((aligned(8))), data[64], path[64], here[2], value[8];
	struct iovec iovec;
	struct msghdr message;
	struct epoll_event event;
	struct statx statx;
	int64_t minute[2], instant[2];
	uint64_t how[3];
	uint32_t futex;
	int fds[2], option;
	siginfo_t info;
	struct {
		uint64_t value, address;
		uint32_t flags, reserved;
	} waiter;
};

static char advised[PAGE] __attribute__((aligned(PAGE)));
static const char xattr_name[] = "user.circlip";

static void world_unix_sockets(struct world *w)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	socklen_t length = sizeof(local);
	int one = 1;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, w->datagram), 0);
	/* No name given: the kernel makes one up. */
	assert_int_equal(bind(w->datagram[1], (struct sockaddr *)&local, sizeof(sa_family_t)), 0);
	w->unix_length = sizeof(w->unix_address);
	getsockname(w->datagram[1], (struct sockaddr *)&w->unix_address, &w->unix_length);
	setsockopt(w->datagram[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	assert_int_equal(send(w->datagram[1], w->data, 8, 0), 8);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w->stream), 0);
	assert_int_equal(send(w->stream[1], w->data, 8, 0), 8);
	w->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&local, sizeof(sa_family_t)), 0);
	getsockname(w->listener, (struct sockaddr *)&local, &length);
	assert_int_equal(listen(w->listener, 1), 0);
	w->client = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(w->client, (struct sockaddr *)&local, length), 0);
	w->any_length = sizeof(w->unix_address);
}

static void world_inet_sockets(struct world *w)
{
	socklen_t length = sizeof(w->address);

	w->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	w->receiver = socket(AF_INET, SOCK_DGRAM, 0);
	w->sender = socket(AF_INET, SOCK_DGRAM, 0);
	bind(w->receiver, (struct sockaddr *)&w->address, sizeof(w->address));
	getsockname(w->receiver, (struct sockaddr *)&w->address, &length);
}

static void world_init(struct world *w)
{
	*w = (struct world){ .minute = { 60 }, .instant = { 0, 1 }, .here = ".", .value = "value" };
	w->file = memfd_create("circlip", 0);
	assert_int_equal(write(w->file, w->data, sizeof(w->data)), sizeof(w->data));
	fsetxattr(w->file, xattr_name, w->value, 4, 0);
	snprintf(w->path, sizeof(w->path), "/proc/self/fd/%d", w->file);
	assert_int_equal(pipe(w->pipe), 0);
	world_unix_sockets(w);
	world_inet_sockets(w);
	w->epoll = epoll_create1(0);
	w->event.events = EPOLLIN;
	epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->datagram[0], &w->event);
	w->iovec = (struct iovec){ w->data, 8 };
	w->waiter.value = 1;
	w->waiter.address = (uint64_t)(uintptr_t)&w->futex;
	w->waiter.flags = 2;
	w->fds[0] = w->file;
	w->child = fork();
	if (!w->child)
		_exit(0);
}

static void world_deinit(struct world *w)
{
	waitpid(w->child, NULL, 0);
	/* Made first; everything made since has a higher number. */
	close_range((unsigned int)w->file, ~0u, 0);
}

/* ---- entries ---- */

#define AT(object) .addr = (uint64_t)(uintptr_t)(object)
#define AT2(object) .addr2 = (uint64_t)(uintptr_t)(object)
#define AT3(object) .addr3 = (uint64_t)(uintptr_t)(object)
#define DATA .fd = w->file, AT(w->data), .len = 8
#define VECTOR .fd = w->file, AT(&w->iovec), .len = 1
#define XATTR AT(xattr_name), AT2(w->value), .len = 4

static struct uring_sqe working(unsigned int opcode, struct world *w)
{
	const struct uring_sqe entries[URING_OP_LAST] = {
		[URING_OP_READV] = { VECTOR },
		[URING_OP_WRITEV] = { VECTOR },
		[URING_OP_READV_FIXED] = { VECTOR },
		[URING_OP_WRITEV_FIXED] = { VECTOR },
		[URING_OP_READ] = { DATA },
		[URING_OP_WRITE] = { DATA },
		[URING_OP_SEND] = { .fd = w->datagram[0],
				    AT(w->data),
				    .len = 8,
				    AT2(&w->unix_address),
				    .addr_len = (uint16_t)w->unix_length },
		[URING_OP_SEND_ZC] = { .fd = w->sender,
				       AT(w->data),
				       .len = 8,
				       AT2(&w->address),
				       .addr_len = sizeof(w->address) },
		[URING_OP_RECV] = { .fd = w->stream[0], AT(w->data), .len = 8 },
		[URING_OP_SENDMSG] = { .fd = w->datagram[0], AT(&w->message), .len = 1 },
		[URING_OP_SENDMSG_ZC] = { .fd = w->sender, AT(&w->message), .len = 1 },
		[URING_OP_RECVMSG] = { .fd = w->datagram[0], AT(&w->message), .len = 1 },
		[URING_OP_TIMEOUT] = { AT(w->instant), .len = 1 },
		[URING_OP_LINK_TIMEOUT] = { AT(w->minute), .len = 1 },
		[URING_OP_TIMEOUT_REMOVE] = { .addr = 99, AT2(w->minute), .op_flags = URING_TIMEOUT_UPDATE },
		[URING_OP_ACCEPT] = { .fd = w->listener, AT(w->data), AT2(&w->any_length) },
		[URING_OP_CONNECT] = { .fd = w->sender, AT(&w->address), .off = sizeof(w->address) },
		[URING_OP_BIND] = { .fd = w->sender,
				    AT(&(const struct sockaddr_in){ .sin_family = AF_INET }),
				    .off = sizeof(struct sockaddr_in) },
		[URING_OP_OPENAT] = { .fd = AT_FDCWD, AT(w->path) },
		[URING_OP_OPENAT2] = { .fd = AT_FDCWD, AT(w->path), AT2(w->how), .len = sizeof(w->how) },
		[URING_OP_STATX] = { .fd = AT_FDCWD, AT(w->path), AT2(&w->statx) },
		[URING_OP_UNLINKAT] = { .fd = AT_FDCWD, AT(w->here) },
		[URING_OP_MKDIRAT] = { .fd = AT_FDCWD, AT(w->here) },
		[URING_OP_RENAMEAT] = { .fd = AT_FDCWD, AT(w->here), .len = (uint32_t)AT_FDCWD, AT2(w->path) },
		[URING_OP_LINKAT] = { .fd = AT_FDCWD, AT(w->here), .len = (uint32_t)AT_FDCWD, AT2(w->path) },
		[URING_OP_SYMLINKAT] = { .fd = AT_FDCWD, AT(w->path), AT2(w->here) },
		[URING_OP_FSETXATTR] = { .fd = w->file, XATTR },
		[URING_OP_SETXATTR] = { XATTR, AT3(w->path) },
		[URING_OP_FGETXATTR] = { .fd = w->file, XATTR },
		[URING_OP_GETXATTR] = { XATTR, AT3(w->path) },
		[URING_OP_FILES_UPDATE] = { AT(w->fds), .len = 1 },
		[URING_OP_EPOLL_CTL] = { .fd = w->epoll,
					 .off = (uint64_t)w->pipe[0],
					 .len = EPOLL_CTL_ADD,
					 AT(&w->event) },
		[URING_OP_EPOLL_WAIT] = { .fd = w->epoll, AT(&w->event), .len = 1 },
		[URING_OP_PROVIDE_BUFFERS] = { AT(w->data), .len = 16, .fd = 1 },
		[URING_OP_MADVISE] = { AT(advised), .len = PAGE, .op_flags = MADV_NORMAL },
		[URING_OP_WAITID] = { .fd = w->child, .len = P_PID, AT2(&w->info), .file_index = WEXITED | WNOWAIT },
		[URING_OP_FUTEX_WAIT] = { .fd = 2, AT(&w->futex), .off = 1, .addr3 = UINT32_MAX },
		[URING_OP_FUTEX_WAKE] = { .fd = 2, AT(&w->futex), .off = 1, .addr3 = UINT32_MAX },
		[URING_OP_FUTEX_WAITV] = { AT(&w->waiter), .len = 1 },
		[URING_OP_PIPE] = { AT(w->fds) },
		[URING_OP_URING_CMD] = { .fd = w->sender,
					 .level = SOL_SOCKET,
					 .optname = SO_KEEPALIVE,
					 AT3(&w->option),
					 .optlen = sizeof(w->option) },
	};
	struct uring_sqe sqe = entries[opcode];

	sqe.opcode = (uint8_t)opcode;
	return sqe;
}

/* Turns the entry into the form in which the pointer counts. */
static void suit(struct uring_sqe *sqe, const struct abi_pointer *pointer, struct world *w)
{
	if (pointer->when == ABI_WHEN_VECTORIZED) {
		sqe->ioprio = URING_SEND_VECTORIZED;
		sqe->addr = (uint64_t)(uintptr_t)&w->iovec;
		sqe->len = 1;
	} else if (pointer->when == ABI_WHEN_GETSOCKOPT) {
		sqe->cmd_op = URING_SOCKET_GETSOCKOPT;
	} else if (pointer->when == ABI_WHEN_SETSOCKOPT) {
		sqe->cmd_op = URING_SOCKET_SETSOCKOPT;
	} else if (pointer->when == ABI_WHEN_FUTEX_PRIVATE) {
		sqe->fd |= 128;
	} else if (pointer->when == ABI_WHEN_SLOTS_ALLOCATED) {
		sqe->off = URING_FILE_INDEX_ALLOC;
	}
}

static void make_message(struct world *w, unsigned int opcode)
{
	const union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} rights = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	bool zero_copy = opcode == URING_OP_SENDMSG_ZC, receives = opcode == URING_OP_RECVMSG;

	memcpy(w->control, &rights, sizeof(rights));
	memcpy(CMSG_DATA((struct cmsghdr *)w->control), &w->file, sizeof(w->file));
	w->message = (struct msghdr){
		.msg_iov = &w->iovec,
		.msg_iovlen = 1,
		.msg_name = zero_copy ? (void *)&w->address : &w->unix_address,
		.msg_namelen = zero_copy  ? sizeof(w->address)
			       : receives ? sizeof(w->unix_address)
					  : w->unix_length,
		.msg_control = zero_copy ? NULL : w->control,
		.msg_controllen = zero_copy  ? 0
				  : receives ? sizeof(w->control)
					     : sizeof(rights),
	};
}

/* ---- the experiment ---- */

static char *page_with(const void *bytes, size_t size)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	memcpy(page, bytes, size);
	return page;
}

/* The entry's result when the page goes (or stays) between submission and start. */
static int result_of(const struct uring_sqe *sqe, struct world *w, char *page, bool goes, bool *ret_written)
{
	char before[PAGE];
	struct iovec fixed = { w->data, sizeof(w->data) };
	int gate[2], slots[2] = { -1, -1 }, res = 1;
	struct io_uring_sqe *entry;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	unsigned int head;
	char byte = 0;

	assert_int_equal(io_uring_queue_init(4, &ring, 0), 0);
	assert_int_equal(pipe(gate), 0);
	io_uring_register_buffers(&ring, &fixed, 1);
	io_uring_register_files(&ring, slots, 2);
	entry = io_uring_get_sqe(&ring);
	io_uring_prep_read(entry, gate[0], &byte, 1, 0);
	entry->flags = IOSQE_IO_LINK;
	entry->user_data = 1;
	entry = io_uring_get_sqe(&ring);
	memcpy(entry, sqe, sizeof(*sqe));
	entry->user_data = 2;
	assert_int_equal(io_uring_submit(&ring), 2);
	memcpy(before, page, PAGE);
	if (goes)
		mprotect(page, PAGE, PROT_NONE);
	assert_int_equal(write(gate[1], &byte, 1), 1);
	assert_int_equal(io_uring_wait_cqe_nr(&ring, &cqe, 2), 0);
	io_uring_for_each_cqe(&ring, head, cqe) if (cqe->user_data == 2 && res == 1) res = cqe->res;
	*ret_written = !goes && memcmp(before, page, PAGE) != 0;
	io_uring_queue_exit(&ring);
	close(gate[0]);
	close(gate[1]);
	return res;
}

/* One thing that an entry points to, directly or through its msghdr. */
struct argument {
	unsigned int opcode;
	const struct abi_pointer *pointer; /* of the row */
	size_t member;                     /* of struct msghdr, when `name` is not the pointer's */
	const char *name;
	size_t size;
	uint8_t lifetime;
};

static uint64_t *place_of(const struct argument *a, struct uring_sqe *sqe, struct world *w)
{
	if (a->name != a->pointer->name)
		return (uint64_t *)((char *)&w->message + a->member);
	return a->pointer->field == ABI_FIELD_ADDR    ? &sqe->addr
	       : a->pointer->field == ABI_FIELD_ADDR2 ? &sqe->addr2
						      : &sqe->addr3;
}

static int measure(const struct argument *a, bool goes, bool *ret_written)
{
	static struct world w;
	struct uring_sqe sqe;
	size_t size = a->size;
	uint64_t *place;
	char *page;
	int res;

	world_init(&w);
	make_message(&w, a->opcode);
	sqe = working(a->opcode, &w);
	suit(&sqe, a->pointer, &w);
	place = place_of(a, &sqe, &w);
	assert_int_not_equal(*place, 0);
	if (!size && a->pointer->length == ABI_LEN_STRING)
		size = strlen((const char *)(uintptr_t)*place) + 1;
	else if (!size && a->pointer->length == ABI_LEN_SOCKLEN)
		size = sizeof(w.data);
	else if (!size)
		size = abi_pointer_length(a->pointer, &sqe);
	page = page_with((const void *)(uintptr_t)*place, size);
	*place = (uint64_t)(uintptr_t)page;
	res = result_of(&sqe, &w, page, goes, ret_written);
	munmap(page, PAGE);
	world_deinit(&w);
	return res;
}

/* 1 if it was measured and agrees, 0 if it cannot be measured here, -1 if it does not agree. */
static int agrees(const struct argument *a, unsigned int known)
{
	bool written, ignored;
	int with = measure(a, false, &written), without;

	/* Not there on this kernel or file system, or never looked at. */
	if (with == -EINVAL || with == -EOPNOTSUPP || with == -ENODATA || with == -EFAULT) {
		print_message("%s %s: not measured (%d)\n", abi_op(a->opcode)->name, a->name, with);
		return 0;
	}
	without = measure(a, true, &ignored);
	if ((without == -EFAULT || written) == (a->lifetime != ABI_UNTIL_CONSUMED))
		return 1;
	/* Copied earlier than on the kernel that the table is from: the table is careful, not wrong. */
	if (without != -EFAULT && !written && known != OPS_OF_6_18)
		return 0;
	print_error("%s %s: %d with it, %d without it, but the table says %s\n", abi_op(a->opcode)->name, a->name, with,
		    without, a->lifetime == ABI_UNTIL_CONSUMED ? "until consumed" : "longer");
	return -1;
}

static unsigned int ops_known(void)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	unsigned int n = probe ? probe->last_op + 1u : 0;

	io_uring_free_probe(probe);
	return n;
}

static void test_pointers_of_entries(void **state)
{
	const unsigned int *known = *state;
	int n_wrong = 0, n_measured = 0;

	for (unsigned int i = 0; i < *known && i < URING_OP_LAST; i++)
		for (const struct abi_pointer *p = abi_op(i)->pointers; p->name; p++) {
			const struct argument argument = {
				.opcode = i, .pointer = p, .name = p->name, .lifetime = p->lifetime
			};
			/* Registered memory is pinned and may go any time. */
			bool pinned = abi_op(i)->traits & ABI_FIXED_BUFFER && p->kind == ABI_DATA;
			int r = pinned ? 0 : agrees(&argument, *known);

			n_wrong += r < 0;
			n_measured += r > 0;
		}
	assert_int_equal(n_wrong, 0);
	assert_true(n_measured >= MEASURED_AT_LEAST || *known < OPS_OF_6_18);
}

static void test_pointers_of_messages(void **state)
{
	static const struct {
		unsigned int opcode;
		size_t member;
		const char *name;
		size_t size;
		uint8_t lifetime;
	} members[] = {
		{ URING_OP_SENDMSG, offsetof(struct msghdr, msg_iov), "msg_iov", sizeof(struct iovec),
		  ABI_UNTIL_CONSUMED },
		{ URING_OP_SENDMSG, offsetof(struct msghdr, msg_name), "msg_name", sizeof(struct sockaddr_un),
		  ABI_UNTIL_CONSUMED },
		{ URING_OP_SENDMSG, offsetof(struct msghdr, msg_control), "msg_control", 64, ABI_UNTIL_COMPLETE },
		{ URING_OP_SENDMSG_ZC, offsetof(struct msghdr, msg_iov), "msg_iov", sizeof(struct iovec),
		  ABI_UNTIL_CONSUMED },
		{ URING_OP_SENDMSG_ZC, offsetof(struct msghdr, msg_name), "msg_name", sizeof(struct sockaddr_in),
		  ABI_UNTIL_CONSUMED },
		{ URING_OP_RECVMSG, offsetof(struct msghdr, msg_iov), "msg_iov", sizeof(struct iovec),
		  ABI_UNTIL_CONSUMED },
		{ URING_OP_RECVMSG, offsetof(struct msghdr, msg_name), "msg_name", sizeof(struct sockaddr_un),
		  ABI_UNTIL_COMPLETE },
		{ URING_OP_RECVMSG, offsetof(struct msghdr, msg_control), "msg_control", 64, ABI_UNTIL_COMPLETE },
	};
	const unsigned int *known = *state;
	int n_wrong = 0;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const struct argument argument = { .opcode = members[i].opcode,
						   .pointer = abi_op(members[i].opcode)->pointers,
						   .member = members[i].member,
						   .name = members[i].name,
						   .size = members[i].size,
						   .lifetime = members[i].lifetime };

		if (argument.opcode < *known)
			n_wrong += agrees(&argument, *known) < 0;
	}
	assert_int_equal(n_wrong, 0);
}

int main(void)
{
	static unsigned int known;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_pointers_of_entries, &known),
		cmocka_unit_test_prestate(test_pointers_of_messages, &known),
	};

	known = ops_known();
	if (!known) {
		printf("no io_uring here: nothing to measure\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
