/* SPDX-License-Identifier: MIT */
#include "cli/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/map.h"
#include "cli/print.h"
#include "event/event.h"
#include "event/source.h"
#include "hazard/engine.h"
#include "report/places.h"
#include "report/report.h"
#include "report/suppress.h"
#include "stack/stack.h"

enum {
	MAX_RULES = 192,
	MAX_NOTICES = 64,
	NOTICE_BYTES = 512,
	REASON_BYTES = 160,
	EVENTS_A_TURN = 256,
	MAX_PROCESSES = 65536, /* a scribbling program can invent any number */
};
#define PATIENCE_NS UINT64_C(50000000)

struct watch {
	const struct watch_options *options;
	const struct watch_setup *setup;
	FILE *file;
	struct stacks *stacks;
	struct suppress *suppress;
	struct places *places;
	struct hazard_engine *engine;
	struct sink *sink;
	const struct hazard *rules[MAX_RULES + 1];
	bool unjudged;
	int output_error; /* the first one */
	struct report_summary summary;
	struct report_unchecked unchecked[MAX_RULES];
	char reasons[MAX_RULES][REASON_BYTES];
	char *notices[MAX_NOTICES];
	struct map pids;
	uint32_t last_pid; /* newest that was counted */
};

const char *watch_format_name(size_t i)
{
	return report_formats[i].name;
}

/* watch_failed() knows their order. */
const char *watch_fail_on_name(size_t i)
{
	static const char *const names[] = { "error", "warning", "note", "never", NULL };

	return names[i];
}

/* ---- what can be done before anything runs ---- */

/* %p is the number of our process, %% a percent sign. */
static char *expand(const char *pattern)
{
	char *name = NULL;
	size_t size;
	FILE *f = open_memstream(&name, &size);

	for (; f && *pattern; pattern++) {
		if (*pattern != '%' || (pattern[1] != 'p' && pattern[1] != '%'))
			fputc(*pattern, f);
		else if (*++pattern == 'p')
			fprintf(f, "%d", (int)getpid());
		else
			fputc('%', f);
	}
	if (f)
		fclose(f);
	return name;
}

/* A stream of our own, buffered: a finding is written in one go, however many others write to the same terminal. */
static int open_stream(struct watch *w, int stream, struct err *err)
{
	int fd;

	if (stream == STDERR_FILENO && w->options->format != 0 && isatty(stream))
		return err_set(err, -EINVAL,
			       "--format %s wants a file of its own: give one with --log FILE, as the program writes "
			       "to this terminal too",
			       report_formats[w->options->format].name);
	fd = fcntl(stream, F_DUPFD_CLOEXEC, 3);
	w->file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!w->file)
		return err_set(err, -errno, "cannot write to standard %s: %m",
			       stream == STDERR_FILENO ? "error" : "output");
	return 0;
}

static int open_log(struct watch *w, int stream, struct err *err)
{
	CLEANUP(cleanup_free) char *name = NULL;
	int r = 0;

	if (!w->options->log) {
		r = open_stream(w, stream, err);
	} else {
		name = expand(w->options->log);
		w->file = name ? fopen(name, "we") : NULL;
		if (!w->file)
			r = err_set(err, -errno, "cannot open %s: %m", name ? name : w->options->log);
	}
	if (r == 0)
		setvbuf(w->file, NULL, _IOFBF, 64 * 1024);
	return r;
}

static bool is_in(const struct command_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i], name) == 0)
			return true;
	return false;
}

static void choose_rules(struct watch *w)
{
	size_t n = 0;

	for (size_t i = 0; hazard_catalogue[i] && n < MAX_RULES; i++) {
		const char *name = hazard_catalogue[i]->name;

		if ((!w->options->only.n || is_in(&w->options->only, name)) && !is_in(&w->options->skip, name))
			w->rules[n++] = hazard_catalogue[i];
	}
}

struct watch *watch_new(const struct watch_options *options, int stream, struct err *err)
{
	struct watch *w = calloc(1, sizeof *w);
	int r = 0;

	if (!w)
		return err_set(err, -ENOMEM, "out of memory"), NULL;
	w->options = options;
	choose_rules(w);
	w->stacks = stacks_new();
	w->suppress = suppress_new();
	w->places = w->stacks ? places_new(w->stacks) : NULL;
	if (!w->suppress || !w->places)
		r = err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < options->suppressions.n; i++)
		r = suppress_load(w->suppress, options->suppressions.items[i], err);
	if (r == 0)
		r = open_log(w, stream, err);
	return r == 0 ? w : watch_free(w);
}

