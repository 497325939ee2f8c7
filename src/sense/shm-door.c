/* SPDX-License-Identifier: MIT */
/*
 * The door: a thread that hands the shared memory to processes which start, at once, because they wait for it, and that
 * notices when processes are gone. It passes both on to the reader and wakes it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sense/shm-inner.h"

enum { MAX_CONNECTIONS = 64, BATCH = 32, MAX_GENERATIONS = 16 };

/* What an epoll event is about: the tag in the upper half. */
enum tag { TAG_STOP, TAG_LISTEN, TAG_CONNECTION, TAG_PROCESS };

struct connection {
	int fd; /* -1 = free */
	struct ucred peer;
};

struct waiting {
	struct shm_call call;
	struct waiting *next;
};

struct shm_door {
	struct shared_header *header;
	int memory, listener, epoll, stop;
	bool started;
	pthread_t thread;
	char name[64];
	struct connection connections[MAX_CONNECTIONS];
	unsigned next_connection;
	pthread_mutex_t lock; /* for all below */
	struct waiting *first, **last;
	uint32_t n_waiting;
	struct map watched; /* pid -> pidfd + 1 */
};

static uint64_t tagged(enum tag tag, uint32_t value)
{
	return (uint64_t)tag << 32 | value;
}

static int add(struct shm_door *door, int fd, uint64_t data)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = data };

	return epoll_ctl(door->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* ---- what the reader takes ---- */

static void pass_on(struct shm_door *door, struct shm_call call)
{
	struct waiting *waiting = malloc(sizeof(*waiting));

	if (!waiting) {
		if (call.pidfd >= 0)
			close(call.pidfd);
		return;
	}
	*waiting = (struct waiting){ .call = call };
	pthread_mutex_lock(&door->lock);
	*door->last = waiting;
	door->last = &waiting->next;
	__atomic_store_n(&door->n_waiting, door->n_waiting + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&door->lock);
	if (__atomic_exchange_n(&door->header->reader_sleeping, 0, __ATOMIC_ACQ_REL))
		shm_wake(&door->header->reader_sleeping);
}

bool shm_door_pending(const struct shm_door *door)
{
	return __atomic_load_n(&door->n_waiting, __ATOMIC_ACQUIRE) != 0;
}

bool shm_door_take(struct shm_door *door, struct shm_call *ret_call)
{
	struct waiting *waiting;

	if (!shm_door_pending(door))
		return false;
	pthread_mutex_lock(&door->lock);
	waiting = door->first;
	door->first = waiting->next;
	if (!door->first)
		door->last = &door->first;
	__atomic_store_n(&door->n_waiting, door->n_waiting - 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&door->lock);
	*ret_call = waiting->call;
	free(waiting);
	return true;
}

int shm_door_watch(struct shm_door *door, uint32_t pid, int pidfd)
{
	int r;

	pthread_mutex_lock(&door->lock);
	r = map_put(&door->watched, pid, (void *)(intptr_t)(pidfd + 1));
	pthread_mutex_unlock(&door->lock);
	return r < 0 ? r : add(door, pidfd, tagged(TAG_PROCESS, pid));
}

static void process_gone(struct shm_door *door, uint32_t pid)
{
	int pidfd;

	pthread_mutex_lock(&door->lock);
	pidfd = (int)(intptr_t)map_remove(&door->watched, pid) - 1;
	pthread_mutex_unlock(&door->lock);
	if (pidfd < 0)
		return;
	epoll_ctl(door->epoll, EPOLL_CTL_DEL, pidfd, NULL);
	pass_on(door, (struct shm_call){ .kind = SHM_GONE, .pid = pid, .pidfd = -1 });
}

/* ---- processes that start ---- */

static void hang_up(struct connection *connection)
{
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
}

static bool is_watched(struct shm_door *door, uint32_t pid)
{
	bool watched;

	pthread_mutex_lock(&door->lock);
	watched = map_get(&door->watched, pid);
	pthread_mutex_unlock(&door->lock);
	return watched;
}

/* The socket's name is no secret (/proc/net/unix), and what lies in the memory may be. Who gave up our user must be one
 * of the observed, or a child of theirs. */
static bool is_welcome(struct shm_door *door, const struct ucred *peer)
{
	uint32_t pid = (uint32_t)peer->pid;

	if (peer->pid <= 0)
		return false;
	if (peer->uid == geteuid() || peer->uid == 0)
		return true;
	for (unsigned i = 0; i < MAX_GENERATIONS && pid > 1; i++, pid = shm_process_parent(pid))
		if (is_watched(door, pid))
			return true;
	return false;
}

static void accept_one(struct shm_door *door)
{
	struct connection *connection = &door->connections[door->next_connection];
	socklen_t length = sizeof(connection->peer);
	int fd = accept4(door->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	hang_up(connection); /* the oldest, should it still be there: it has nothing to say */
	connection->fd = fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &connection->peer, &length) < 0 ||
	    !is_welcome(door, &connection->peer) || add(door, fd, tagged(TAG_CONNECTION, door->next_connection)) < 0) {
		hang_up(connection);
		return;
	}
	door->next_connection = (door->next_connection + 1) % MAX_CONNECTIONS;
}

