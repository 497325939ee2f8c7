/* SPDX-License-Identifier: MIT */
/* circlip completion: the table of commands as a shell's completion. */
#include <string.h>

#include "base/near.h"
#include "cli/command.h"
#include "cli/help.h"

typedef void each_command(const struct command *command);

/* Commands, and behind each of them its verbs. */
static void for_each(each_command *each)
{
	for (size_t i = 0; command_table[i]; i++) {
		if (command_table[i]->hidden)
			continue;
		each(command_table[i]);
		for (size_t j = 0; command_table[i]->verbs && command_table[i]->verbs[j]; j++)
			each(command_table[i]->verbs[j]);
	}
}

static bool is_verb(const struct command *command)
{
	return strchr(command->name, ' ') != NULL;
}

static void put_verbs(const struct command *command)
{
	for (size_t i = 0; command->verbs && command->verbs[i]; i++)
		printf("%s%s", i ? " " : "", command_verb_name(command->verbs[i]));
}

static void put_names(command_names *names)
{
	const char *name;

	for (size_t i = 0; names && (name = names(i)); i++)
		printf("%s%s", i ? " " : "", name);
}

static bool is_file(const struct command_option *row)
{
	return row->kind == COMMAND_FILE || row->kind == COMMAND_FILES;
}

/* In single quotes, and without what zsh and fish would see in it. */
static void put_quoted(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(strchr("[]", *text) ? ' ' : *text);
}

/* ---- bash ---- */

static const char bash_begin[] =
	"# bash completion for circlip; made by `circlip completion bash`\n"
	"_circlip()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} first=2 options "
	"names kind i\n"
	"\t# readline makes three words of --name=value\n"
	"\tif [ \"$cur\" = '=' ]; then cur=''; elif [ \"$prev\" = '=' ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
	"\tif [ \"$COMP_CWORD\" = 1 ]; then verb=''; fi\n"
	"\tif [ \"$COMP_CWORD\" -gt 2 ]; then case \"$verb ${COMP_WORDS[2]}\" in\n";

/* The first word that is neither an option nor an option's value is the program. */
static const char bash_end[] =
	"\tif [ \"$kind\" = program ]; then\n"
	"\t\tfor ((i = first; i < COMP_CWORD; i++)); do\n"
	"\t\t\tcase ${COMP_WORDS[i]} in\n"
	"\t\t\t--) break ;;\n"
	"\t\t\t= | -*) ;;\n"
	"\t\t\t*) [ \"${COMP_WORDS[i-1]}\" = '=' ] || [[ \" $options \" == *\" ${COMP_WORDS[i-1]}= \"* ]] || break ;;\n"
	"\t\t\tesac\n"
	"\t\tdone\n"
	"\t\tif ((i < COMP_CWORD - 1)) || { ((i < COMP_CWORD)) && [ \"${COMP_WORDS[i]}\" != -- ]; }; then\n"
	"\t\t\toptions='' kind='file'\n"
	"\t\tfi\n"
	"\tfi\n"
	"\tif [[ $cur == -* ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
	"\t\t[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tcase $kind in\n"
	"\tprogram) mapfile -t COMPREPLY < <(compgen -c -- \"$cur\"; compgen -f -- \"$cur\") ;;\n"
	"\tnames) mapfile -t COMPREPLY < <(compgen -W \"$names\" -- \"$cur\") ;;\n"
	"\tfile) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
	"\tesac\n"
	"}\n"
	"complete -o filenames -F _circlip circlip\n";

static void bash_verb(const struct command *command)
{
	if (is_verb(command))
		printf("\t'%s') verb='%s' first=3 ;;\n", command->name, command->name);
}

static void bash_values(const struct command *command)
{
	for (const struct command_option *row = command->options; row && row->name; row++) {
		if (row->kind == COMMAND_FLAG)
			continue;
		printf("\t'%s --%s') names='", command->name, row->name);
		put_names(row->names);
		printf("'; kind='%s' ;;\n", is_file(row) ? "file" : "names");
	}
}

