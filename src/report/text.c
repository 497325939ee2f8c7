/* SPDX-License-Identifier: MIT */
/* For people: in the manner of the sanitizers they know. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "abi/decode.h"
#include "report/common.h"

enum { MAX_FRAMES = 16, WIDTH = 110 };

struct text {
	struct sink sink;
	struct sink_options options;
	struct stacks *stacks;
};

static struct text *text_of(struct sink *sink)
{
	return (struct text *)sink;
}

/* Texts hold names out of other processes: nothing in them may steer the terminal. */
static void put(FILE *f, const char *text, size_t length)
{
	for (; length; text++, length--)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, f);
}

static void put_all(FILE *f, const char *text)
{
	put(f, text, strlen(text));
}

static void put_wrapped(FILE *f, const char *text, int indent)
{
	int column = 0; /* nothing written yet */

	while (*(text += strspn(text, " \n"))) {
		size_t word = strcspn(text, " \n");

		if (!column || column + 1 + (int)word > WIDTH)
			column = fprintf(f, "%s%*s", column ? "\n" : "", indent, "") - !!column;
		else
			column += fprintf(f, " ");
		put(f, text, word);
		column += (int)word;
		text += word;
	}
	fputc('\n', f);
}

static const char *colour(const struct text *t, const char *code)
{
	return t->options.colour ? code : "";
}

static const char *level_colour(const struct text *t, enum hazard_level level)
{
	return colour(t, level == HAZARD_ERROR ? "\033[1;31m" : level == HAZARD_WARNING ? "\033[1;35m" : "\033[1;36m");
}

static const char *level_word(enum hazard_level level)
{
	return level == HAZARD_ERROR ? "ERROR" : level == HAZARD_WARNING ? "WARNING" : "NOTE";
}

static void put_frame(FILE *f, size_t number, const struct stack_frame *frame)
{
	const char *slash = strrchr(frame->module, '/');

	fprintf(f, "    #%-2zu 0x%012" PRIx64, number, frame->pc);
	if (frame->name) {
		fputs(" in ", f);
		put_all(f, frame->name);
	}
	fputc(' ', f);
	if (frame->file) {
		put_all(f, common_path(frame->file));
		fprintf(f, ":%d", frame->line);
		if (frame->column)
			fprintf(f, ":%d", frame->column);
	} else {
		fputc('(', f);
		put_all(f, slash ? slash + 1 : frame->module);
		fprintf(f, "+0x%" PRIx64 ")", frame->offset);
	}
	fputs(frame->inlined ? " (inlined)\n" : "\n", f);
}

static void put_stack(struct text *t, const struct finding *finding, const struct finding_stack *stack)
{
	const struct stack *named = stack->stack ? stacks_symbolize(t->stacks, stack->pid, stack->stack) : NULL;
	size_t n = named ? common_frames(named) : 0, shown = n < MAX_FRAMES ? n : MAX_FRAMES;
	FILE *f = t->options.file;

	if (!stack->label || !stack->stack)
		return;
	fprintf(f, "  %s", stack->label);
	if (stack->pid != finding->pid)
		fprintf(f, " (process %" PRIu32 ")", stack->pid);
	fprintf(f, "%s\n", named ? ":" : ": (stack not kept)");
	for (size_t i = 0; i < shown; i++)
		put_frame(f, i, &named->frames[i]);
	if (shown < n)
		fprintf(f, "    ... %zu more\n", n - shown);
	else if (named && named->truncated && n == named->n_frames)
		fputs("    ... (the stack goes on, but cannot be followed)\n", f);
}

static void put_duration(FILE *f, uint64_t ns)
{
	if (ns < 1000000)
		fprintf(f, "%.1f us", (double)ns / 1e3);
	else if (ns < 1000000000)
		fprintf(f, "%.1f ms", (double)ns / 1e6);
	else
		fprintf(f, "%.2f s", (double)ns / 1e9);
}

static void put_entry(FILE *f, const struct finding *finding)
{
	char line[512];

	if (finding->has_sqe) {
		abi_decode_sqe(line, sizeof line, &finding->sqe, NULL);
		fputs("  entry: ", f);
		put_all(f, line);
		fputc('\n', f);
	}
	if (!finding->ring && !finding->in_flight_ns)
		return;
	fprintf(f, "  thread %" PRIu32, finding->tid);
	if (finding->ring)
		fprintf(f, ", ring %" PRIu32, finding->ring);
	if (finding->ring && finding->ring_fd >= 0)
		fprintf(f, " (fd %" PRId32 ")", finding->ring_fd);
	if (finding->in_flight_ns) {
		fputs(", in flight for ", f);
		put_duration(f, finding->in_flight_ns);
	}
	fputc('\n', f);
}

static void put_advice(struct text *t, const char *title, const char *text)
{
	if (!text)
		return;
	fprintf(t->options.file, "  %s%s%s\n", colour(t, "\033[1m"), title, colour(t, "\033[0m"));
	put_wrapped(t->options.file, text, 4);
}

