/* SPDX-License-Identifier: MIT */
/* What check and analyze share: events from a source go through the engine, findings leave as they are found, the
 * summary at the end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/command.h"

struct err;
struct event;
struct finding;
struct source;
struct stacks;
struct watch;

/* The first member of a verb's own options; watch-options.def has the rows. */
struct watch_options {
	unsigned int format;  /* index into report_formats */
	unsigned int fail_on; /* index of watch_fail_on_name */
	unsigned int colour;  /* enum print_colour */
	const char *log;
	struct command_list only, skip, suppressions;
	bool print_suppressions;
	uint64_t overdue_ns;
};

command_names watch_format_name, watch_fail_on_name;

struct watch_setup {
	const char *program;
	bool feed_stacks; /* the source does not do it */
	/* May be NULL. */
	void (*turn)(void *context); /* before each event, and now and then while there is none */
	void (*event)(void *context, const struct event *event);       /* before it is judged */
	void (*finding)(void *context, const struct finding *finding); /* it was reported */
	void *context;
};

/* Opens what can be opened before anything runs. `stream` is where findings go without --log. NULL with a text on
 * failure. */
struct watch *watch_new(const struct watch_options *options, int stream, struct err *err);
struct watch *watch_free(struct watch *watch);

struct stacks *watch_stacks(struct watch *watch);

/*
 * Follows the source to its end. 0, or -errno with a text when the source failed; the summary is to be written in
 * either case.
 */
int watch_follow(struct watch *watch, struct source *source, const struct watch_setup *setup, struct err *err);

/* From now on events pass unjudged. */
void watch_stop_judging(struct watch *watch);

/* Something that the summary has to say; `text` is copied. */
void watch_notice(struct watch *watch, const char *text);

/* Writes the summary. 0 or -errno with a text. */
int watch_conclude(struct watch *watch, bool interrupted, struct err *err);

/* Whether something at or above --fail-on was reported. */
bool watch_failed(const struct watch *watch);
