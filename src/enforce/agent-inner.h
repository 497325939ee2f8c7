/* SPDX-License-Identifier: MIT */
/* What the agent's own files share: the one struct of the agent process. It has a single thread and one epoll. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "enforce/agent-board.h"
#include "enforce/agent-keep.h"
#include "enforce/agent-log.h"
#include "enforce/agent-worker.h"
#include "enforce/agent.h"
#include "enforce/oci.h"

enum { AGENT_CALLERS = 32 };
#define AGENT_CALLER_NS 5000000000u /* how long one may take to say what it wants, or to take the answer */

struct agent;
struct agent_passed;
struct agent_rules;
struct guard;

/* What epoll knows of: `ready` is called with the agent and itself. */
struct agent_source {
	void (*ready)(struct agent *agent, struct agent_source *source);
	int fd;
};

/* Somebody on one of the sockets. */
struct agent_caller {
	struct agent_source source; /* fd -1 = unused */
	uint64_t since;
	pid_t pid;
	uid_t uid;
	char *text; /* received so far, or being sent */
	size_t used, size, sent;
	int fds[OCI_MAX_FDS];
	size_t n_fds;
};

struct agent_container {
	struct agent_source channel;    /* to the worker; fd -1 = unused */
	struct agent_kept *kept;        /* NULL = the container is unused */
	int memory;                     /* of `kept` */
	int listeners[AGENT_LISTENERS]; /* -1 = unused */
	pid_t worker;                   /* 0 = another will be there soon */
	enum mechanism mechanism; /* of listeners whose profile is made for `caller`; the others' is the agent's */
	bool killed, given_up;    /* the worker was killed; there will be no other */
	bool restored;            /* from an earlier agent, and nobody answers for it yet */
	uint32_t revivals;        /* since `revivals_since` */
	uint64_t revivals_since;
	struct policy policy;
	char why[64];
};

struct agent {
	struct agent_options options;
	struct agent_log log;
	int epoll;
	struct agent_source door, control, signals, timer, metrics;
	bool door_is_passed, door_is_paused, stopping;
	struct agent_passed *passed; /* by the service manager; fd -1 = somebody has it */
	size_t n_passed;
	pid_t http;          /* the metrics' process, 0 = none */
	struct guard *guard; /* NULL = rings are not made by their callers */
	uint32_t guard_name; /* by which it is stored */
	struct agent_rules *rules;
	time_t rules_read;
	struct agent_caller callers[AGENT_CALLERS];
	struct agent_container *containers;
	struct agent_page *board;
	struct agent_numbers gone; /* of workers that ended */
	uint64_t started_at;       /* monotonic */
	uint64_t begun, refused, killed, crashed, revived, restored, rejected, reloads, http_restarts;
};

/* agent.c */
int agent_watch(struct agent *agent, struct agent_source *source, uint32_t events); /* EPOLLIN, EPOLLOUT; 0 or -errno */
void agent_unwatch(struct agent *agent, struct agent_source *source);
const char *agent_mechanism(const struct agent *agent); /* the strongest that it has */

/* agent-door.c: the sockets, and who comes to them. */
int agent_door_open(struct agent *agent, struct err *err);
void agent_door_tick(struct agent *agent); /* ends callers that take too long */
void agent_door_close(struct agent *agent);

/* agent-crew.c: containers and their workers. */
void agent_container_init(struct agent_container *container);
enum mechanism agent_crew_mechanism(const struct agent *agent, const struct agent_container *container,
				    size_t listener);
void agent_crew_take(struct agent *agent, const struct oci_state *state, uid_t uid, int listener); /* owns it */
void agent_crew_ended(struct agent *agent, pid_t pid, int status);
void agent_crew_tick(struct agent *agent); /* ends workers that fell silent */
void agent_crew_reload(struct agent *agent);
void agent_crew_stop(struct agent *agent);
size_t agent_crew_count(const struct agent *agent);
size_t agent_crew_listeners(const struct agent_container *container);

/* Goes on with what an earlier agent had, and owns it all; -ENOSPC, then it does not. */
int agent_crew_adopt(struct agent *agent, struct agent_kept *kept, int memory, const int listeners[AGENT_LISTENERS]);

/* agent-restore.c: all that the service manager kept. What belongs to nothing is closed, there too. */
void agent_restore(struct agent *agent);

/* agent-hire.c: a worker for a container that has none. 0 or -errno. */
int agent_hire(struct agent *agent, struct agent_container *container);

/* agent-hear.c: what a worker tells; the source is its container's channel. */
void agent_hear(struct agent *agent, struct agent_source *source);

/*
 * agent-guard.c: the BPF guard, with which callers make their own rings.
 *
 * agent_guard_open() is 0 also when there is none and none is demanded. agent_guard_take() gives a container's cgroup
 * its rule, agent_guard_restore() the one that an earlier agent gave it, agent_guard_change() another one; where that
 * cannot be, `kept->cgroup` is 0, and -errno says why.
 *
 * A guard that is not pinned lives in the store, should the agent be killed: with it the rules that hold rings whose
 * making nobody sees to its end. The next agent lets go of it when its own guard has taken its place.
 */
int agent_guard_open(struct agent *agent, struct err *err);
int agent_guard_take(struct agent *agent, struct agent_container *container, struct err *err);
int agent_guard_change(struct agent *agent, struct agent_container *container, struct err *err);
int agent_guard_restore(struct agent *agent, struct agent_container *container, struct err *err);
void agent_guard_let_go(struct agent *agent, struct agent_container *container);
bool agent_guard_is_stored(const struct agent_passed *passed);
void agent_guard_drop_old(struct agent *agent);
void agent_guard_close(struct agent *agent);

/* agent-status.c */
char *agent_status_json(const struct agent *agent);    /* the caller frees it; NULL = out of memory */
char *agent_status_metrics(const struct agent *agent); /* likewise */

/* agent-http.c */
int agent_http_start(struct agent *agent, struct err *err);
void agent_http_ended(struct agent *agent, int status);
void agent_http_stop(struct agent *agent);

/* agent-confine.c: gives up, for good, what a kind of process does not need. */
int agent_confine_worker(struct err *err);
int agent_confine_http(struct err *err);