static int text_finding(struct sink *sink, const struct finding *finding)
{
	struct text *t = text_of(sink);
	FILE *f = t->options.file;

	fprintf(f, "%s==%" PRIu32 "==%s: circlip: %s%s\n", level_colour(t, finding->level), finding->pid,
		level_word(finding->level), finding->hazard->name, colour(t, "\033[0m"));
	put_wrapped(f, finding->message, 2);
	put_entry(f, finding);
	for (size_t i = 0; i < finding->n_steps && i < FINDING_STEPS; i++) {
		fprintf(f, "  %2zu. ", i + 1);
		put_all(f, finding->steps[i]);
		fputc('\n', f);
	}
	for (size_t i = 0; i < FINDING_STACKS; i++)
		put_stack(t, finding, &finding->stacks[i]);
	put_advice(t, "What the kernel does:", finding->why ? finding->why : finding->hazard->why);
	put_advice(t, "How to fix it:", finding->fix ? finding->fix : finding->hazard->fix);
	fprintf(f, "  More: circlip explain %s\n\n", finding->hazard->name);
	return common_flush(f);
}

/* Places that were met more than once: the finding itself was printed at the first. */
static void put_repeats(struct text *t, const struct report_summary *summary)
{
	FILE *f = t->options.file;

	for (size_t i = 0; i < summary->n_places; i++) {
		const struct finding *place = summary->places[i];
		const struct stack_frame *frame = common_place(t->stacks, &place->stacks[0]);

		if (place->count < 2)
			continue;
		fprintf(f, "circlip: %s", place->hazard->name);
		if (frame) {
			fputs(" at ", f);
			put_all(f, common_path(frame->file));
			fprintf(f, ":%d", frame->line);
		}
		fprintf(f, " was seen %" PRIu64 " times\n", place->count);
	}
}

static bool reason_was_told(const struct report_summary *summary, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(summary->unchecked[j].reason, summary->unchecked[i].reason) == 0)
			return true;
	return false;
}

static void put_unchecked(FILE *f, const struct report_summary *summary)
{
	for (size_t i = 0; i < summary->n_unchecked; i++) {
		const char *reason = summary->unchecked[i].reason;
		int column;

		if (reason_was_told(summary, i))
			continue;
		column = fprintf(f, "circlip: not checked (%s):", reason);
		for (size_t j = i; j < summary->n_unchecked; j++) {
			if (strcmp(summary->unchecked[j].reason, reason) != 0)
				continue;
			if (column + (int)strlen(summary->unchecked[j].hazard) > WIDTH)
				column = fprintf(f, "\n   ") - 1;
			column += fprintf(f, " %s", summary->unchecked[j].hazard);
		}
		fputc('\n', f);
	}
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void put_counts(FILE *f, const struct report_summary *s)
{
	const uint64_t *n = s->n_findings;

	fprintf(f, "%" PRIu64 " error%s", n[HAZARD_ERROR], plural(n[HAZARD_ERROR]));
	fprintf(f, ", %" PRIu64 " warning%s", n[HAZARD_WARNING], plural(n[HAZARD_WARNING]));
	if (n[HAZARD_NOTE])
		fprintf(f, ", %" PRIu64 " note%s", n[HAZARD_NOTE], plural(n[HAZARD_NOTE]));
	if (s->n_suppressed)
		fprintf(f, ", %" PRIu64 " suppressed", s->n_suppressed);
	if (s->program) {
		fputs(" in ", f);
		put_all(f, s->program);
	}
	fprintf(f, " (%" PRIu64 " ring%s, %" PRIu64 " request%s)", s->n_rings, plural(s->n_rings), s->n_requests,
		plural(s->n_requests));
	if (s->n_unchecked)
		fprintf(f, "; not checked: %zu hazard%s", s->n_unchecked, plural(s->n_unchecked));
	if (s->n_lost)
		fprintf(f, "; %" PRIu64 " event%s lost", s->n_lost, plural(s->n_lost));
	if (s->interrupted)
		fputs("; interrupted", f);
}

static int text_summary(struct sink *sink, const struct report_summary *summary)
{
	struct text *t = text_of(sink);
	FILE *f = t->options.file;

	put_repeats(t, summary);
	for (size_t i = 0; i < summary->n_notices; i++) {
		fputs("circlip: ", f);
		put_all(f, summary->notices[i]);
		fputc('\n', f);
	}
	put_unchecked(f, summary);
	fputs("SUMMARY: circlip: ", f);
	put_counts(f, summary);
	fputc('\n', f);
	return common_flush(f);
}

static struct sink *text_destroy(struct sink *sink)
{
	free(sink);
	return NULL;
}

struct sink *report_text_new(const struct sink_options *options, struct stacks *stacks)
{
	struct text *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	*t = (struct text){ .sink = { "text", text_finding, text_summary, text_destroy },
			    .options = *options,
			    .stacks = stacks };
	return &t->sink;
}
