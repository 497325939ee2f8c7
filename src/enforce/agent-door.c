/* SPDX-License-Identifier: MIT */
/* The agent's sockets: runtimes bring listeners to one, and the other answers with the agent's status. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-pass.h"
#include "enforce/agent-store.h"

enum { FIRST_CHUNK = 4096, BACKLOG = 128, ANSWER_MAX = 16 << 20 };

/* ---- opening ---- */

static int address_of(const char *path, struct sockaddr_un *ret_address, struct err *err)
{
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path || strlen(path) >= sizeof ret_address->sun_path)
		return err_set(err, -EINVAL, "%s: a socket's path has 1 to %zu bytes", path,
			       sizeof ret_address->sun_path - 1);
	memcpy(ret_address->sun_path, path, strlen(path) + 1);
	return 0;
}

/* A socket that a killed agent left is taken over; one that somebody listens to is not. */
static int clear_stale(int fd, const struct sockaddr_un *address, struct err *err)
{
	struct stat seen;

	if (lstat(address->sun_path, &seen) < 0)
		return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", address->sun_path, strerror(errno));
	if (!S_ISSOCK(seen.st_mode))
		return err_set(err, -EEXIST, "%s: is there already, and is no socket", address->sun_path);
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
		return err_set(err, -EADDRINUSE, "%s: another agent listens there", address->sun_path);
	return unlink(address->sun_path) < 0 ? err_set(err, -errno, "%s: %s", address->sun_path, strerror(errno)) : 0;
}

static void make_folder(const char *path)
{
	char copy[sizeof((struct sockaddr_un *)0)->sun_path];

	snprintf(copy, sizeof copy, "%s", path);
	(void)mkdir(dirname(copy), 0755); /* bind() tells what is wrong */
}

