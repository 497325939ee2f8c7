/* SPDX-License-Identifier: MIT */
/*
 * circlip policy learn: runs a program under the shim and writes the smallest policy for what it did, each member with
 * a comment that says how often and from where.
 *
 * The file appears whole or not at all. With --merge what the file allows already stays, and so do the comments beside
 * its names.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/policy.h"
#include "cli/program.h"
#include "enforce/groups.h"
#include "enforce/learn.h"
#include "event/event.h"
#include "event/source.h"
#include "report/common.h"
#include "sense/frames.h"
#include "sense/shm.h"
#include "stack/stack.h"

enum { COMMENT_BYTES = 256, OLD_MAX = 1024 * 1024 };
#define PATIENCE_NS UINT64_C(50000000)

struct learn_options {
	const char *output;
	bool merge, detach;
};

struct learning {
	const struct learn_options *options;
	struct program program;
	struct source *source;
	struct stacks *stacks;
	struct learn *learn;
	struct policy before; /* with --merge: what the file allowed */
	char *old;            /* its text */
	bool blind;           /* something could not be watched */
	char comment[COMMENT_BYTES];
};

/* ---- where it came from ---- */

/* A comment is one line, and nobody else's words shall end it or paint the terminal. */
static void add(struct learning *l, const char *text)
{
	size_t used = strlen(l->comment);

	for (; *text && used + 1 < sizeof l->comment; text++)
		l->comment[used++] = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;
	l->comment[used] = '\0';
}

static void add_frame(struct learning *l, const struct stack_frame *frame)
{
	const char *slash = strrchr(frame->module, '/');
	char text[COMMENT_BYTES];

	if (!frame->name)
		snprintf(text, sizeof text, " at %s+0x%llx", slash ? slash + 1 : frame->module,
			 (unsigned long long)frame->offset);
	else if (frame->file)
		snprintf(text, sizeof text, " in %s (%s:%d)", frame->name, common_path(frame->file), frame->line);
	else
		snprintf(text, sizeof text, " in %s (%s)", frame->name, slash ? slash + 1 : frame->module);
	add(l, text);
}