static void bash_words(const struct command *command)
{
	printf("\t'%s') options='", command->name);
	for (const struct command_option *row = command->options; row && row->name; row++)
		printf("--%s%s ", row->name, row->kind == COMMAND_FLAG ? "" : "=");
	fputs("--help --version'; names='", stdout);
	put_names(command->names);
	put_verbs(command);
	printf("'; kind='%s' ;;\n", command->runs_program              ? "program"
				    : command->names || command->verbs ? "names"
				    : command->max_words               ? "file"
								       : "none");
}

static void put_bash(void)
{
	fputs(bash_begin, stdout);
	for_each(bash_verb);
	fputs("\tesac; fi\n\tcase \"$verb $prev\" in\n", stdout);
	for_each(bash_values);
	fputs("\tesac\n\tif [ -z \"$kind\" ]; then case $verb in\n\t'') options='--help --version'; names='", stdout);
	put_names(command_name);
	fputs("'; kind='names' ;;\n", stdout);
	for_each(bash_words);
	fputs("\t*) return ;;\n\tesac; fi\n", stdout);
	fputs(bash_end, stdout);
}

/* ---- zsh ---- */

static void zsh_option(const struct command_option *row)
{
	bool again = row->kind == COMMAND_NAME || row->kind == COMMAND_FILES;

	printf("\t\t\t%s'--%s%s[", again ? "\\*" : "", row->name, row->kind == COMMAND_FLAG ? "" : "=");
	put_quoted(row->help);
	fputc(']', stdout);
	if (row->kind != COMMAND_FLAG) {
		printf(":%s:", row->name);
		if (is_file(row))
			fputs("_files", stdout);
		else if (row->names) {
			fputc('(', stdout);
			put_names(row->names);
			fputc(')', stdout);
		}
	}
	fputs("' \\\n", stdout);
}

static void zsh_name(const struct command *command)
{
	printf("\t\t'%s:", command_verb_name(command));
	put_quoted(command->summary);
	fputs("'\n", stdout);
}

/* Its verbs, where the second word is wanted. */
static void zsh_verbs(const struct command *command)
{
	fputs("\t\tif ((CURRENT == 2)); then\n\t\tlocal -a verbs=(\n", stdout);
	for (size_t i = 0; command->verbs[i]; i++)
		zsh_name(command->verbs[i]);
	fputs("\t\t)\n\t\t_describe verb verbs\n\t\tfi\n", stdout);
}

static void zsh_command(const struct command *command)
{
	printf("\t'%s')\n", command->name);
	if (command->verbs)
		zsh_verbs(command);
	fputs("\t\t_arguments -S \\\n", stdout);
	for (const struct command_option *row = command->options; row && row->name; row++)
		zsh_option(row);
	fputs("\t\t\t'--help[Print a short description.]' '--version[Print the version.]'", stdout);
	if (command->runs_program) {
		fputs(" \\\n\t\t\t'(-):program:_command_names -e' '*::arguments:_normal'", stdout);
	} else if (command->names) {
		fputs(" \\\n\t\t\t'1:name:(", stdout);
		put_names(command->names);
		fputs(")'", stdout);
	} else if (command->max_words) {
		fputs(" \\\n\t\t\t'1:file:_files'", stdout);
	}
	fputs("\n\t\t;;\n", stdout);
}

static void zsh_top(const struct command *command)
{
	if (!is_verb(command))
		zsh_name(command);
}

/* The word that picks a verb goes the way of the one that picked the command. */
static void zsh_pick(const struct command *command)
{
	if (is_verb(command))
		printf("\t'%s') verb='%s'; shift words; ((CURRENT--)) ;;\n", command->name, command->name);
}

