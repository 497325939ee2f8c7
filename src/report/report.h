/* SPDX-License-Identifier: MIT */
/*
 * Where findings leave: one walk, several renderers. A sink is told each finding when it is found and the summary at
 * the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hazard/hazard.h"

struct err;
struct sink;
struct stacks;

struct report_unchecked {
	const char *hazard;
	const char *reason;
};

struct report_summary {
	uint64_t n_findings[HAZARD_ERROR + 1]; /* by level, places */
	uint64_t n_suppressed;
	uint64_t n_requests, n_completions, n_rings, n_processes, n_enters;
	uint64_t n_lost; /* events */
	const struct report_unchecked *unchecked;
	size_t n_unchecked;
	const char *const *notices; /* what could not be watched, in words */
	size_t n_notices;
	bool interrupted;
	const char *program;
	const struct finding *const *places; /* every place, with final counts */
	size_t n_places;
};

struct sink_options {
	FILE *file; /* not owned */
	bool colour;
	const char *program; /* for SARIF and headlines */
	const char *version;
};

struct sink {
	const char *name;                                                 /* "text" "json" "sarif" */
	int (*finding)(struct sink *sink, const struct finding *finding); /* 0 or -errno */
	int (*summary)(struct sink *sink, const struct report_summary *summary);
	struct sink *(*destroy)(struct sink *sink);
};

/* `stacks` gives names to stack ids; not owned. NULL when out of memory. */
struct sink *report_text_new(const struct sink_options *options, struct stacks *stacks);
struct sink *report_json_new(const struct sink_options *options, struct stacks *stacks);
struct sink *report_sarif_new(const struct sink_options *options, struct stacks *stacks);

struct report_format {
	const char *name;
	struct sink *(*make)(const struct sink_options *options, struct stacks *stacks);
	bool at_end; /* written when everything is known: needs a whole file of its own */
};
extern const struct report_format report_formats[]; /* ends with name NULL */