/* Libraries that only carry a call on: whoever called them says more. */
static bool carries(const struct stack_frame *frame)
{
	static const char *const names[] = { "libc.so", "libc-", "liburing", "ld-linux", "libpthread" };
	const char *slash = strrchr(frame->module, '/'), *base = slash ? slash + 1 : frame->module;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(base, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static size_t telling_frame(const struct stack *stack)
{
	for (size_t i = 0; i < stack->n_frames; i++)
		if (!carries(&stack->frames[i]))
			return i;
	return 0;
}

static void describe(struct learning *l, const struct learn_mark *mark)
{
	const struct stack *stack = mark->stack ? stacks_symbolize(l->stacks, mark->pid, mark->stack) : NULL;
	char count[64];
	size_t i;

	snprintf(count, sizeof count, mark->count == 1 ? "once, by " : "%llu times, first by ",
		 (unsigned long long)mark->count);
	add(l, count);
	add(l, *mark->program ? mark->program : "the program");
	if (!stack || !stack->n_frames)
		return;
	i = telling_frame(stack);
	add_frame(l, &stack->frames[i]);
	/* Entries are often sent by one function for all; who called it says more. */
	if (i + 1 < stack->n_frames && stack->frames[i].name && stack->frames[i + 1].name &&
	    strcmp(stack->frames[i].name, "main") != 0) {
		add(l, " from ");
		add(l, stack->frames[i + 1].name);
	}
}

/* What the old file says beside "- NAME", if it does. */
static void take_over(struct learning *l, enum policy_field field, int member)
{
	const enum groups_set set = field == POLICY_OPS               ? GROUPS_OPS
				    : field == POLICY_REGISTER_OPS    ? GROUPS_REGISTER_OPS
				    : field == POLICY_SETUP_FLAGS     ? GROUPS_SETUP_FLAGS
				    : field == POLICY_SOCKET_FAMILIES ? GROUPS_FAMILIES
								      : GROUPS_SQE_FLAGS;
	char name[GROUPS_NAME_BYTES], item[GROUPS_NAME_BYTES + 8];
	const char *at, *hash, *end;
	size_t n;

	n = (size_t)snprintf(item, sizeof item, "- %s ", groups_name(set, (unsigned int)member, name));
	at = l->old ? strstr(l->old, item) : NULL;
	end = at ? at + strcspn(at, "\n") : NULL;
	hash = at ? memchr(at + n, '#', (size_t)(end - at - (ptrdiff_t)n)) : NULL;
	if (hash) {
		char text[COMMENT_BYTES];

		hash += strspn(hash, "# ");
		snprintf(text, sizeof text, "%.*s", (int)(end - hash), hash);
		add(l, text);
	} else {
		add(l, "allowed before");
	}
}

static const char *comment(void *context, enum policy_field field, int member)
{
	struct learning *l = context;
	struct learn_mark mark = learn_mark(l->learn, field, member);
	struct learn_summary summary = learn_summary(l->learn);

	l->comment[0] = '\0';
	if (field == POLICY_RINGS_PER_CONTAINER && mark.count)
		snprintf(l->comment, sizeof l->comment, "%llu at a time, %llu in all",
			 (unsigned long long)summary.live_rings, (unsigned long long)summary.rings);
	else if (field == POLICY_BUFFER_BYTES && mark.count)
		add(l, "all that were registered, with room for huge pages; ");
	if (!*l->comment && field == POLICY_RINGS_PER_PROCESS && mark.count)
		add(l, "as many as one made in all: how many at a time depends on timing");
	else if (field != POLICY_RINGS_PER_CONTAINER && mark.count)
		describe(l, &mark);
	else if (!mark.count && member >= 0)
		take_over(l, field, member);
	return l->comment;
}

/* ---- the file ---- */

/* What was seen and is no line of the policy, since a line would change what the program sees; ready to be taken. */
static void write_remarks(const struct learn_summary *seen, FILE *file)
{
	if (seen->files)
		fprintf(file,
			"# registeredFiles: %u would keep its largest table of files at that, and every process of it "
			"to as many\n# descriptors, open ones included (RLIMIT_NOFILE).\n",
			seen->files);
	if (seen->workers[0] || seen->workers[1]) {
		fputs("# workers: {", file);
		if (seen->workers[0])
			fprintf(file, " bounded: %u%s", seen->workers[0], seen->workers[1] ? "," : "");
		if (seen->workers[1])
			fprintf(file, " unbounded: %u", seen->workers[1]);
		fputs(" } is what it sets itself at most. As a line of the policy that is set for it, and its own\n"
		      "# call is denied (IOWQ_MAX_WORKERS).\n",
		      file);
	}
	if (seen->resized)
		fputs("# sqEntries and cqEntries are not limited: either would deny RESIZE_RINGS, which it calls.\n",
		      file);
}

static int write_policy(struct learning *l, const char *program, FILE *file)
{
	struct learn_summary summary = learn_summary(l->learn);
	struct policy policy = l->options->merge ? l->before : learn_nothing();

	learn_add(l->learn, &policy);
	if (!l->options->merge)
		snprintf(policy.name, sizeof policy.name, "learned");
	fprintf(file, "# Learned from: ");
	for (; *program; program++)
		fputc((unsigned char)*program < ' ' || *program == 0x7f ? '?' : *program, file);
	fprintf(file,
		"\n# %llu entries, %llu register calls, %llu rings of %llu processes; what it did not do there is not "
		"allowed.\n",
		(unsigned long long)summary.entries, (unsigned long long)summary.register_calls,
		(unsigned long long)summary.rings, (unsigned long long)summary.processes);
	write_remarks(&summary, file);
	if (summary.lost || l->blind)
		fputs("# Not all of it could be seen: something may be missing here.\n", file);
	policy_write(&policy, file, comment, l);
	return fflush(file) != 0 || ferror(file) ? -EIO : 0;
}

static int replace_file(struct learning *l, const char *program, struct err *err)
{
	const char *path = l->options->output;
	CLEANUP(cleanup_free) char *temporary = NULL;
	FILE *file;
	int r;

	if (asprintf(&temporary, "%s.%d.new", path, (int)getpid()) < 0)
		return temporary = NULL, err_set(err, -ENOMEM, "out of memory");
	file = fopen(temporary, "wxe");
	if (!file)
		return err_set(err, -errno, "cannot write %s: %m", temporary);
	r = write_policy(l, program, file);
	if (fclose(file) != 0 || r < 0 || rename(temporary, path) < 0) {
		r = -errno;
		(void)unlink(temporary);
		return err_set(err, r, "cannot write %s: %s", path, strerror(-r));
	}
	return 0;
}

static int read_old(struct learning *l, struct err *err)
{
	const char *path = l->options->output;
	CLEANUP(cleanup_file) FILE *file = NULL;
	size_t n;
	int r;

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		l->before = learn_nothing();
		snprintf(l->before.name, sizeof l->before.name, "learned");
		return 0;
	}
	r = policy_load(path, &l->before, err);
	if (r < 0)
		return err_wrap(err, r, "--merge");
	file = fopen(path, "re");
	l->old = calloc(1, OLD_MAX + 1);
	if (!file || !l->old)
		return err_set(err, -ENOMEM, "cannot read %s again", path);
	n = fread(l->old, 1, OLD_MAX, file);
	l->old[n] = '\0';
	return 0;
}

/* ---- the run ---- */

static void tell_notice(struct learning *l, const struct event *event)
{
	const struct event_notice *notice = (const struct event_notice *)event;
	size_t room = event->size - sizeof *notice, length = notice->length < room ? notice->length : room;

	l->blind = true;
	command_fail("policy learn", 0, "process %u: %.*s", (unsigned int)event->pid, (int)length,
		     (const char *)(notice + 1));
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int follow(struct learning *l, struct err *err)
{
	const struct event *event;
	int r = 0;

	while (r >= 0 && r != SOURCE_END) {
		program_turn(&l->program);
		r = l->source->next(l->source, now_ns() + PATIENCE_NS, &event, err);
		if (r != SOURCE_EVENT)
			continue;
		if (event->kind == EVENT_NOTICE && event->size >= sizeof(struct event_notice))
			tell_notice(l, event);
		r = learn_apply(l->learn, event);
		if (r < 0)
			return err_set(err, r, "out of memory");
	}
	return r < 0 ? r : 0;
}

static int start(struct learning *l, char **words, struct err *err)
{
	const struct sense_shm_options options = { .argv = words };
	int r;

	if (!l->options->output)
		return err_set(err, -EINVAL, "where the policy is to be written is missing: -o FILE");
	r = l->options->merge ? read_old(l, err) : 0;
	if (r < 0)
		return r == -ENOENT || r == -EACCES ? -EIO : r;
	l->stacks = stacks_new();
	l->learn = learn_new();
	if (!l->stacks || !l->learn)
		return err_set(err, -ENOMEM, "out of memory");
	interrupt_prepare();
	r = sense_shm_new(&options, &l->program.shm, err);
	if (r < 0)
		return r;
	interrupt_listen();
	l->source = sense_frames_new(l->program.shm, l->stacks);
	if (!l->source)
		return l->program.shm = NULL, err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int conclude(struct learning *l, const char *program)
{
	struct learn_summary summary = learn_summary(l->learn);
	struct err err = { "" };

	if (!summary.rings)
		return command_fail("policy learn", COMMAND_BROKEN,
				    summary.refused_rings ? "no ring could be made, so nothing was learned"
							  : "no ring was made, so nothing was learned");
	if (summary.lost)
		command_fail("policy learn", 0, "%llu events were lost: the policy may lack something",
			     (unsigned long long)summary.lost);
	if (replace_file(l, program, &err) < 0)
		return command_fail("policy learn", COMMAND_BROKEN, "%s", err.text);
	command_fail("policy learn", 0, "%s: %llu entries of %llu rings", l->options->output,
		     (unsigned long long)summary.entries, (unsigned long long)summary.rings);
	return program_status(&l->program);
}

static void finish(struct learning *l)
{
	if (l->source)
		l->source->destroy(l->source);
	else if (l->program.shm)
		l->program.shm->destroy(l->program.shm);
	l->learn = learn_free(l->learn);
	l->stacks = stacks_free(l->stacks);
	free(l->old);
}

static int learn_run(void *options, char **words, size_t n_words)
{
	const struct learn_options *o = options;
	struct learning l = { .options = o, .program = { .detach = o->detach } };
	struct err err = { "" };
	int r = start(&l, words, &err), status;

	if (r < 0) {
		if (l.program.shm)
			sense_shm_signal(l.program.shm, SIGKILL);
		status = command_fail("policy learn", program_start_status(r), "%s", err.text);
	} else if (follow(&l, &err) < 0) {
		status = command_fail("policy learn", COMMAND_BROKEN, "%s", err.text);
	} else {
		status = conclude(&l, words[0]);
	}
	finish(&l);
	return status;
}

#define LEARN_OPTION(field) offsetof(struct learn_options, field)

static const struct command_option learn_rows[] = {
	{ "output", "FILE", "Where the policy is written. Must be given.", COMMAND_FILE, LEARN_OPTION(output),
	  .letter = 'o' },
	{ "merge", NULL, "Add to what FILE allows already, if it is there.", COMMAND_FLAG, LEARN_OPTION(merge) },
	{ "detach", NULL, "Do not wait for processes that the program leaves behind.", COMMAND_FLAG,
	  LEARN_OPTION(detach) },
	{ NULL },
};

const struct command policy_learn_command = {
	.name = "policy learn",
	.words = "PROG [ARGS...]",
	.summary = "Run PROG and write the smallest policy for what it does with io_uring, and its children do.",
	.about = "Each name in the file has a comment: how often it was seen, and where first. A policy knows what one "
		 "run did; run all that the program can do, with --merge. The exit status is the program's own, or 125 "
		 "when nothing was learned.",
	.options = learn_rows,
	.size = sizeof(struct learn_options),
	.min_words = 1,
	.max_words = SIZE_MAX,
	.runs_program = true,
	.run = learn_run,
};