/* A process that calls has a new image: whoever wrote under its pid before is no more. */
static void retire_slots(struct shared_header *header, uint32_t pid)
{
	for (uint32_t i = 0; i < SHARED_SLOTS; i++) {
		struct shared_slot *slot = shm_shared_slot(header, i);
		uint32_t used = SHARED_USED;

		if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == SHARED_USED &&
		    __atomic_load_n(&slot->pid, __ATOMIC_RELAXED) == pid)
			__atomic_compare_exchange_n(&slot->state, &used, SHARED_LEAVING, false, __ATOMIC_ACQ_REL,
						    __ATOMIC_RELAXED);
	}
}

static void send_welcome(int fd, int memory, uint32_t pid)
{
	struct shared_welcome welcome = { SHARED_MAGIC, SHARED_VERSION, pid };
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &welcome, sizeof(welcome) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &memory, sizeof(memory));
	(void)!sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void answer(struct shm_door *door, struct connection *connection)
{
	struct shared_hello hello;
	ssize_t n = recv(connection->fd, &hello, sizeof(hello), 0);
	uint32_t pid = (uint32_t)connection->peer.pid;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == (ssize_t)sizeof(hello) && hello.magic == SHARED_MAGIC && hello.version == SHARED_VERSION) {
		retire_slots(door->header, pid);
		pass_on(door, (struct shm_call){ .kind = SHM_HELLO,
						 .pid = pid,
						 .pidfd = (int)syscall(SYS_pidfd_open, pid, 0),
						 .namespaced = hello.pid != pid });
		send_welcome(connection->fd, door->memory, pid);
	}
	hang_up(connection);
}

/* ---- the thread ---- */

/* False to end. */
static bool handle(struct shm_door *door, uint64_t data)
{
	uint32_t value = (uint32_t)data;

	switch ((enum tag)(data >> 32)) {
	case TAG_STOP:
		return false;
	case TAG_LISTEN:
		accept_one(door);
		break;
	case TAG_CONNECTION:
		if (door->connections[value].fd >= 0)
			answer(door, &door->connections[value]);
		break;
	case TAG_PROCESS:
		process_gone(door, value);
		break;
	}
	return true;
}

static void *serve(void *argument)
{
	struct shm_door *door = argument;
	struct epoll_event events[BATCH];

	for (;;) {
		int n = epoll_wait(door->epoll, events, BATCH, -1);

		if (n < 0 && errno != EINTR)
			return NULL;
		for (int i = 0; i < n; i++)
			if (!handle(door, events[i].data.u64))
				return NULL;
	}
}

int shm_door_start(struct shm_door *door, struct err *err)
{
	sigset_t all, before;
	int r;

	/* Signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&door->thread, NULL, serve, door);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return err_set(err, -r, "cannot start a thread: %s", strerror(r));
	door->started = true;
	return 0;
}

static int listen_at(struct shm_door *door, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint64_t random[2];
	size_t length;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_set(err, -EIO, "no random bytes for the socket's name");
	snprintf(door->name, sizeof(door->name), "circlip-%016llx%016llx", (unsigned long long)random[0],
		 (unsigned long long)random[1]);
	length = strlen(door->name);
	memcpy(address.sun_path + 1, door->name, length);
	door->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (door->listener < 0)
		return err_set(err, -errno, "socket: %s", strerror(errno));
	if (bind(door->listener, (struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) < 0 ||
	    listen(door->listener, SOMAXCONN) < 0)
		return err_set(err, -errno, "cannot listen for processes: %s", strerror(errno));
	return 0;
}

static int open_epoll(struct shm_door *door)
{
	int r;

	door->epoll = epoll_create1(EPOLL_CLOEXEC);
	door->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (door->epoll < 0 || door->stop < 0)
		return -errno;
	r = add(door, door->stop, tagged(TAG_STOP, 0));
	return r < 0 ? r : add(door, door->listener, tagged(TAG_LISTEN, 0));
}

int shm_door_new(struct shared_header *header, int memory, struct shm_door **ret_door, struct err *err)
{
	struct shm_door *door = calloc(1, sizeof(*door));
	int r;

	if (!door)
		return err_set(err, -ENOMEM, "out of memory");
	door->header = header;
	door->memory = memory;
	door->listener = door->epoll = door->stop = -1;
	door->last = &door->first;
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		door->connections[i].fd = -1;
	pthread_mutex_init(&door->lock, NULL);
	r = listen_at(door, err);
	if (r == 0) {
		r = open_epoll(door);
		if (r < 0)
			err_set(err, r, "epoll: %s", strerror(-r));
	}
	if (r < 0) {
		shm_door_free(door);
		return r;
	}
	*ret_door = door;
	return 0;
}

const char *shm_door_name(const struct shm_door *door)
{
	return door->name;
}

struct shm_door *shm_door_free(struct shm_door *door)
{
	uint64_t one = 1;
	struct shm_call call;

	if (!door)
		return NULL;
	if (door->started) {
		(void)!write(door->stop, &one, sizeof(one));
		pthread_join(door->thread, NULL);
	}
	while (shm_door_take(door, &call))
		if (call.pidfd >= 0)
			close(call.pidfd);
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		hang_up(&door->connections[i]);
	cleanup_fd(&door->listener);
	cleanup_fd(&door->epoll);
	cleanup_fd(&door->stop);
	map_deinit(&door->watched);
	pthread_mutex_destroy(&door->lock);
	free(door);
	return NULL;
}
