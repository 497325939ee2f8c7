/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include <string.h>

#include "base/near.h"
#include "cli/command.h"
#include "cli/print.h"

enum { INDENT = 32 };

const char *help_value(char *buf, size_t size, const struct command_option *row)
{
	size_t used = 0;
	const char *name;

	snprintf(buf, size, "%s", row->value ? row->value : "");
	if (row->value || row->kind != COMMAND_CHOICE)
		return buf;
	for (size_t i = 0; (name = row->names(i)) && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? "|" : "", name);
	return buf;
}

static void put_synopsis(const struct command *command, FILE *file)
{
	if (!command->run) {
		fprintf(file, "circlip %s VERB ...", command->name);
		return;
	}
	fprintf(file, "circlip %s%s%s%s", command->name, command->options ? " [options]" : "",
		command->runs_program ? " [--]" : "", command->words ? " " : "");
	if (command->words)
		fputs(command->words, file);
}

static void option_item(const struct command_option *row, FILE *file)
{
	char value[64], label[128], letter[8] = "";

	if (row->letter)
		snprintf(letter, sizeof letter, "-%c, ", row->letter);
	help_value(value, sizeof value, row);
	snprintf(label, sizeof label, "  %s--%s%s%s", letter, row->name, *value ? "=" : "", value);
	print_item(file, label, row->help, INDENT);
}

static void put_verbs(const struct command *command, FILE *file)
{
	fputs("\nverbs:\n", file);
	for (size_t i = 0; command->verbs[i]; i++) {
		char label[64];

		snprintf(label, sizeof label, "  %s", command_verb_name(command->verbs[i]));
		print_item(file, label, command->verbs[i]->summary, 14);
	}
	fprintf(file, "\ncirclip %s VERB --help says more about one of them.\n", command->name);
}

void help_of(const struct command *command, FILE *file)
{
	fputs("usage: ", file);
	put_synopsis(command, file);
	fputs("\n\n", file);
	print_wrapped(file, command->summary, 0, 0);
	if (command->verbs)
		put_verbs(command, file);
	fputs("\noptions:\n", file);
	for (const struct command_option *row = command->options; row && row->name; row++)
		option_item(row, file);
	print_item(file, "  --help", "Print this.", INDENT);
	print_item(file, "  --version", "Print the version.", INDENT);
	if (!command->about)
		return;
	fputc('\n', file);
	print_wrapped(file, command->about, 0, 0);
}

void help_all(FILE *file)
{
	fputs("usage: circlip COMMAND ...\n\n"
	      "Circlip finds misuse of Linux io_uring in programs as they are, and lets programs and containers\n"
	      "do only what they may with it.\n\n",
	      file);
	for (size_t i = 0; command_table[i]; i++) {
		char label[64];

		if (command_table[i]->hidden)
			continue;
		snprintf(label, sizeof label, "  %s", command_table[i]->name);
		print_item(file, label, command_table[i]->summary, 14);
	}
	fputs("\ncirclip COMMAND --help says more about one of them.\n", file);
}

void help_version(FILE *file)
{
	fputs("circlip " CIRCLIP_VERSION "\n", file);
}

static int help_run(void *options, char **words, size_t n_words)
{
	const struct command *command = n_words ? command_find(words[0]) : NULL;
	char hint[128];

	if (!n_words)
		return help_all(stdout), COMMAND_OK;
	if (!command)
		return command_fail("help", COMMAND_USAGE, "there is no command \"%s\"%s", words[0],
				    near_hint(hint, sizeof hint, words[0], command_name));
	if (n_words > 1 && !command_find_verb(command, words[1]))
		return command_fail("help", COMMAND_USAGE,
				    "circlip %s has no \"%s\" (circlip help %s lists what it has)", words[0], words[1],
				    words[0]);
	if (n_words > 1)
		command = command_find_verb(command, words[1]);
	return help_of(command, stdout), COMMAND_OK;
}

const struct command help_command = {
	.name = "help",
	.words = "[COMMAND [VERB]]",
	.summary = "Say what circlip, or one of its commands, can do.",
	.max_words = 2,
	.names = command_name,
	.run = help_run,
};
