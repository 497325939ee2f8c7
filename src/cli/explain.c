/* SPDX-License-Identifier: MIT */
/* circlip explain: one hazard's page of the catalogue. */
#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/near.h"
#include "cli/command.h"
#include "cli/print.h"
#include "hazard/hazard.h"
#include "report/common.h"

enum { MAX_NEAR = 8 };

struct explain_options {
	unsigned int colour;
};

static const char *explain_name(size_t i)
{
	return explain_texts[i].name;
}

static const char *find_text(const char *name)
{
	for (const struct explain_text *t = explain_texts; t->name; t++)
		if (strcmp(t->name, name) == 0)
			return t->text;
	return NULL;
}

static void put_line(const char *line, bool bold)
{
	size_t level = strspn(line, "#"), item = strspn(line, " -*0123456789.");

	if (level && line[level] == ' ')
		printf("%s%s%s\n", bold ? "\033[1m" : "", line + level + 1, bold ? "\033[0m" : "");
	else if (*line == '|' || strncmp(line, "    ", 4) == 0)
		printf("%s\n", line);
	else if (*line)
		print_wrapped(stdout, line, item && item <= 3 && line[item - 1] == ' ' ? (int)item : 0, 0);
	else
		putchar('\n');
}

/* The page's own title and its licence line give way to a headline. */
static bool is_prose(const char *line, size_t number)
{
	return strncmp(line, "<!--", 4) != 0 && !(number < 3 && strncmp(line, "# ", 2) == 0);
}

static int put_page(const char *text, bool bold)
{
	bool code = false, begun = false;

	for (size_t number = 0; *text; number++) {
		size_t n = strcspn(text, "\n");
		CLEANUP(cleanup_free) char *line = strndup(text, n);

		if (!line)
			return -1;
		text += n + (text[n] == '\n');
		begun |= *line && is_prose(line, number);
		if (strncmp(line, "```", 3) == 0)
			code = !code;
		else if (code)
			printf("    %s\n", line);
		else if (begun && is_prose(line, number))
			put_line(line, bold);
	}
	return 0;
}

static void put_headline(const char *name, bool bold)
{
	const struct hazard *hazard = hazard_find(name);

	printf("%s%s%s", bold ? "\033[1m" : "", name, bold ? "\033[0m" : "");
	if (hazard)
		printf(" (%s, %s)", common_level(hazard->level), hazard->family);
	fputs("\n\n", stdout);
}

static int refuse(const char *name)
{
	const char *near[MAX_NEAR];
	size_t n = near_names(name, explain_name, near, MAX_NEAR);

	command_fail("explain", 0, "there is no hazard \"%s\"%s", name,
		     n ? "; these are near:" : " (circlip hazards lists them)");
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "  %s\n", near[i]);
	return COMMAND_USAGE;
}

static int explain_run(void *options, char **words, size_t n_words)
{
	const struct explain_options *o = options;
	bool bold = print_in_colour(stdout, o->colour);
	const char *text = find_text(words[0]);

	if (!text)
		return refuse(words[0]);
	put_headline(words[0], bold);
	if (put_page(text, bold) < 0)
		return command_fail("explain", COMMAND_FAILED, "out of memory");
	return COMMAND_OK;
}

static const struct command_option explain_rows[] = {
	{ "color", NULL, "Headings in bold: auto is on a terminal, unless NO_COLOR is set.", COMMAND_CHOICE,
	  offsetof(struct explain_options, colour), print_colour_name },
	{ NULL },
};

const struct command explain_command = {
	.name = "explain",
	.words = "HAZARD",
	.summary = "Explain a hazard: what happens, what the kernel really does, how to fix it, how Circlip sees it.",
	.about = "The names are those of the findings; circlip hazards lists them.",
	.options = explain_rows,
	.size = sizeof(struct explain_options),
	.min_words = 1,
	.max_words = 1,
	.names = explain_name,
	.run = explain_run,
};
