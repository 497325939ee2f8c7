/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: what they are, told before a request first uses one, and that they were closed, replaced or duplicated.
 * One byte per number says what the reader knows of it; on the way of a request that byte is all that is looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "shim/inner.h"

enum { TRACKED = 1 << 20, REMEMBERED = 65536, TEXT = 256 };

enum state {
	DESCRIBED = 1, /* EVENT_FD was sent and still holds */
	TOLD = 2,      /* the reader knows something of this number: it must hear of its end */
	CLOSED = 4,    /* was closed when the reader knew nothing of it */
	UNSTEADY = 8,  /* a request was submitted that closes it: when, cannot be seen */
};

static uint8_t states[TRACKED];
static uint32_t highest; /* number ever told, + 1 */

/* Grows before and after each close: a description that was made meanwhile is not relied on. */
static uint32_t closings;

/* What an UNSTEADY descriptor was when its closing was submitted: another one, and it has been closed. */
static uint64_t identities[REMEMBERED];

static uint64_t last_made; /* identity of objects that have no inode of their own */

static uint8_t state_of(int fd)
{
	return (unsigned)fd < TRACKED ? __atomic_load_n(&states[fd], __ATOMIC_ACQUIRE) : 0;
}

static void state_set(int fd, uint8_t bits)
{
	uint32_t high = __atomic_load_n(&highest, __ATOMIC_RELAXED);

	if ((unsigned)fd >= TRACKED)
		return;
	__atomic_fetch_or(&states[fd], bits, __ATOMIC_SEQ_CST);
	while (high <= (uint32_t)fd && !__atomic_compare_exchange_n(&highest, &high, (uint32_t)fd + 1, false,
								    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static uint8_t state_clear(int fd, uint8_t bits)
{
	return (unsigned)fd < TRACKED && state_of(fd)
		       ? __atomic_fetch_and(&states[fd], (uint8_t)~bits, __ATOMIC_SEQ_CST)
		       : 0;
}

/* ---- looking ---- */

static const struct {
	const char *link;
	uint16_t type;
} anonymous[] = {
	{ "anon_inode:[eventfd]", EVENT_FD_EVENTFD },
	{ "anon_inode:[timerfd]", EVENT_FD_TIMERFD },
	{ "anon_inode:[eventpoll]", EVENT_FD_EPOLL },
	{ "anon_inode:[io_uring]", EVENT_FD_RING },
};

static const uint8_t by_mode[16] = {
	[S_IFREG >> 12] = EVENT_FD_FILE, [S_IFDIR >> 12] = EVENT_FD_DIR,   [S_IFIFO >> 12] = EVENT_FD_PIPE,
	[S_IFCHR >> 12] = EVENT_FD_CHAR, [S_IFBLK >> 12] = EVENT_FD_BLOCK,
};

static bool starts_with(const char *text, const char *start)
{
	while (*start)
		if (*text++ != *start++)
			return false;
	return true;
}

/* "/proc/thread-self/" FOLDER fd */
static void proc_path(char *to, const char *folder, int fd)
{
	static const char start[] = "/proc/thread-self/";
	char digits[12];
	unsigned n = 0;

	memcpy(to, start, sizeof(start) - 1);
	to += sizeof(start) - 1;
	while (*folder)
		*to++ = *folder++;
	do
		digits[n++] = (char)('0' + fd % 10);
	while ((fd /= 10) > 0);
	while (n)
		*to++ = digits[--n];
	*to = '\0';
}

static void read_link(int fd, char text[TEXT])
{
	char path[64];
	long n;

	proc_path(path, "fd/", fd);
	n = SYS3(SYS_readlink, path, text, TEXT - 1);
	text[n > 0 ? n : 0] = '\0';
}

static void read_info(int fd, char text[TEXT])
{
	char path[64];
	long from, n = -1;

	proc_path(path, "fdinfo/", fd);
	from = SYS4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (from >= 0) {
		n = SYS3(SYS_read, from, text, TEXT - 1);
		SYS1(SYS_close, from);
	}
	text[n > 0 ? n : 0] = '\0';
}

/* An eventfd has a number that tells it from all others (Linux 5.2), also through a duplicate; 0: not known. */
static uint64_t eventfd_number(int fd)
{
	static const char key[] = "eventfd-id:";
	char text[TEXT];
	uint64_t number = 0;
	const char *at = text;

	read_info(fd, text);
	while (*at && !starts_with(at, key))
		at++;
	if (!*at)
		return 0;
	for (at += sizeof(key) - 1; *at == ' ' || *at == '\t'; at++)
		;
	for (; *at >= '0' && *at <= '9'; at++)
		number = number * 10 + (uint64_t)(*at - '0');
	return number + 1;
}

static void look_anonymous(struct event_fd *event)
{
	char text[TEXT];

	event->type = EVENT_FD_OTHER;
	event->device = event->inode = 0;
	read_link(event->fd, text);
	for (size_t i = 0; i < sizeof(anonymous) / sizeof(anonymous[0]); i++)
		if (starts_with(text, anonymous[i].link))
			event->type = anonymous[i].type;
	event->ring = rings_number(rings_by_fd(event->fd));
	if (event->ring)
		event->type = EVENT_FD_RING;
	if (event->type == EVENT_FD_EVENTFD)
		event->inode = eventfd_number(event->fd);
	if (!event->inode)
		event->inode = (uint64_t)shim_process_pid << 32 |
			       (uint32_t)__atomic_add_fetch(&last_made, 1, __ATOMIC_RELAXED);
}

static void look_socket(struct event_fd *event)
{
	int type = 0, listens = 0;
	socklen_t length = sizeof(type);

	SYS6(SYS_getsockopt, event->fd, SOL_SOCKET, SO_TYPE, &type, &length, 0);
	length = sizeof(listens);
	SYS6(SYS_getsockopt, event->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length, 0);
	event->type = listens ? EVENT_FD_LISTENER : type == SOCK_STREAM ? EVENT_FD_STREAM : EVENT_FD_DGRAM;
}

static void look(struct event_fd *event)
{
	long flags = SYS2(SYS_fcntl, event->fd, F_GETFL);
	struct stat stat;

	event->type = EVENT_FD_BAD;
	if (flags < 0)
		return;
	event->open_flags = (uint32_t)flags;
	event->access = flags & O_ACCMODE;
	event->type = EVENT_FD_UNKNOWN;
	if (SYS2(SYS_fstat, event->fd, &stat) < 0)
		return;
	event->device = stat.st_dev;
	event->inode = stat.st_ino;
	if (flags & O_PATH)
		event->type = EVENT_FD_PATH;
	else if (S_ISSOCK(stat.st_mode))
		look_socket(event);
	else if (by_mode[stat.st_mode >> 12 & 15])
		event->type = by_mode[stat.st_mode >> 12 & 15];
	else
		look_anonymous(event);
	event->file_size = S_ISREG(stat.st_mode) ? (uint64_t)stat.st_size : 0;
}

static uint64_t identity(int fd)
{
	struct stat stat;

	if (SYS2(SYS_fstat, fd, &stat) < 0)
		return 0;
	return (stat.st_ino ^ stat.st_dev * UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

/* ---- telling ---- */

/* A number that is not open now: whether it was once, the reader may not know. */
static void describe_bad(struct emit *emit, struct event_fd *event)
{
	struct event_fd close = { .fd = event->fd };

	if (state_clear(event->fd, CLOSED | UNSTEADY | DESCRIBED | TOLD) & (CLOSED | TOLD))
		emit_event(emit, EVENT_FD_CLOSE, 0, &close, sizeof(close));
	emit_event(emit, EVENT_FD, 0, event, sizeof(*event));
}

/* Still what it was when a request to close it was submitted: it may become something else at any time. */
static bool still_unsteady(int fd)
{
	if (!(state_of(fd) & UNSTEADY))
		return false;
	return fd >= REMEMBERED || identity(fd) == __atomic_load_n(&identities[fd], __ATOMIC_RELAXED);
}

void fds_describe(struct emit *emit, int fd)
{
	struct event_fd event = { .fd = fd };
	uint32_t before;

	if (fd < 0 || state_of(fd) & DESCRIBED)
		return;
	before = __atomic_load_n(&closings, __ATOMIC_SEQ_CST);
	look(&event);
	if (event.type == EVENT_FD_BAD) {
		describe_bad(emit, &event);
		return;
	}
	emit_event(emit, EVENT_FD, event.ring, &event, sizeof(event));
	if (still_unsteady(fd)) {
		state_set(fd, TOLD);
		return;
	}
	state_clear(fd, UNSTEADY | CLOSED);
	state_set(fd, DESCRIBED | TOLD);
	if (__atomic_load_n(&closings, __ATOMIC_SEQ_CST) != before)
		state_clear(fd, DESCRIBED);
}

void fds_ring_closes(int fd)
{
	if (fd < 0)
		return;
	if (fd < REMEMBERED)
		__atomic_store_n(&identities[fd], identity(fd), __ATOMIC_RELAXED);
	state_set(fd, UNSTEADY);
	state_clear(fd, DESCRIBED);
}

/* Completions that are there already count as known before the descriptor goes. */
static bool begin(struct emit *emit, const struct call *call, uint8_t state)
{
	if (!emit_open(emit))
		return false;
	if (state & (DESCRIBED | UNSTEADY)) {
		rings_sync(emit);
		emit->stack = stack_take(emit, call->registers);
	}
	return true;
}

static void closes(const struct call *call, int fd)
{
	uint8_t state = state_of(fd);
	struct event_fd event = { .fd = fd };
	struct emit emit;

	__atomic_fetch_add(&closings, 1, __ATOMIC_SEQ_CST);
	if (!(state & TOLD) || !begin(&emit, call, state))
		return;
	if (state & DESCRIBED)
		look(&event);
	state_clear(fd, DESCRIBED | TOLD | UNSTEADY);
	emit_event(&emit, EVENT_FD_CLOSE, event.ring, &event, sizeof(event));
	emit_close(&emit);
}

/* `told`: the reader has heard of it. */
static void closed(int fd, bool well, bool told)
{
	__atomic_fetch_add(&closings, 1, __ATOMIC_SEQ_CST);
	state_clear(fd, DESCRIBED);
	if (well && !told && fd >= 0 && !(state_of(fd) & TOLD))
		state_set(fd, CLOSED);
}

static void closes_range(const struct call *call)
{
	uint64_t high = __atomic_load_n(&highest, __ATOMIC_RELAXED);

	if (call->args[2] & 4 /* CLOSE_RANGE_CLOEXEC */)
		return;
	for (uint64_t fd = (uint32_t)call->args[0]; fd <= (uint32_t)call->args[1] && fd < high; fd++)
		if (state_of((int)fd) & TOLD)
			closes(call, (int)fd);
}

static void closed_range(const struct call *call)
{
	uint64_t high = __atomic_load_n(&highest, __ATOMIC_RELAXED);

	__atomic_fetch_add(&closings, 1, __ATOMIC_SEQ_CST);
	if (call->args[2] & 4)
		return;
	for (uint64_t fd = (uint32_t)call->args[0]; fd <= (uint32_t)call->args[1] && fd < high; fd++)
		state_clear((int)fd, DESCRIBED);
}

static void duplicated(const struct call *call, int from, int to)
{
	uint8_t state = state_of(to), known = state_of(from) & TOLD;
	struct event_fd_dup event = { .from = from, .to = to };
	struct emit emit;

	if (from == to || !((state & TOLD) | known))
		return;
	if (!begin(&emit, call, state))
		return;
	emit_event(&emit, EVENT_FD_DUP, 0, &event, sizeof(event));
	state_clear(to, DESCRIBED | UNSTEADY | CLOSED);
	state_set(to, TOLD);
	emit_close(&emit);
}

static void paired(const struct call *call, const int fds[2], uint16_t type)
{
	struct event_fd_pair event = { .fd = { fds[0], fds[1] }, .type = type };
	struct stat stat;
	struct emit emit;

	if (!begin(&emit, call, 0))
		return;
	for (unsigned i = 0; i < 2; i++) {
		if (SYS2(SYS_fstat, fds[i], &stat) == 0) {
			event.device = stat.st_dev;
			event.inode[i] = stat.st_ino;
		}
		state_clear(fds[i], DESCRIBED | UNSTEADY | CLOSED);
		state_set(fds[i], TOLD);
	}
	emit_event(&emit, EVENT_FD_PAIR, 0, &event, sizeof(event));
	emit_close(&emit);
}

/* ---- calls ---- */

void fds_before(struct call *call)
{
	if (call->number == SYS_close) {
		call->state[0] = state_of((int)call->args[0]) & TOLD;
		closes(call, (int)call->args[0]);
	} else if (call->number == SYS_close_range) {
		closes_range(call);
	}
}

void fds_after(struct call *call)
{
	bool well = call->result >= 0;
	int fd = (int)call->args[0];

	switch (call->number) {
	case SYS_close:
		closed(fd, well, call->state[0]);
		return;
	case SYS_close_range:
		closed_range(call);
		return;
	case SYS_dup:
	case SYS_dup2:
	case SYS_dup3:
		if (well)
			duplicated(call, fd, (int)call->result);
		return;
	case SYS_fcntl:
		if (well && (call->args[1] == F_DUPFD || call->args[1] == F_DUPFD_CLOEXEC))
			duplicated(call, fd, (int)call->result);
		else if (well && call->args[1] == F_SETFL)
			state_clear(fd, DESCRIBED);
		return;
	case SYS_listen:
		state_clear(fd, DESCRIBED);
		return;
	case SYS_pipe:
	case SYS_pipe2:
		if (well)
			paired(call, (const int *)call->args[0], EVENT_FD_PIPE);
		return;
	case SYS_socketpair:
		if (well)
			paired(call, (const int *)call->args[3],
			       (call->args[1] & 0xf) == SOCK_STREAM ? EVENT_FD_STREAM : EVENT_FD_DGRAM);
		return;
	}
}