struct watch *watch_free(struct watch *w)
{
	if (!w)
		return NULL;
	if (w->sink)
		w->sink->destroy(w->sink);
	w->engine = hazard_engine_free(w->engine);
	w->places = places_free(w->places);
	w->suppress = suppress_free(w->suppress);
	w->stacks = stacks_free(w->stacks);
	for (size_t i = 0; i < w->summary.n_notices; i++)
		free(w->notices[i]);
	map_deinit(&w->pids);
	if (w->file)
		fclose(w->file);
	free(w);
	return NULL;
}

struct stacks *watch_stacks(struct watch *watch)
{
	return watch->stacks;
}

/* ---- findings ---- */

static void keep_output_error(struct watch *w, int r)
{
	if (r < 0 && !w->output_error)
		w->output_error = r;
}

static void on_finding(void *context, const struct finding *finding)
{
	struct watch *w = context;
	int r;

	if (w->unjudged)
		return;
	if (suppress_matches(w->suppress, finding, w->stacks)) {
		w->summary.n_suppressed++;
		return;
	}
	r = places_add(w->places, finding);
	if (r == PLACES_KNOWN)
		return;
	w->summary.n_findings[finding->level]++;
	/* Without memory to remember the place it is told again rather than not at all. */
	keep_output_error(w, w->sink->finding(w->sink, finding));
	if (w->setup->finding)
		w->setup->finding(w->setup->context, finding);
}

bool watch_failed(const struct watch *watch)
{
	static const int least[] = { HAZARD_ERROR, HAZARD_WARNING, HAZARD_NOTE, HAZARD_ERROR + 1 };

	for (int level = least[watch->options->fail_on]; level <= HAZARD_ERROR; level++)
		if (watch->summary.n_findings[level])
			return true;
	return false;
}

/* ---- events ---- */

void watch_notice(struct watch *w, const char *text)
{
	for (size_t i = 0; i < w->summary.n_notices; i++)
		if (strcmp(w->notices[i], text) == 0)
			return;
	if (w->summary.n_notices == MAX_NOTICES)
		return;
	w->notices[w->summary.n_notices] = strdup(text);
	w->summary.n_notices += w->notices[w->summary.n_notices] != NULL;
}

static void count_process(struct watch *w, const struct event *event)
{
	if (event->pid == w->last_pid)
		return;
	w->last_pid = event->pid;
	if (!event->pid || w->pids.n_used >= MAX_PROCESSES || map_get(&w->pids, event->pid))
		return;
	w->summary.n_processes += map_put(&w->pids, event->pid, w) == 0;
}

static void count_ring(struct watch *w, const struct event *event)
{
	w->summary.n_rings += ((const struct event_setup *)event)->result >= 0;
}

static void count_enter(struct watch *w, const struct event *event)
{
	w->summary.n_enters++;
}

static void keep_notice(struct watch *w, const struct event *event)
{
	const struct event_notice *notice = (const struct event_notice *)event;
	size_t room = event->size - sizeof *notice, length = notice->length < room ? notice->length : room;
	char text[NOTICE_BYTES], process[32] = "";

	/* What the reader says names whom it means. */
	if (!(event->flags & EVENT_SYNTHETIC))
		snprintf(process, sizeof process, "process %u: ", (unsigned int)event->pid);
	snprintf(text, sizeof text, "%s%.*s", process, (int)length, (const char *)(notice + 1));
	watch_notice(w, text);
}

static const struct {
	uint16_t least; /* bytes */
	void (*count)(struct watch *w, const struct event *event);
} counted[EVENT_KIND_COUNT] = {
	[EVENT_PROCESS_START] = { sizeof(struct event_process), count_process },
	[EVENT_RING_SETUP] = { sizeof(struct event_setup), count_ring },
	[EVENT_ENTER] = { sizeof(struct event_enter), count_enter },
	[EVENT_SUBMIT] = { sizeof(struct event_submit), count_process },
	[EVENT_NOTICE] = { sizeof(struct event_notice), keep_notice },
};

