/* SPDX-License-Identifier: MIT */
/* A new worker for a container. */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-pass.h"
#include "enforce/guard.h"

enum { CHANNEL, MEMORY, LISTENERS, KEPT_FDS = LISTENERS + AGENT_LISTENERS + GUARD_LINKS };

static void name_and_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_NAME, "circlip-worker", 0, 0, 0);
}

/* With what holds the guard: should the agent be killed, its rules are there for as long as somebody answers. */
static int keep_only(const struct agent *agent, const struct agent_container *container, struct agent_worker *worker,
		     int *memory)
{
	int fds[KEPT_FDS] = { [CHANNEL] = worker->channel, [MEMORY] = *memory }, r;
	size_t n = LISTENERS;

	for (size_t i = 0; i < AGENT_LISTENERS; i++)
		if (container->listeners[i] >= 0)
			fds[n++] = container->listeners[i];
	if (agent->guard)
		n += guard_links(agent->guard, fds + n);
	r = agent_pass_keep_only(fds, n);
	worker->channel = fds[CHANNEL];
	*memory = fds[MEMORY];
	n = LISTENERS;
	for (size_t i = 0; i < AGENT_LISTENERS; i++)
		worker->listeners[i].fd = container->listeners[i] >= 0 ? fds[n++] : -1;
	return r;
}

static void __attribute__((noreturn))
work(const struct agent *agent, const struct agent_container *container, pid_t parent, int channel)
{
	size_t index = (size_t)(container - agent->containers);
	struct agent_worker worker = {
		.channel = channel,
		.account = &container->kept->account,
		.page = agent_board_page(agent->board, index),
		.policy = container->policy,
		.patience_ms = agent->options.patience_ms,
	};
	struct agent_word word = { .kind = AGENT_WORD_PROBLEM };
	int memory = container->memory;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, 0);
	name_and_signals();
	for (size_t i = 0; i < AGENT_LISTENERS; i++)
		worker.listeners[i].mechanism = agent_crew_mechanism(agent, container, i);
	if (keep_only(agent, container, &worker, &memory) < 0 || agent_keep_hold(memory, container->kept) < 0)
		_exit(1);
	(void)close(memory);
	agent_board_keep_only(agent->board, AGENT_CONTAINERS, index);
	if (agent_confine_worker(&word.problem) < 0) {
		(void)agent_pass(worker.channel, &word, sizeof word, -1);
		_exit(1);
	}
	_exit(agent_worker_run(&worker));
}

int agent_hire(struct agent *agent, struct agent_container *container)
{
	struct agent_page *page = agent_board_page(agent->board, (size_t)(container - agent->containers));
	pid_t pid, parent = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	agent_board_alive(page, page->numbers.unreported);
	pid = fork();
	if (pid == 0)
		work(agent, container, parent, pair[1]);
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return -EAGAIN;
	}
	setpgid(pid, pid);
	container->worker = pid;
	container->killed = false;
	container->channel = (struct agent_source){ .ready = agent_hear, .fd = pair[0] };
	return agent_watch(agent, &container->channel, EPOLLIN);
}
