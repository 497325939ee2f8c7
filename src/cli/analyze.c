/* SPDX-License-Identifier: MIT */
/* circlip analyze: the findings of a recording. */
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/command.h"
#include "cli/hazards.h"
#include "cli/print.h"
#include "cli/watch.h"
#include "event/file.h"
#include "event/source.h"
#include "sense/frames.h"

struct analyze_options {
	struct watch_options watch;
};
_Static_assert(offsetof(struct analyze_options, watch) == 0, "the rows of watch-options.def count from there");

CLEANUP_DEFINE(watch, struct watch, watch_free);

static struct source *source_destroy(struct source *source)
{
	return source ? source->destroy(source) : NULL;
}

CLEANUP_DEFINE(source, struct source, source_destroy);

/* What a sensor with stacks makes of returned frames is in the recording already. */
static int add_frames(struct source **source, struct watch *watch, const struct event_file_info *info)
{
	if (!(info->abilities & SOURCE_FRAMES))
		*source = sense_frames_new(*source, watch_stacks(watch));
	return *source ? 0 : -1;
}

static int analyze_run(void *options, char **words, size_t n_words)
{
	struct event_file_info info;
	struct err err = { "" }, end_err = { "" };
	CLEANUP(cleanup_watch) struct watch *watch = watch_new(options, STDOUT_FILENO, &err);
	CLEANUP(cleanup_source) struct source *source = NULL;
	int followed, concluded;

	if (!watch)
		return command_fail("analyze", COMMAND_FAILED, "%s", err.text);
	if (event_file_source_new(words[0], &source, &info, &err) < 0)
		return command_fail("analyze", COMMAND_FAILED, "%s", err.text);
	if (add_frames(&source, watch, &info) < 0)
		return command_fail("analyze", COMMAND_FAILED, "out of memory");

	const struct watch_setup setup = { .program = info.program[0] ? info.program : words[0],
					   .feed_stacks = info.abilities & SOURCE_FRAMES };

	followed = watch_follow(watch, source, &setup, &err);
	if (followed < 0)
		watch_notice(watch, err.text);
	concluded = watch_conclude(watch, false, &end_err);
	if (followed < 0 || concluded < 0)
		return command_fail("analyze", COMMAND_FAILED, "%s", followed < 0 ? err.text : end_err.text);
	return watch_failed(watch) ? COMMAND_FINDINGS : COMMAND_OK;
}

static const struct command_option analyze_rows[] = {
#define WATCH_STREAM "standard output"
#include "cli/watch-options.def"
	{ NULL },
};

const struct command analyze_command = {
	.name = "analyze",
	.words = "FILE",
	.summary = "Report misuse from a recording that circlip check --record made.",
	.about = "The findings are those of the live run. The exit status is 1 when something at or above --fail-on "
		 "was reported, 3 when the recording cannot be read or ends early (what came before is reported all "
		 "the same).",
	.options = analyze_rows,
	.size = sizeof(struct analyze_options),
	.min_words = 1,
	.max_words = 1,
	.run = analyze_run,
};