static int listen_at(const char *path, int *ret_fd, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	mode_t mask;
	int r = fd < 0 ? err_set(err, -errno, "socket: %s", strerror(errno)) : address_of(path, &address, err);

	if (r == 0)
		r = clear_stale(fd, &address, err);
	if (r < 0)
		return r;
	make_folder(path);
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&address, sizeof address);
	umask(mask);
	if (r < 0 || listen(fd, BACKLOG) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* The service manager's sockets, in their order; what is kept in its store is passed too. */
static struct agent_passed *find_passed(const struct agent *agent, size_t which)
{
	for (size_t i = 0; i < agent->n_passed; i++)
		if (strncmp(agent->passed[i].name, AGENT_STORE_PREFIX, strlen(AGENT_STORE_PREFIX)) != 0 && which-- == 0)
			return &agent->passed[i];
	return NULL;
}

static int take_passed(struct agent_passed *passed, int *ret_fd, struct err *err)
{
	int listens = 0, domain = 0;
	socklen_t size = sizeof listens;

	if (getsockopt(passed->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens ||
	    getsockopt(passed->fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_UNIX)
		return err_set(err, -EINVAL, "descriptor %d, which systemd passed, is no listening Unix socket",
			       passed->fd);
	fcntl(passed->fd, F_SETFL, fcntl(passed->fd, F_GETFL) | O_NONBLOCK);
	*ret_fd = passed->fd;
	passed->fd = -1;
	return 0;
}

static void on_door(struct agent *agent, struct agent_source *source);
static void on_control(struct agent *agent, struct agent_source *source);

int agent_door_open(struct agent *agent, struct err *err)
{
	struct agent_passed *door = find_passed(agent, 0), *control = find_passed(agent, 1);
	int r;

	agent->door = (struct agent_source){ .ready = on_door, .fd = -1 };
	agent->control = (struct agent_source){ .ready = on_control, .fd = -1 };
	agent->door_is_passed = door;
	for (size_t i = 0; i < AGENT_CALLERS; i++)
		agent->callers[i].source.fd = -1;
	r = door ? take_passed(door, &agent->door.fd, err) : listen_at(agent->options.listen, &agent->door.fd, err);
	if (r == 0 && control)
		r = take_passed(control, &agent->control.fd, err);
	else if (r == 0 && *agent->options.control)
		r = listen_at(agent->options.control, &agent->control.fd, err);
	if (r == 0)
		r = agent_watch(agent, &agent->door, EPOLLIN);
	if (r == 0 && agent->control.fd >= 0)
		r = agent_watch(agent, &agent->control, EPOLLIN);
	return r;
}

/* ---- callers ---- */

static void let_go(struct agent *agent, struct agent_caller *caller)
{
	for (size_t i = 0; i < caller->n_fds; i++)
		if (caller->fds[i] >= 0)
			(void)close(caller->fds[i]);
	agent_unwatch(agent, &caller->source);
	free(caller->text);
	*caller = (struct agent_caller){ .source.fd = -1 };
	if (agent->door_is_paused && agent_watch(agent, &agent->door, EPOLLIN) == 0)
		agent->door_is_paused = false;
}

static void reject(struct agent *agent, struct agent_caller *caller, const char *why)
{
	agent->rejected++;
	agent_log(&agent->log, AGENT_WARNING, "caller-rejected", "s:i, s:i, s:s", "pid", (int)caller->pid, "uid",
		  (int)caller->uid, "why", why);
	let_go(agent, caller);
}

static struct agent_caller *find_free(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_CALLERS; i++)
		if (agent->callers[i].source.fd < 0)
			return &agent->callers[i];
	return NULL;
}

/* NULL: nobody came, or he has no business here. */
static struct agent_caller *admit(struct agent *agent, int door, void (*ready)(struct agent *, struct agent_source *),
				  uint32_t events)
{
	struct agent_caller *caller = find_free(agent);
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t size = sizeof who;
	int fd = caller ? accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;

	if (fd < 0)
		return NULL;
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
	*caller = (struct agent_caller){
		.source = { .ready = ready, .fd = fd }, .since = agent_board_now(), .pid = who.pid, .uid = who.uid
	};
	if (who.uid != 0 && who.uid != geteuid())
		return reject(agent, caller, "it belongs to another user"), NULL;
	if (agent_watch(agent, &caller->source, events) < 0)
		return let_go(agent, caller), NULL;
	return caller;
}

/* ---- runtimes ---- */

static void arrive(struct agent *agent, struct agent_caller *caller, const struct oci_state *state)
{
	int listener;

	if (caller->n_fds <= state->seccomp_fd) {
		reject(agent, caller, "no descriptor came with the state");
		return;
	}
	listener = caller->fds[state->seccomp_fd];
	if (!agent_pass_is_listener(listener)) {
		reject(agent, caller, "what came with the state is no seccomp listener");
		return;
	}
	caller->fds[state->seccomp_fd] = -1;
	agent_crew_take(agent, state, caller->uid, listener);
	let_go(agent, caller);
}

static void parse(struct agent *agent, struct agent_caller *caller, bool at_end)
{
	struct oci_state state;
	struct err err = { "" };
	int r = oci_parse(caller->text ? caller->text : "", caller->used, &state, &err);

	if (r == 0)
		arrive(agent, caller, &state);
	else if (r < 0)
		reject(agent, caller, err.text);
	else if (at_end)
		reject(agent, caller, "the state ended in its middle");
}

static int make_room(struct agent_caller *caller)
{
	size_t size = caller->size ? caller->size * 2 : FIRST_CHUNK;
	char *text = caller->used < caller->size ? caller->text : realloc(caller->text, size);

	if (!text)
		return -ENOMEM;
	caller->size = caller->used < caller->size ? caller->size : size;
	caller->text = text;
	return 0;
}

/* Runtimes send all at once, but a stream may be cut anywhere; it can only end behind a brace. */
static void on_runtime(struct agent *agent, struct agent_source *source)
{
	struct agent_caller *caller = (struct agent_caller *)source;
	ssize_t n;

	if (caller->used > OCI_MAX_BYTES || make_room(caller) < 0) {
		reject(agent, caller, "the state is too large");
		return;
	}
	n = agent_pass_receive(source->fd, caller->text + caller->used, caller->size - caller->used, caller->fds,
			       OCI_MAX_FDS, &caller->n_fds);
	if (n == -EAGAIN)
		return;
	if (n < 0) {
		reject(agent, caller, n == -E2BIG ? "it sent too many descriptors" : strerror((int)-n));
		return;
	}
	caller->used += (size_t)n;
	if (n == 0 || caller->text[caller->used - 1] == '}' || caller->text[caller->used - 1] == '\n')
		parse(agent, caller, n == 0);
}

static void on_door(struct agent *agent, struct agent_source *source)
{
	if (admit(agent, source->fd, on_runtime, EPOLLIN) || find_free(agent))
		return;
	/* All places are taken: who comes waits in the backlog until one is free. */
	epoll_ctl(agent->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	agent->door_is_paused = true;
}

/* ---- status ---- */

static void on_answer(struct agent *agent, struct agent_source *source)
{
	struct agent_caller *caller = (struct agent_caller *)source;
	ssize_t n =
		send(source->fd, caller->text + caller->sent, caller->used - caller->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	caller->sent += n > 0 ? (size_t)n : 0;
	if (n <= 0 || caller->sent == caller->used)
		let_go(agent, caller);
}

static void on_control(struct agent *agent, struct agent_source *source)
{
	struct agent_caller *caller = admit(agent, source->fd, on_answer, EPOLLOUT);

	if (!caller) {
		if (!find_free(agent))
			(void)close(accept4(source->fd, NULL, NULL, SOCK_CLOEXEC));
		return;
	}
	caller->text = agent_status_json(agent);
	if (!caller->text) {
		let_go(agent, caller);
		return;
	}
	caller->used = strlen(caller->text);
	on_answer(agent, &caller->source);
}

void agent_door_tick(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_CALLERS; i++)
		if (agent->callers[i].source.fd >= 0 && agent_board_now() - agent->callers[i].since > AGENT_CALLER_NS)
			reject(agent, &agent->callers[i], "it took too long");
}

void agent_door_close(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_CALLERS; i++)
		if (agent->callers[i].source.fd >= 0)
			let_go(agent, &agent->callers[i]);
	if (!agent->door_is_passed && agent->door.fd >= 0)
		unlink(agent->options.listen);
	if (!agent->door_is_passed && agent->control.fd >= 0)
		unlink(agent->options.control);
	agent_unwatch(agent, &agent->door);
	agent_unwatch(agent, &agent->control);
}

/* ---- the other end ---- */

int agent_ask(const char *control, char **ret_json, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLEANUP(cleanup_free) char *text = NULL;
	const struct timeval patience = { .tv_sec = 5 };
	struct sockaddr_un address;
	size_t used = 0, size = 0;
	ssize_t n = 1;
	int r = fd < 0 ? err_set(err, -errno, "socket: %s", strerror(errno)) : address_of(control, &address, err);

	if (r < 0)
		return r;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return err_set(err, -errno, "%s: %s", control,
			       errno == ENOENT || errno == ECONNREFUSED ? "no agent is running there"
									: strerror(errno));
	while (n > 0) {
		char *more = used + 1 < size ? text : realloc(text, size = size ? size * 2 : FIRST_CHUNK);

		if (!more || size > ANSWER_MAX)
			return err_set(err, -ENOMEM, "%s: the answer is too large", control);
		text = more;
		n = recv(fd, text + used, size - used - 1, 0);
		used += n > 0 ? (size_t)n : 0;
	}
	if (n < 0 || used == 0)
		return err_set(err, n < 0 ? -errno : -EPIPE, "%s: the agent does not answer", control);
	text[used] = '\0';
	*ret_json = text;
	text = NULL;
	return 0;
}
