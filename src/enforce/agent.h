/* SPDX-License-Identifier: MIT */
/*
 * circlip agent: the seccomp agent of OCI runtimes.
 *
 * A runtime (runc, crun) that starts a container whose seccomp profile says SCMP_ACT_NOTIFY for io_uring_setup connects
 * to listenerPath, says which container it is and hands over the kernel's listener. The agent looks up the policy in
 * its rules and forks a worker, which answers for that container alone, with enforce/serve.h:
 *
 *	runtime ──listenerPath──→ agent ──fork, listener──→ worker of container A ──serve──→ rings of A
 *	                            │                    └→ worker of container B ...
 *	                            ├── control socket: `circlip agent status`
 *	                            └── metrics: a process without rights that speaks HTTP
 *
 * The agent never looks at a container's memory; its workers do. A worker that falls silent is killed and followed by
 * another. Of each container the agent holds the listeners and a piece of memory (agent-keep.h), which the service
 * manager keeps too (agent-store.h): the next agent goes on from there (agent-restore.c). Where nobody keeps them, the
 * kernel answers the container's further set-ups with ENOSYS: a listener cannot outlive the last process that holds it.
 * Rings that exist go on in any case.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "enforce/agent-rules.h"

struct err;

enum { AGENT_CONTAINERS = 256 };

#define AGENT_DEFAULT_LISTEN "/run/circlip/agent.sock"
#define AGENT_DEFAULT_CONTROL "/run/circlip/control.sock"

/* Whether callers make their own rings where a container's profile is made for that; it takes the BPF guard. */
enum agent_callers { AGENT_CALLERS_NEVER, AGENT_CALLERS_WHERE_POSSIBLE, AGENT_CALLERS_ALWAYS };

struct agent_options {
	const char *listen;       /* the runtimes' socket; unused where systemd passes one */
	const char *control;      /* for status; "" = none */
	const char *rules;        /* file; NULL = none */
	const char *fallback;     /* policy for containers that no rule names; "refuse" */
	const char *metrics;      /* HOST:PORT or :PORT; NULL = none */
	const char *log;          /* file; NULL = stderr */
	struct agent_force force; /* for others: ENABLE or STRIP */
	enum agent_callers callers;
	uint32_t patience_ms; /* how long one set-up may take */
	uint32_t silence_ms;  /* how long a worker may not show that it lives */
};

/* Until SIGTERM or SIGINT: 0, or -errno when it could not begin. SIGHUP reads the rules again. */
int agent_run(const struct agent_options *options, struct err *err);

/* The status of the agent behind a control socket, as JSON; the caller frees the text. */
int agent_ask(const char *control, char **ret_json, struct err *err);
