/* SPDX-License-Identifier: MIT */
#include "enforce/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-rules.h"
#include "enforce/agent-store.h"

enum { TICK_MS = 200 };

int agent_watch(struct agent *agent, struct agent_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(agent->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

void agent_unwatch(struct agent *agent, struct agent_source *source)
{
	if (source->fd < 0)
		return;
	epoll_ctl(agent->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	(void)close(source->fd);
	source->fd = -1;
}

/* ---- signals and time ---- */

static int read_rules(struct agent *agent, struct err *err)
{
	struct agent_rules *rules;
	int r = agent_rules_load(agent->options.rules, agent->options.fallback, &agent->options.force, &rules, err);

	if (r < 0)
		return r;
	agent_rules_free(agent->rules);
	agent->rules = rules;
	agent->rules_read = time(NULL);
	return 0;
}

/* Rules that cannot be read change nothing. */
static void reload(struct agent *agent)
{
	struct err err = { "" };

	agent_store_notify("RELOADING=1");
	if (read_rules(agent, &err) < 0) {
		agent_log(&agent->log, AGENT_ERROR, "reload-failed", "s:s", "text", err.text);
	} else {
		agent->reloads++;
		agent_log(&agent->log, AGENT_INFO, "reloaded", "s:i", "rules", (int)agent_rules_count(agent->rules));
		agent_crew_reload(agent);
	}
	agent_store_notify("READY=1");
}

static void reap(struct agent *agent)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == agent->http)
			agent_http_ended(agent, status);
		else
			agent_crew_ended(agent, pid, status);
}

static void stop(struct agent *agent)
{
	agent->stopping = true;
}

static void on_signal(struct agent *agent, struct agent_source *source)
{
	static const struct {
		int signal;
		void (*act)(struct agent *agent);
	} acts[] = { { SIGCHLD, reap }, { SIGHUP, reload }, { SIGTERM, stop }, { SIGINT, stop } };
	struct signalfd_siginfo info;

	while (read(source->fd, &info, sizeof info) == (ssize_t)sizeof info)
		for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
			if (acts[i].signal == (int)info.ssi_signo)
				acts[i].act(agent);
}

static void on_time(struct agent *agent, struct agent_source *source)
{
	uint64_t ticks;

	(void)!read(source->fd, &ticks, sizeof ticks);
	agent_crew_tick(agent);
	agent_door_tick(agent);
}

static int open_signals(struct agent *agent)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	agent->signals =
		(struct agent_source){ .ready = on_signal, .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC) };
	return agent->signals.fd < 0 ? -errno : agent_watch(agent, &agent->signals, EPOLLIN);
}

static int open_timer(struct agent *agent)
{
	const struct timespec tick = { .tv_nsec = TICK_MS * 1000000L };
	const struct itimerspec every = { tick, tick };

	agent->timer = (struct agent_source){ .ready = on_time,
					      .fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC) };
	if (agent->timer.fd < 0 || timerfd_settime(agent->timer.fd, 0, &every, NULL) < 0)
		return -errno;
	return agent_watch(agent, &agent->timer, EPOLLIN);
}

/* ---- beginning and end ---- */

static int allocate(struct agent *agent, struct err *err)
{
	int r;

	agent->containers = calloc(AGENT_CONTAINERS, sizeof *agent->containers);
	agent->board = agent_board_new(AGENT_CONTAINERS);
	agent->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!agent->containers || !agent->board || agent->epoll < 0)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		agent_container_init(&agent->containers[i]);
	r = open_signals(agent);
	if (r == 0)
		r = open_timer(agent);
	return r < 0 ? err_set(err, r, "cannot begin: %s", strerror(-r)) : 0;
}

static int begin(struct agent *agent, struct err *err)
{
	int r = agent_log_open(agent->options.log, &agent->log, err);

	if (r == 0 && agent_store_take(&agent->passed, &agent->n_passed) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = agent_guard_open(agent, err);
	if (r == 0)
		r = read_rules(agent, err);
	if (r == 0)
		r = allocate(agent, err);
	if (r == 0)
		r = agent_door_open(agent, err);
	if (r == 0)
		r = agent_http_start(agent, err);
	return r;
}

static void end(struct agent *agent)
{
	agent_http_stop(agent);
	agent_crew_stop(agent);
	agent_guard_close(agent);
	agent_door_close(agent);
	agent_unwatch(agent, &agent->timer);
	agent_unwatch(agent, &agent->signals);
	if (agent->epoll >= 0)
		(void)close(agent->epoll);
	agent->board = agent_board_free(agent->board, AGENT_CONTAINERS);
	agent->rules = agent_rules_free(agent->rules);
	free(agent->containers);
	free(agent->passed);
	agent_log_close(&agent->log);
}

static void loop(struct agent *agent)
{
	struct epoll_event event;

	/* One at a time: what is handled may end what else is ready. */
	while (!agent->stopping)
		if (epoll_wait(agent->epoll, &event, 1, -1) == 1) {
			struct agent_source *source = event.data.ptr;

			source->ready(agent, source);
		}
}

const char *agent_mechanism(const struct agent *agent)
{
	return mechanism_name(agent->guard ? MECHANISM_CALLER : agent->options.force.mechanism);
}

/* Three descriptors for each container, and one for each program started into it. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int agent_run(const struct agent_options *options, struct err *err)
{
	static struct agent agent;
	int r;

	agent = (struct agent){ .options = *options, .epoll = -1, .log.fd = -1, .started_at = agent_board_now() };
	agent.door.fd = agent.control.fd = agent.signals.fd = agent.timer.fd = agent.metrics.fd = -1;
	/* Its own memory holds what all containers told it. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	raise_descriptors();
	for (size_t i = 0; i < AGENT_CALLERS; i++)
		agent.callers[i].source.fd = -1;
	r = begin(&agent, err);
	if (r == 0) {
		agent_log(&agent.log, AGENT_INFO, "agent-begun", "s:i, s:s, s:s, s:s, s:i", "pid", (int)getpid(),
			  "version", CIRCLIP_VERSION, "mechanism", agent_mechanism(&agent), "listen",
			  agent.door_is_passed ? "passed by systemd" : options->listen, "rules",
			  (int)agent_rules_count(agent.rules));
		agent_restore(&agent);
		agent_store_notify("READY=1");
		loop(&agent);
		agent_store_notify("STOPPING=1");
		agent_log(&agent.log, AGENT_INFO, "agent-ended", "s:i", "containers", (int)agent_crew_count(&agent));
	}
	end(&agent);
	return r;
}
