/* SPDX-License-Identifier: MIT */
/* Parses what was typed by the rows of a command. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct command_option;
struct err;

enum options_outcome { OPTIONS_HELP = 1, OPTIONS_VERSION = 2 };

/*
 * Fills `into` by the rows. `words` ends with NULL. Those that are no options are moved to its front, again with NULL
 * behind them, and their number goes to `ret_n_words`; with `stop` the first one ends the options, as "--" always does.
 * Texts are not copied. 0, OPTIONS_HELP, OPTIONS_VERSION, or -EINVAL with a text.
 */
int options_parse(const struct command_option *rows, void *into, char **words, size_t n_words, bool stop,
		  size_t *ret_n_words, struct err *err);

/*
 * Splits a line at blanks, in place; quotes and backslashes as in a shell. The array is NULL-terminated and the
 * caller's to free; its texts lie in `line`. 0, -EINVAL (a quote is not closed) or -ENOMEM.
 */
int options_split(char *line, char ***ret_words, size_t *ret_n_words);
