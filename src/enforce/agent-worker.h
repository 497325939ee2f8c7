/* SPDX-License-Identifier: MIT */
/*
 * The process that answers for one container, and how the agent talks to it: over a SOCK_SEQPACKET, one struct a
 * message. The agent orders, the worker tells. A worker without an agent ends. The agent holds the container's
 * listeners too, and what is known of them (agent-keep.h), and begins another worker behind one that ended before its
 * time.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "enforce/mechanism.h"
#include "enforce/policy.h"
#include "enforce/serve.h"

struct agent_account;
struct agent_page;

enum {
	AGENT_LISTENERS = 64, /* of one container: its own, and one for each program that runc or crun exec'd into it */
};

enum agent_order_kind { AGENT_ORDER_LISTEN, AGENT_ORDER_POLICY };

struct agent_order {
	enum agent_order_kind kind; /* LISTEN: a listener comes with it */
	uint32_t listener;          /* LISTEN: which of the account's it is */
	enum mechanism mechanism;   /* LISTEN */
	struct policy policy;       /* POLICY */
};

enum agent_word_kind { AGENT_WORD_DENIED, AGENT_WORD_PROBLEM };

struct agent_word {
	enum agent_word_kind kind;
	struct serve_report report; /* DENIED: the first of its kind in a while */
	struct err problem;         /* PROBLEM */
};

struct agent_worker {
	int channel;
	struct {
		int fd; /* -1 = unused */
		enum mechanism mechanism;
	} listeners[AGENT_LISTENERS];
	struct agent_account *account;
	struct agent_page *page;
	struct policy policy;
	uint32_t patience_ms;
};

/*
 * Until no program of the container is left, or the agent is gone: the exit status. It also ends when it cannot go on
 * with one of its listeners: the agent sees to the rest.
 */
int agent_worker_run(const struct agent_worker *worker);
