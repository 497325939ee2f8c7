/* SPDX-License-Identifier: MIT */
/*
 * The commands: what a user can type is a table, and usage, --help, shell completion and the manual pages' option lists
 * are made from it.
 *
 * A verb is one file with its descriptor at the bottom. Its options are rows that say where in the verb's own struct a
 * value goes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Verbs that run a program give its status, or one of the last four; all others one of the first four. */
enum command_status {
	COMMAND_OK = 0,
	COMMAND_FINDINGS = 1, /* or a failed threshold */
	COMMAND_USAGE = 2,
	COMMAND_FAILED = 3,
	COMMAND_REPORTED = 99, /* findings, in place of the program's own status */
	COMMAND_BROKEN = 125,  /* Circlip itself failed */
	COMMAND_NOT_EXECUTABLE = 126,
	COMMAND_NOT_FOUND = 127,
};

/* The names of something, one by one; NULL ends them. Called with 0, 1, 2 ... and not beyond the end. */
typedef const char *command_names(size_t i);

#define COMMAND_NAMES(function, ...)                                                                                   \
	static const char *function(size_t i)                                                                          \
	{                                                                                                              \
		static const char *const names[] = { __VA_ARGS__, NULL };                                              \
                                                                                                                       \
		return names[i];                                                                                       \
	}                                                                                                              \
	struct command_names_semicolon

enum command_kind {
	COMMAND_FLAG,    /* bool */
	COMMAND_TEXT,    /* const char * */
	COMMAND_FILE,    /* const char *; completes to files */
	COMMAND_CHOICE,  /* unsigned int: index into `names` */
	COMMAND_SECONDS, /* uint64_t, nanoseconds; typed as seconds, with decimals */
	COMMAND_BYTES,   /* uint32_t, from `min` to `max`; K and M may follow */
	COMMAND_NAME,    /* struct command_list: one of `names` each time it is given */
	COMMAND_FILES,   /* struct command_list: a file each time it is given */
	COMMAND_NUMBER,  /* uint32_t, from `min` to `max` */
};

enum { COMMAND_LIST_MAX = 192 };

struct command_list {
	size_t n;
	const char *items[COMMAND_LIST_MAX];
};

struct command_option {
	const char *name;  /* without its dashes; NULL ends the rows */
	const char *value; /* "FILE"; NULL for a flag, and for a choice its names */
	const char *help;
	enum command_kind kind;
	size_t offset; /* of the field in the verb's struct */
	command_names *names;
	uint32_t min, max;
	char letter; /* "-o FILE" beside "--output=FILE"; 0 = none */
};

struct command {
	const char *name;
	const char *words;   /* "FILE", "[NAME]" ... as in the usage line; NULL = none */
	const char *summary; /* one line */
	const char *about;   /* a paragraph or two after the options; may be NULL */
	const struct command_option *options;
	const void *defaults; /* of the verb's struct */
	size_t size;          /* of it */
	size_t min_words, max_words;
	command_names *names;    /* what its words may be; NULL = files */
	const char *environment; /* variable with options to put in front; may be NULL */
	bool runs_program;       /* its words are a program with its own options */
	bool hidden;
	/* NULL-terminated. The first word may be one of these, and the rest is then that one's: its name is both words
	 * ("policy show"). A command that has no `run` of its own wants one of them. */
	const struct command *const *verbs;
	int (*run)(void *options, char **words, size_t n_words); /* an exit status */
};

/* The table, NULL-terminated, in the order that help shows. */
extern const struct command *const command_table[];

const struct command *command_find(const char *name); /* NULL = no such command */
command_names command_name;                           /* those that are not hidden */

const struct command *command_find_verb(const struct command *command, const char *name); /* NULL = no such verb */
const char *command_verb_name(const struct command *verb);                                /* "show" of "policy show" */

/* Parses `words` (those after the verb), runs the verb and returns the exit status. */
int command_run(const struct command *command, char **words, size_t n_words);

/* "circlip VERB: text" on stderr; returns `status`. */
int command_fail(const char *verb, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

extern const struct command check_command, analyze_command, run_command, agent_command, policy_command;
extern const struct command hazards_command, explain_command, ops_command, doctor_command;
extern const struct command host_command;
extern const struct command completion_command, help_command, manual_command;