static void put_zsh(void)
{
	fputs("#compdef circlip\n# made by `circlip completion zsh`\n"
	      "_circlip()\n{\n"
	      "\tlocal -a verbs=(\n",
	      stdout);
	for_each(zsh_top);
	fputs("\t)\n"
	      "\tif ((CURRENT == 2)); then\n\t\t_describe command verbs\n\t\treturn\n\tfi\n"
	      "\tlocal verb=$words[2]\n"
	      "\tshift words\n\t((CURRENT--))\n"
	      "\tif ((CURRENT > 2)); then case \"$verb $words[2]\" in\n",
	      stdout);
	for_each(zsh_pick);
	fputs("\tesac; fi\n\tcase $verb in\n", stdout);
	for_each(zsh_command);
	fputs("\tesac\n}\n"
	      "if [ \"$funcstack[1]\" = _circlip ]; then _circlip \"$@\"; else compdef _circlip circlip; fi\n",
	      stdout);
}

/* ---- fish ---- */

/* The beginning of a line that holds where the command, or the verb of one, was typed. */
static void fish_where(const struct command *command)
{
	fputs("complete -c circlip -n '__fish_seen_subcommand_from ", stdout);
	if (is_verb(command))
		printf("%.*s; and __fish_seen_subcommand_from ", (int)strcspn(command->name, " "), command->name);
	printf("%s'", command_verb_name(command));
}

static void fish_option(const struct command *command, const struct command_option *row)
{
	fish_where(command);
	printf(" -l %s", row->name);
	if (is_file(row))
		fputs(" -r -F", stdout);
	else if (row->kind != COMMAND_FLAG)
		fputs(" -x", stdout);
	if (row->names) {
		fputs(" -a '", stdout);
		put_names(row->names);
		fputc('\'', stdout);
	}
	fputs(" -d '", stdout);
	put_quoted(row->help);
	fputs("'\n", stdout);
}

/* What makes the word before it: a command, or the command of a verb without a verb yet. */
static void fish_word(const struct command *command)
{
	size_t n = strcspn(command->name, " ");
	const struct command *parent;
	char name[32];

	if (!is_verb(command)) {
		printf("complete -c circlip -n __fish_use_subcommand -f -a %s -d '", command->name);
		return;
	}
	snprintf(name, sizeof name, "%.*s", (int)n, command->name);
	parent = command_find(name);
	printf("complete -c circlip -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from ", name);
	put_verbs(parent);
	printf("' -f -a %s -d '", command_verb_name(command));
}

static void fish_command(const struct command *command)
{
	fish_word(command);
	put_quoted(command->summary);
	fputs("'\n", stdout);
	for (const struct command_option *row = command->options; row && row->name; row++)
		fish_option(command, row);
	if (command->runs_program) {
		fish_where(command);
		printf(" -a '(__fish_complete_subcommand --fcs-skip=%d)'\n", is_verb(command) ? 3 : 2);
	}
	if (command->names) {
		fish_where(command);
		fputs(" -f -a '", stdout);
		put_names(command->names);
		fputs("'\n", stdout);
	}
}

static void put_fish(void)
{
	fputs("# made by `circlip completion fish`\n", stdout);
	for_each(fish_command);
}

static const struct {
	const char *name;
	void (*put)(void);
} shells[] = {
	{ "bash", put_bash },
	{ "zsh", put_zsh },
	{ "fish", put_fish },
};

static const char *shell_name(size_t i)
{
	return i < sizeof shells / sizeof *shells ? shells[i].name : NULL;
}

static int completion_run(void *options, char **words, size_t n_words)
{
	char hint[128];

	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
		if (strcmp(shells[i].name, words[0]) != 0)
			continue;
		shells[i].put();
		return COMMAND_OK;
	}
	return command_fail("completion", COMMAND_USAGE, "there is none for \"%s\"%s (bash, zsh and fish are known)",
			    words[0], near_hint(hint, sizeof hint, words[0], shell_name));
}

const struct command completion_command = {
	.name = "completion",
	.words = "SHELL",
	.summary = "Print a completion script for bash, zsh or fish.",
	.min_words = 1,
	.max_words = 1,
	.names = shell_name,
	.run = completion_run,
};