static int judge(struct watch *w, const struct event *event, struct err *err)
{
	if (event->kind < EVENT_KIND_COUNT && counted[event->kind].count && event->size >= counted[event->kind].least)
		counted[event->kind].count(w, event);
	if (w->setup->feed_stacks && stacks_apply(w->stacks, event) < 0)
		return err_set(err, -ENOMEM, "cannot keep call stacks: out of memory");
	/* Out of memory there means that state was lost: the model counts it, and the summary says so. */
	if (!w->unjudged)
		(void)hazard_engine_apply(w->engine, event);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int begin(struct watch *w, const struct source *source, struct err *err)
{
	const struct hazard_options options = { .overdue_ns = w->options->overdue_ns };
	const struct sink_options sink = { .file = w->file,
					   .colour = print_in_colour(w->file, w->options->colour),
					   .program = w->setup->program,
					   .version = CIRCLIP_VERSION };

	w->summary.program = w->setup->program;
	w->sink = report_formats[w->options->format].make(&sink, w->stacks);
	w->engine = hazard_engine_new(w->rules, source->abilities, &options, on_finding, w);
	return w->sink && w->engine ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int watch_follow(struct watch *w, struct source *source, const struct watch_setup *setup, struct err *err)
{
	const struct event *event;
	unsigned since_turn = 0;
	uint64_t deadline = 0;
	int r;

	w->setup = setup;
	r = begin(w, source, err);
	while (r >= 0 && r != SOURCE_END) {
		/* While events come in runs there is no need to look up from them at each; without one, the deadline is
		 * due. */
		if (since_turn == 0 && setup->turn)
			setup->turn(setup->context);
		if (since_turn == 0)
			deadline = now_ns() + PATIENCE_NS;
		since_turn = (since_turn + 1) % EVENTS_A_TURN;
		r = source->next(source, deadline, &event, err);
		if (r != SOURCE_EVENT) {
			since_turn = 0;
			continue;
		}
		if (setup->event)
			setup->event(setup->context, event);
		r = judge(w, event, err);
	}
	return r < 0 ? r : 0;
}

void watch_stop_judging(struct watch *watch)
{
	watch->unjudged = true;
}

/* ---- the summary ---- */

static void add_unchecked(void *context, const struct hazard *hazard, const char *reason)
{
	struct watch *w = context;
	size_t n = w->summary.n_unchecked;

	if (n == MAX_RULES)
		return;
	snprintf(w->reasons[n], sizeof w->reasons[n], "%s", reason);
	w->unchecked[n] = (struct report_unchecked){ hazard->name, w->reasons[n] };
	w->summary.n_unchecked++;
}

static void add_count(void *context, const struct finding *finding)
{
	struct watch *w = context;

	places_count(w->places, finding);
}

static void fill_summary(struct watch *w)
{
	struct report_summary *s = &w->summary;
	const struct model *model = hazard_engine_model(w->engine);

	s->n_requests = model->n_requests;
	s->n_completions = model->n_completions;
	s->n_lost = model->n_lost;
	hazard_engine_places(w->engine, add_count, w);
	hazard_engine_unchecked(w->engine, add_unchecked, w);
	s->unchecked = w->unchecked;
	s->notices = (const char *const *)w->notices;
	s->places = places_list(w->places, &s->n_places);
}

/* Lines of several findings may be the same. In text they are part of the report; elsewhere they would spoil it. */
static void print_suppressions(struct watch *w)
{
	FILE *to = w->options->format == 0 ? w->file : stderr;
	CLEANUP(cleanup_free) char *all = NULL;
	size_t size;
	FILE *f = open_memstream(&all, &size);

	for (size_t i = 0; f && i < w->summary.n_places; i++) {
		CLEANUP(cleanup_free) char *line = NULL;
		size_t length;
		FILE *one = open_memstream(&line, &length);

		if (!one)
			break;
		suppress_print(one, w->summary.places[i], w->stacks);
		if (fclose(one) == 0 && fflush(f) == 0 && !strstr(all, line))
			fputs(line, f);
	}
	if (!f || fclose(f) != 0)
		return;
	fputs(all, to);
	fflush(to);
}

int watch_conclude(struct watch *w, bool interrupted, struct err *err)
{
	if (!w->sink || !w->engine)
		return err_set(err, -ENOMEM, "out of memory");
	if (!w->unjudged)
		hazard_engine_finish(w->engine);
	fill_summary(w);
	w->summary.interrupted = interrupted;
	keep_output_error(w, w->sink->summary(w->sink, &w->summary));
	if (w->options->print_suppressions)
		print_suppressions(w);
	if (w->output_error)
		return err_set(err, w->output_error, "cannot write the report%s%s: %s", w->options->log ? " to " : "",
			       w->options->log ? w->options->log : "", strerror(-w->output_error));
	return 0;
}
