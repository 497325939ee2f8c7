/* SPDX-License-Identifier: MIT */
/* circlip check: runs a program with the shim and reports misuse as it happens. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/command.h"
#include "cli/hazards.h"
#include "cli/interrupt.h"
#include "cli/print.h"
#include "cli/program.h"
#include "cli/watch.h"
#include "event/event.h"
#include "event/file.h"
#include "event/source.h"
#include "hazard/hazard.h"
#include "sense/frames.h"
#include "sense/shm.h"

enum sqpoll { SQPOLL_EMULATE, SQPOLL_KEEP };

struct check_options {
	struct watch_options watch;
	const char *record;
	bool halt_on_error, detach;
	bool alloc_stacks, verify_buffers;
	unsigned int sqpoll; /* enum sqpoll */
	uint32_t stack_bytes;
};
_Static_assert(offsetof(struct check_options, watch) == 0, "the rows of watch-options.def count from there");

struct check {
	const struct check_options *options;
	struct watch *watch;
	struct program program; /* its shm is owned by `source` once that is there */
	struct source *source;  /* what is followed */
	struct event_writer *writer;
	bool halted;
	bool failed; /* Circlip itself */
};

static void complain(struct check *c, const char *text)
{
	c->failed = true;
	watch_notice(c->watch, text);
	command_fail("check", 0, "%s", text);
}

/* ---- between events ---- */

static void on_turn(void *context)
{
	struct check *c = context;

	program_turn(&c->program);
}

static void on_finding(void *context, const struct finding *finding)
{
	struct check *c = context;

	if (!c->options->halt_on_error || c->halted || finding->level < HAZARD_ERROR)
		return;
	/* As with sanitizers: nothing of the program runs any more. What it still had on the way is not judged. */
	c->halted = true;
	sense_shm_signal(c->program.shm, SIGKILL);
	watch_stop_judging(c->watch);
}

static void on_event(void *context, const struct event *event)
{
	struct check *c = context;
	struct err err;

	if (!c->writer || event_writer_write(c->writer, event, &err) >= 0)
		return;
	complain(c, err.text);
	(void)event_writer_close(c->writer, &err);
	c->writer = NULL;
}

/* ---- beginning ---- */

/* Better now than when the program has run. */
static int check_record(const char *path, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = -1;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	return fd < 0 ? err_set(err, -errno, "cannot write a recording to %s: %m", path) : 0;
}

static int start_record(struct check *c, const char *program, struct err *err)
{
	struct event_file_info info = { .version = EVENT_VERSION,
					.abilities = c->source->abilities,
					.sqpoll_emulated = c->options->sqpoll == SQPOLL_EMULATE };

	if (!c->options->record)
		return 0;
	snprintf(info.program, sizeof info.program, "%s", program);
	return event_writer_new(c->options->record, &info, &c->writer, err);
}

static int start(struct check *c, char **words, struct err *err)
{
	const struct sense_shm_options options = { .argv = words,
						   .sqpoll_keep = c->options->sqpoll == SQPOLL_KEEP,
						   .alloc_stacks = c->options->alloc_stacks,
						   .verify_buffers = c->options->verify_buffers,
						   .stack_bytes = c->options->stack_bytes };
	int r = check_record(c->options->record, err);

	if (r < 0)
		return r == -ENOENT || r == -EACCES ? -EIO : r;
	interrupt_prepare();
	r = sense_shm_new(&options, &c->program.shm, err);
	if (r < 0)
		return r;
	interrupt_listen();
	c->source = sense_frames_new(c->program.shm, watch_stacks(c->watch));
	if (!c->source)
		return c->program.shm = NULL, err_set(err, -ENOMEM, "out of memory");
	r = start_record(c, words[0], err);
	return r == -ENOENT || r == -EACCES ? -EIO : r;
}

/* ---- ending ---- */

static int exit_status(const struct check *c)
{
	if (watch_failed(c->watch))
		return COMMAND_REPORTED;
	return c->failed ? COMMAND_BROKEN : program_status(&c->program);
}

