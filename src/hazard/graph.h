/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom among the requests of one process: behind a link, behind a drain, or for what another request
 * would produce. The answer is hopeful: a request counts as stuck only when nothing that could still start would let it
 * end, so that what is stuck here stays so unless somebody else helps.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model;
struct model_process;
struct model_request;

enum { GRAPH_NODES = 256, GRAPH_STEPS = 16 };

struct graph_node {
	const struct model_request *request;
	bool starts, ends;
};

struct graph {
	struct graph_node nodes[GRAPH_NODES];
	unsigned n;
};

enum graph_why {
	GRAPH_LINK,    /* `from` is linked behind `to` */
	GRAPH_DRAIN,   /* `from`, or what it queues behind, waits for all older requests, `to` among them */
	GRAPH_PRODUCT, /* `from` waits for what `to` would produce */
};

struct graph_step {
	const struct model_request *from, *to;
	enum graph_why why;
};

/* Ends where it begins. The first step is a GRAPH_PRODUCT. */
struct graph_cycle {
	struct graph_step steps[GRAPH_STEPS];
	unsigned n;
	unsigned n_products, n_drains;
};

/* False when nothing can be said: too many requests, or some whose fate is not known. */
bool graph_solve(struct graph *graph, const struct model *model, const struct model_process *process);

/* Follows what a stuck request waits for until it comes round. False: no circle of a length that can be told. */
bool graph_cycle(const struct graph *graph, const struct model *model, const struct model_request *from,
		 struct graph_cycle *ret_cycle);

/* What the request waits for, for people: "the pipe behind fd 5". */
void graph_thing_name(const struct model *model, const struct model_request *request, char *to, size_t bytes);
