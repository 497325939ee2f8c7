/* SPDX-License-Identifier: MIT */
/*
 * The process that answers for one container, and how the agent talks to it: over a SOCK_SEQPACKET, one struct a
 * message. The agent orders, the worker tells. A worker without an agent ends, and with it the container's listeners:
 * the kernel then answers ENOSYS.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "enforce/mechanism.h"
#include "enforce/policy.h"
#include "enforce/serve.h"

struct agent_page;

enum {
	AGENT_LISTENERS = 64, /* of one container: its own, and one for each program that runc or crun exec'd into it */
};

enum agent_order_kind { AGENT_ORDER_LISTEN, AGENT_ORDER_POLICY };

struct agent_order {
	enum agent_order_kind kind; /* LISTEN: a listener comes with it */
	enum mechanism mechanism;   /* LISTEN */
	struct policy policy;       /* POLICY */
};

enum agent_word_kind { AGENT_WORD_DENIED, AGENT_WORD_LISTENERS, AGENT_WORD_PROBLEM };

struct agent_word {
	enum agent_word_kind kind;
	uint32_t listeners;         /* that are served now */
	struct serve_report report; /* DENIED: the first of its kind in a while */
	struct err problem;         /* PROBLEM */
};

struct agent_worker {
	int channel, listener;
	struct agent_page *page;
	struct policy policy;
	enum mechanism mechanism; /* for `listener` */
	uint32_t patience_ms;
};

/*
 * Until no program of the container is left, or the agent is gone: the exit status. It also ends when it cannot go on
 * with one of its listeners: processes forked since then hold that one too, and only when all are gone does the kernel
 * answer for them.
 */
int agent_worker_run(const struct agent_worker *worker);