static void follow(struct check *c, const char *program)
{
	const struct watch_setup setup = {
		.program = program, .turn = on_turn, .event = on_event, .finding = on_finding, .context = c
	};
	struct err err = { "" };

	if (watch_follow(c->watch, c->source, &setup, &err) < 0)
		complain(c, err.text);
	if (event_writer_close(c->writer, &err) < 0)
		complain(c, err.text);
	c->writer = NULL;
	if (watch_conclude(c->watch, c->program.interrupted, &err) < 0) {
		c->failed = true;
		command_fail("check", 0, "%s", err.text);
	}
}

static void finish(struct check *c)
{
	struct err err;

	(void)event_writer_close(c->writer, &err);
	if (c->source)
		c->source->destroy(c->source);
	else if (c->program.shm)
		c->program.shm->destroy(c->program.shm);
	c->watch = watch_free(c->watch);
}

static int check_run(void *options, char **words, size_t n_words)
{
	const struct check_options *o = options;
	struct check check = { .options = o, .program = { .detach = o->detach } };
	struct err err = { "" };
	int r, status;

	check.watch = watch_new(&check.options->watch, STDERR_FILENO, &err);
	if (!check.watch)
		return command_fail("check", COMMAND_BROKEN, "%s", err.text);
	r = start(&check, words, &err);
	if (r < 0) {
		if (check.program.shm)
			sense_shm_signal(check.program.shm, SIGKILL);
		status = command_fail("check", program_start_status(r), "%s", err.text);
	} else {
		follow(&check, words[0]);
		status = exit_status(&check);
	}
	finish(&check);
	return status;
}

COMMAND_NAMES(sqpoll_name, "emulate", "keep");

#define CHECK_OPTION(field) offsetof(struct check_options, field)

static const struct command_option check_rows[] = {
#define WATCH_STREAM "standard error"
#include "cli/watch-options.def"
	{ "halt-on-error", NULL, "Kill the program at the first error.", COMMAND_FLAG, CHECK_OPTION(halt_on_error) },
	{ "record", "FILE", "Keep all events in a file for circlip analyze.", COMMAND_FILE, CHECK_OPTION(record) },
	{ "sqpoll", NULL,
	  "Rings with SQPOLL: emulate makes them without their kernel thread, so that every entry is seen; keep leaves "
	  "them alone, and then some hazards are not checked.",
	  COMMAND_CHOICE, CHECK_OPTION(sqpoll), sqpoll_name },
	{ "alloc-stacks", NULL, "Keep the stack of each allocation, for \"allocated by\". Slow.", COMMAND_FLAG,
	  CHECK_OPTION(alloc_stacks) },
	{ "verify-buffers", NULL,
	  "Compare buffers at submission and completion, to find those rewritten in flight. Slow.", COMMAND_FLAG,
	  CHECK_OPTION(verify_buffers) },
	{ "stack-bytes", "BYTES", "How much of a stack is kept to be unwound. Default: 4096.", COMMAND_BYTES,
	  CHECK_OPTION(stack_bytes), NULL, 512, 65536 },
	{ "detach", NULL, "Do not wait for processes that the program leaves behind.", COMMAND_FLAG,
	  CHECK_OPTION(detach) },
	{ NULL },
};

const struct command check_command = {
	.name = "check",
	.words = "PROG [ARGS...]",
	.summary = "Run PROG and report misuse of io_uring as it happens, in it and in its children.",
	.about = "The exit status is the program's own, or 128 + N when signal N killed it; 99 when something at or "
		 "above --fail-on was reported; 125 when circlip itself failed, 126 and 127 when PROG could not be run "
		 "or found. CIRCLIP_OPTIONS holds options that are put in front. Ctrl-C lets the program end; a second "
		 "one kills it.",
	.options = check_rows,
	.size = sizeof(struct check_options),
	.min_words = 1,
	.max_words = SIZE_MAX,
	.environment = "CIRCLIP_OPTIONS",
	.runs_program = true,
	.run = check_run,
};
