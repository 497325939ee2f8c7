/* SPDX-License-Identifier: MIT */
/* circlip completion: the table of commands as a shell's completion. */
#include <string.h>

#include "base/near.h"
#include "cli/command.h"
#include "cli/help.h"

typedef void each_command(const struct command *command);

static void for_each(each_command *each)
{
	for (size_t i = 0; command_table[i]; i++)
		if (!command_table[i]->hidden)
			each(command_table[i]);
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
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} options names "
	"kind i\n"
	"\t# readline makes three words of --name=value\n"
	"\tif [ \"$cur\" = '=' ]; then cur=''; elif [ \"$prev\" = '=' ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
	"\tif [ \"$COMP_CWORD\" = 1 ]; then verb=''; fi\n"
	"\tcase \"$verb $prev\" in\n";

/* The first word that is neither an option nor an option's value is the program. */
static const char bash_end[] =
	"\tif [ \"$kind\" = program ]; then\n"
	"\t\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
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
	printf("\t%s) options='", command->name);
	for (const struct command_option *row = command->options; row && row->name; row++)
		printf("--%s%s ", row->name, row->kind == COMMAND_FLAG ? "" : "=");
	fputs("--help --version'; names='", stdout);
	put_names(command->names);
	printf("'; kind='%s' ;;\n", command->runs_program ? "program"
				    : command->names      ? "names"
				    : command->max_words  ? "file"
							  : "none");
}

static void put_bash(void)
{
	fputs(bash_begin, stdout);
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

static void zsh_command(const struct command *command)
{
	printf("\t%s)\n\t\t_arguments -S \\\n", command->name);
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

static void zsh_name(const struct command *command)
{
	printf("\t\t'%s:", command->name);
	put_quoted(command->summary);
	fputs("'\n", stdout);
}

static void put_zsh(void)
{
	fputs("#compdef circlip\n# made by `circlip completion zsh`\n"
	      "_circlip()\n{\n"
	      "\tlocal -a verbs=(\n",
	      stdout);
	for_each(zsh_name);
	fputs("\t)\n"
	      "\tif ((CURRENT == 2)); then\n\t\t_describe command verbs\n\t\treturn\n\tfi\n"
	      "\tlocal verb=$words[2]\n"
	      "\tshift words\n\t((CURRENT--))\n"
	      "\tcase $verb in\n",
	      stdout);
	for_each(zsh_command);
	fputs("\tesac\n}\n"
	      "if [ \"$funcstack[1]\" = _circlip ]; then _circlip \"$@\"; else compdef _circlip circlip; fi\n",
	      stdout);
}

/* ---- fish ---- */

static void fish_option(const struct command *command, const struct command_option *row)
{
	printf("complete -c circlip -n '__fish_seen_subcommand_from %s' -l %s", command->name, row->name);
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

static void fish_command(const struct command *command)
{
	printf("complete -c circlip -n __fish_use_subcommand -f -a %s -d '", command->name);
	put_quoted(command->summary);
	fputs("'\n", stdout);
	for (const struct command_option *row = command->options; row && row->name; row++)
		fish_option(command, row);
	if (command->runs_program)
		printf("complete -c circlip -n '__fish_seen_subcommand_from %s' -a '(__fish_complete_subcommand "
		       "--fcs-skip=2)'\n",
		       command->name);
	if (command->names) {
		printf("complete -c circlip -n '__fish_seen_subcommand_from %s' -f -a '", command->name);
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
