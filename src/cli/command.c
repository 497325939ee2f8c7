/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/near.h"
#include "cli/help.h"
#include "cli/options.h"

/* clang-format off */
const struct command *const command_table[] = {
	&check_command,
	&analyze_command,
	&run_command, &agent_command,
	&policy_command,
	&host_command,
	&hazards_command,
	&explain_command,
	&ops_command,
	&doctor_command,
	&completion_command,
	&help_command,
	&manual_command,
	NULL,
};
/* clang-format on */

const struct command *command_find(const char *name)
{
	for (size_t i = 0; command_table[i]; i++)
		if (strcmp(command_table[i]->name, name) == 0)
			return command_table[i];
	return NULL;
}

const char *command_verb_name(const struct command *verb)
{
	const char *blank = strrchr(verb->name, ' ');

	return blank ? blank + 1 : verb->name;
}

const struct command *command_find_verb(const struct command *command, const char *name)
{
	for (size_t i = 0; command->verbs && command->verbs[i]; i++)
		if (strcmp(command_verb_name(command->verbs[i]), name) == 0)
			return command->verbs[i];
	return NULL;
}

const char *command_name(size_t i)
{
	for (const struct command *const *c = command_table; *c; c++)
		if (!(*c)->hidden && i-- == 0)
			return (*c)->name;
	return NULL;
}

int command_fail(const char *verb, int status, const char *format, ...)
{
	char text[768];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	/* One write, so that it stays whole between the program's own lines. */
	fprintf(stderr, "circlip%s%s: %s\n", verb ? " " : "", verb ? verb : "", text);
	return status;
}

static int refuse(const struct command *command, const char *text)
{
	return command_fail(command->name, command->runs_program ? COMMAND_BROKEN : COMMAND_USAGE,
			    "%s (circlip %s --help says more)", text, command->name);
}

/* Defaults from the environment. `ret_line` and `ret_words` hold the texts and are the caller's to free. */
static int from_environment(const struct command *command, void *options, char **ret_line, char ***ret_words,
			    struct err *err)
{
	const char *value = command->environment ? getenv(command->environment) : NULL;
	size_t n, left;
	int r;

	if (!value)
		return 0;
	*ret_line = strdup(value);
	if (!*ret_line)
		return err_set(err, -ENOMEM, "out of memory");
	r = options_split(*ret_line, ret_words, &n);
	if (r < 0)
		return err_set(err, r, "%s: %s", command->environment,
			       r == -EINVAL ? "a quote is not closed" : "out of memory");
	r = options_parse(command->options, options, *ret_words, n, false, &left, err);
	if (r < 0)
		return err_wrap(err, r, "%s", command->environment);
	if (r == 0 && left)
		return err_set(err, -EINVAL, "%s: \"%s\" is no option", command->environment, (*ret_words)[0]);
	return 0;
}

static int check_words(const struct command *command, char **words, size_t n_words, struct err *err)
{
	if (n_words < command->min_words)
		return err_set(err, -EINVAL, "%s is missing", command->words);
	if (n_words > command->max_words)
		return err_set(err, -EINVAL, "\"%s\" is one word too many", words[command->max_words]);
	return 0;
}

static int run_itself(const struct command *command, char **words, size_t n_words)
{
	CLEANUP(cleanup_free) void *options = calloc(1, command->size + 1);
	CLEANUP(cleanup_free) char *line = NULL;
	CLEANUP(cleanup_free) char **defaults = NULL;
	struct err err = { "" };
	int r;

	if (!options)
		return refuse(command, "out of memory");
	if (command->defaults)
		memcpy(options, command->defaults, command->size);
	r = from_environment(command, options, &line, &defaults, &err);
	if (r == 0)
		r = options_parse(command->options, options, words, n_words, command->runs_program, &n_words, &err);
	if (r == OPTIONS_HELP)
		return help_of(command, stdout), COMMAND_OK;
	if (r == OPTIONS_VERSION)
		return help_version(stdout), COMMAND_OK;
	if (r == 0)
		r = check_words(command, words, n_words, &err);
	if (r < 0)
		return refuse(command, err.text);
	return command->run(options, words, n_words);
}

/* The command alone, without any of its verbs. */
static int run_none(const struct command *command, const char *word)
{
	const char *near = NULL;

	if (!word)
		return help_of(command, stderr), COMMAND_USAGE;
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return help_of(command, stdout), COMMAND_OK;
	if (strcmp(word, "--version") == 0)
		return help_version(stdout), COMMAND_OK;
	for (size_t i = 0; !near && command->verbs[i]; i++)
		if (near_is(word, command_verb_name(command->verbs[i])))
			near = command_verb_name(command->verbs[i]);
	return command_fail(command->name, COMMAND_USAGE,
			    "there is no \"%s\"%s%s%s (circlip %s --help lists what there is)", word,
			    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "", command->name);
}

int command_run(const struct command *command, char **words, size_t n_words)
{
	const struct command *verb = n_words ? command_find_verb(command, words[0]) : NULL;

	if (verb)
		return command_run(verb, words + 1, n_words - 1);
	return command->run ? run_itself(command, words, n_words) : run_none(command, words[0]);
}
