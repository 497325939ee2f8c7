/* SPDX-License-Identifier: MIT */
#include "report/suppress.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "report/common.h"

enum where { WHERE_FUNCTION, WHERE_OBJECT, WHERE_SOURCE };

static const char *const prefixes[] = { "fun:", "obj:", "src:" };

struct line {
	struct line *next;
	enum where where;
	char *glob; /* within `hazard`'s memory */
	char hazard[];
};

struct suppress {
	struct line *first;
};

struct suppress *suppress_new(void)
{
	return calloc(1, sizeof(struct suppress));
}

struct suppress *suppress_free(struct suppress *suppress)
{
	for (struct line *next; suppress && suppress->first; suppress->first = next) {
		next = suppress->first->next;
		free(suppress->first);
	}
	free(suppress);
	return NULL;
}

static char *trim(char *text)
{
	size_t n;

	text += strspn(text, " \t");
	n = strlen(text);
	while (n && strchr(" \t\r\n", text[n - 1]))
		text[--n] = '\0';
	return text;
}

/* Where a name is no glob it has to be a hazard's, or a typing mistake would suppress nothing and say nothing. */
static bool known_hazard(const char *name)
{
	return strpbrk(name, "*?[") || hazard_find(name);
}

static int add(struct suppress *suppress, char *hazard, char *glob, enum where where)
{
	size_t a = strlen(hazard) + 1, b = strlen(glob) + 1;
	struct line *line = malloc(sizeof *line + a + b);

	if (!line)
		return -ENOMEM;
	memcpy(line->hazard, hazard, a);
	line->glob = memcpy(line->hazard + a, glob, b);
	line->where = where;
	line->next = suppress->first;
	suppress->first = line;
	return 0;
}

/* A function by its bare name, which may have "::" in it, but is no misspelt prefix. */
static bool is_plain(const char *text)
{
	size_t n = strcspn(text, ":");

	return n > 0 && (text[n] == '\0' || text[n + 1] == ':');
}

static int parse(struct suppress *suppress, char *text, const char *path, int number, struct err *err)
{
	char *hazard = trim(text), *colon;
	int r;

	if (!*hazard || *hazard == '#')
		return 0;
	colon = strchr(hazard, ':');
	if (!colon)
		return err_set(err, -EINVAL, "%s:%d: expected \"HAZARD: fun:GLOB\", \"obj:GLOB\" or \"src:GLOB\"", path,
			       number);
	*colon++ = '\0';
	hazard = trim(hazard);
	colon = trim(colon);
	if (!known_hazard(hazard))
		return err_set(err, -EINVAL, "%s:%d: there is no hazard \"%s\" (circlip hazards lists them)", path,
			       number, hazard);
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		if (strncmp(colon, prefixes[i], 4) != 0 || !colon[4])
			continue;
		r = add(suppress, hazard, trim(colon + 4), (enum where)i);
		return r < 0 ? err_set(err, r, "%s:%d: out of memory", path, number) : 0;
	}
	if (!is_plain(colon))
		return err_set(err, -EINVAL, "%s:%d: \"%s\" is none of fun:GLOB, obj:GLOB, src:GLOB", path, number,
			       colon);
	r = add(suppress, hazard, colon, WHERE_FUNCTION);
	return r < 0 ? err_set(err, r, "%s:%d: out of memory", path, number) : 0;
}

int suppress_load(struct suppress *suppress, const char *path, struct err *err)
{
	CLEANUP(cleanup_file) FILE *file = fopen(path, "re");
	CLEANUP(cleanup_free) char *text = NULL;
	size_t size = 0;
	int r = 0;

	if (!file)
		return err_set(err, -errno, "cannot open suppressions %s: %m", path);
	for (int number = 1; r == 0 && getline(&text, &size, file) >= 0; number++)
		r = parse(suppress, text, path, number, err);
	if (r == 0 && ferror(file))
		return err_set(err, -EIO, "cannot read suppressions %s", path);
	return r;
}

/* A glob matches the whole text or the last part of a path. */
static bool glob_matches(const char *glob, const char *text)
{
	const char *slash = text ? strrchr(text, '/') : NULL;

	return text && (fnmatch(glob, text, 0) == 0 || (slash && fnmatch(glob, slash + 1, 0) == 0));
}

static bool frame_matches(const struct line *line, const struct stack_frame *frame)
{
	switch (line->where) {
	case WHERE_FUNCTION:
		return frame->name && fnmatch(line->glob, frame->name, 0) == 0;
	case WHERE_OBJECT:
		return glob_matches(line->glob, frame->module);
	case WHERE_SOURCE:
		return glob_matches(line->glob, frame->file);
	}
	return false;
}

static const struct stack *first_stack(const struct finding *finding, struct stacks *stacks)
{
	return stacks_symbolize(stacks, finding->stacks[0].pid, finding->stacks[0].stack);
}

bool suppress_matches(const struct suppress *suppress, const struct finding *finding, struct stacks *stacks)
{
	const struct stack *stack = suppress->first ? first_stack(finding, stacks) : NULL;

	for (const struct line *line = stack ? suppress->first : NULL; line; line = line->next) {
		if (fnmatch(line->hazard, finding->hazard->name, 0) != 0)
			continue;
		for (size_t i = 0; i < stack->n_frames; i++)
			if (frame_matches(line, &stack->frames[i]))
				return true;
	}
	return false;
}

/* What a glob would take for an operator is matched as any character. */
static void print_literal(FILE *file, const char *text)
{
	for (; *text; text++)
		fputc(strchr("*?[\\", *text) || (unsigned char)*text < ' ' ? '?' : *text, file);
	fputc('\n', file);
}

void suppress_print(FILE *file, const struct finding *finding, struct stacks *stacks)
{
	const struct stack *stack = first_stack(finding, stacks);
	const struct stack_frame *frame = common_place(stacks, &finding->stacks[0]);

	if (!frame && stack && stack->n_frames)
		frame = &stack->frames[0];
	if (!frame) {
		fprintf(file, "# %s: has no stack to be matched by\n", finding->hazard->name);
		return;
	}
	fprintf(file, "%s: %s", finding->hazard->name, prefixes[frame->name ? WHERE_FUNCTION : WHERE_OBJECT]);
	print_literal(file, frame->name ? frame->name : frame->module);
}
