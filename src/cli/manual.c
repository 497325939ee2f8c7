/* SPDX-License-Identifier: MIT */
/*
 * circlip manual: the parts of the manual pages that the table of commands knows, in scdoc's form. man/page puts them
 * into the pages when Circlip is built.
 */
#include <ctype.h>
#include <string.h>

#include "advise/fix.h"
#include "base/near.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/policy.h"

/* What scdoc would take for its own. */
static void put(const char *text, FILE *file)
{
	for (; *text; text++) {
		if (strchr("*_\\#~[]<>", *text))
			fputc('\\', file);
		fputc(*text, file);
	}
}

static void put_item(char letter, const char *name, const char *value, const char *help)
{
	if (letter)
		printf("*-%c*, ", letter);
	printf("*--%s*", name);
	if (*value) {
		fputs("=_", stdout);
		put(value, stdout);
		fputc('_', stdout);
	}
	fputs("\n\t", stdout);
	put(help, stdout);
	fputs("\n\n", stdout);
}

static void put_about(const struct command *command);

/* Each verb with what it is for and its options. */
static void put_verbs(const struct command *command)
{
	for (size_t i = 0; command->verbs && command->verbs[i]; i++) {
		printf("## circlip %s\n\n", command->verbs[i]->name);
		put_about(command->verbs[i]);
		for (const struct command_option *row = command->verbs[i]->options; row && row->name; row++) {
			char value[64];

			put_item(row->letter, row->name, help_value(value, sizeof value, row), row->help);
		}
	}
}

static void put_options(const struct command *command)
{
	char value[64];

	for (const struct command_option *row = command->options; row && row->name; row++)
		put_item(row->letter, row->name, help_value(value, sizeof value, row), row->help);
	put_item(0, "help", "", "Print a short description.");
	put_item(0, "version", "", "Print the version.");
}

static void put_synopsis(const struct command *command)
{
	for (size_t i = 0; command->verbs && command->verbs[i]; i++)
		put_synopsis(command->verbs[i]);
	if (!command->run)
		return;
	printf("*circlip %s*", command->name);
	if (command->options)
		fputs(" [_options_]", stdout);
	if (command->runs_program)
		fputs(" [*--*]", stdout);
	if (command->words) {
		fputc(' ', stdout);
		put(command->words, stdout);
	}
	fputs("\n\n", stdout);
}

static void put_about(const struct command *command)
{
	put(command->summary, stdout);
	if (command->about) {
		fputs("\n\n", stdout);
		put(command->about, stdout);
	}
	fputs("\n\n", stdout);
}

static void put_mechanisms(const struct command *ignored)
{
	policy_mechanisms_manual();
}

static void put_fixes(const struct command *ignored)
{
	for (size_t i = 0; fix_kind(i); i++) {
		printf("*%s*\n\t", fix_kind(i));
		put(fix_summary(i), stdout);
		fputs("\n\n", stdout);
	}
}

static void put_commands(const struct command *ignored)
{
	for (size_t i = 0; command_table[i]; i++) {
		if (command_table[i]->hidden)
			continue;
		printf("*circlip %s*\n\t", command_table[i]->name);
		put(command_table[i]->summary, stdout);
		fputs("\n\n", stdout);
	}
}

static const struct {
	const char *name;
	void (*put)(const struct command *command);
} parts[] = {
	{ "synopsis", put_synopsis }, { "about", put_about },       { "options", put_options },
	{ "verbs", put_verbs },       { "commands", put_commands }, { "mechanisms", put_mechanisms },
	{ "fixes", put_fixes },
};

static const char *part_name(size_t i)
{
	return i < sizeof parts / sizeof *parts ? parts[i].name : NULL;
}

static int manual_run(void *options, char **words, size_t n_words)
{
	const struct command *command = command_find(words[0]);
	char hint[128];

	if (!command)
		return command_fail("manual", COMMAND_USAGE, "there is no command \"%s\"%s", words[0],
				    near_hint(hint, sizeof hint, words[0], command_name));
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (strcmp(parts[i].name, words[1]) != 0)
			continue;
		parts[i].put(command);
		return COMMAND_OK;
	}
	return command_fail("manual", COMMAND_USAGE, "a manual page has no part \"%s\"%s", words[1],
			    near_hint(hint, sizeof hint, words[1], part_name));
}

const struct command manual_command = {
	.name = "manual",
	.words = "COMMAND PART",
	.summary = "Print a part of a manual page for scdoc.",
	.min_words = 2,
	.max_words = 2,
	.hidden = true,
	.run = manual_run,
};
