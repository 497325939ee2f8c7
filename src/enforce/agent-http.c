/* SPDX-License-Identifier: MIT */
/*
 * The metrics' page. HTTP is parsed in a process of its own without rights, that has nothing but the listening socket
 * and a pair of sockets to ask the agent for the text.
 */
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-pass.h"

enum {
	PAGE_BYTES = 1 << 20,
	ANSWER_MS = 2000,
	CONNECTIONS = 16,
	TIMEOUT_S = 5,
	MEMORY_BYTES = 16384,
	WAIT_MS = 500,
	RESTARTS = 8,
	RETRIES = 20,
	RETRY_MS = 50,
};

/* ---- the process ---- */

struct front {
	int agent; /* the pair's end */
	char page[PAGE_BYTES];
};

/* The page's length, or -errno. */
static ssize_t ask(struct front *front)
{
	struct pollfd ready = { .fd = front->agent, .events = POLLIN };

	while (recv(front->agent, front->page, sizeof front->page, MSG_DONTWAIT) > 0)
		; /* an answer that came too late */
	if (send(front->agent, "m", 1, MSG_NOSIGNAL) != 1)
		return -errno;
	if (poll(&ready, 1, ANSWER_MS) != 1)
		return -ETIMEDOUT;
	return recv(front->agent, front->page, sizeof front->page, MSG_DONTWAIT);
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned int status, const char *text, size_t length)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(length, (void *)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type",
				status == MHD_HTTP_OK ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **state)
{
	static const char no_page[] = "try /metrics\n", no_method[] = "only GET\n", no_answer[] = "no answer\n";
	struct front *front = context;
	ssize_t n;

	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, no_method, sizeof no_method - 1);
	if (strcmp(url, "/metrics") != 0)
		return reply(connection, MHD_HTTP_NOT_FOUND, no_page, sizeof no_page - 1);
	n = ask(front);
	if (n <= 0)
		return reply(connection, MHD_HTTP_SERVICE_UNAVAILABLE, no_answer, sizeof no_answer - 1);
	return reply(connection, MHD_HTTP_OK, front->page, (size_t)n);
}

static bool agent_is_gone(int fd)
{
	struct pollfd gone = { .fd = fd };

	return poll(&gone, 1, 0) == 1 && gone.revents;
}

static void __attribute__((noreturn)) serve_pages(int listening, int pair, pid_t parent)
{
	int fds[] = { pair, listening };
	static struct front front;
	struct MHD_Daemon *daemon;
	struct err err = { "" };
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_NAME, "circlip-metrics", 0, 0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (getppid() != parent)
		_exit(1);
	if (agent_pass_keep_only(fds, 2) < 0)
		_exit(1);
	front.agent = fds[0];
	daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, &front, MHD_OPTION_LISTEN_SOCKET, fds[1],
				  MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
				  (unsigned int)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES,
				  MHD_OPTION_END);
	if (!daemon || agent_confine_http(&err) < 0)
		_exit(1);
	while (!agent_is_gone(front.agent))
		if (MHD_run_wait(daemon, WAIT_MS) != MHD_YES)
			_exit(1);
	_exit(0);
}

/* ---- the agent's side ---- */

static void on_asked(struct agent *agent, struct agent_source *source)
{
	CLEANUP(cleanup_free) char *text = NULL;
	char asked[8];
	ssize_t n = recv(source->fd, asked, sizeof asked, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		agent_unwatch(agent, source);
		return;
	}
	text = agent_status_metrics(agent);
	if (text && strlen(text) < PAGE_BYTES)
		(void)agent_pass(source->fd, text, strlen(text), -1); /* what does not go is asked for again */
}

/* "127.0.0.1:9180", "[::1]:9180", ":9180" */
static int split(const char *address, char host[static NI_MAXHOST], const char **ret_port, struct err *err)
{
	const char *colon = strrchr(address, ':'), *from = address, *end = colon;

	if (!colon || !colon[1] || colon - address >= NI_MAXHOST)
		return err_set(err, -EINVAL, "%s: expected HOST:PORT or :PORT", address);
	if (*from == '[' && end[-1] == ']')
		from++, end--;
	snprintf(host, NI_MAXHOST, "%.*s", (int)(end - from), from);
	*ret_port = colon + 1;
	return 0;
}

static int listen_at(const struct addrinfo *where, int *ret_fd)
{
	CLEANUP(cleanup_fd) int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, where->ai_addr, where->ai_addrlen) < 0 || listen(fd, CONNECTIONS) < 0)
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int open_address(const char *address, int *ret_fd, struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST };
	struct addrinfo *where = NULL;
	char host[NI_MAXHOST];
	const char *port = "";
	int r = split(address, host, &port, err);

	if (r < 0)
		return r;
	r = getaddrinfo(*host ? host : NULL, port, &hints, &where);
	if (r != 0)
		return err_set(err, -EINVAL, "%s: %s", address, gai_strerror(r));
	/* The process of an agent that was killed a moment ago may still be ending. */
	for (int i = 0; (r = listen_at(where, ret_fd)) == -EADDRINUSE && i < RETRIES; i++)
		poll(NULL, 0, RETRY_MS);
	freeaddrinfo(where);
	return r < 0 ? err_set(err, r, "%s: %s", address, strerror(-r)) : 0;
}

int agent_http_start(struct agent *agent, struct err *err)
{
	CLEANUP(cleanup_fd) int listening = -1;
	const int room = PAGE_BYTES;
	pid_t parent = getpid();
	int pair[2], r;

	if (!agent->options.metrics)
		return 0;
	r = open_address(agent->options.metrics, &listening, err);
	if (r < 0)
		return err_wrap(err, r, "metrics");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, -errno, "metrics: %s", strerror(errno));
	if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	agent->http = fork();
	if (agent->http == 0)
		serve_pages(listening, pair[1], parent);
	(void)close(pair[1]);
	agent->metrics = (struct agent_source){ .ready = on_asked, .fd = pair[0] };
	if (agent->http < 0)
		return err_set(err, -errno, "metrics: %s", strerror(errno));
	return agent_watch(agent, &agent->metrics, EPOLLIN);
}

void agent_http_ended(struct agent *agent, int status)
{
	struct err err = { "" };

	agent_unwatch(agent, &agent->metrics);
	agent->http = 0;
	agent_log(&agent->log, AGENT_ERROR, "metrics-ended", "s:i", "wait_status", status);
	if (agent->http_restarts++ < RESTARTS && agent_http_start(agent, &err) < 0)
		agent_log(&agent->log, AGENT_ERROR, "metrics-failed", "s:s", "text", err.text);
}

void agent_http_stop(struct agent *agent)
{
	agent_unwatch(agent, &agent->metrics);
	if (agent->http <= 0)
		return;
	kill(agent->http, SIGKILL);
	while (waitpid(agent->http, NULL, 0) < 0 && errno == EINTR)
		;
	agent->http = 0;
}
