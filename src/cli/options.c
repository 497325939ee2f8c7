/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/near.h"
#include "cli/command.h"

/* ---- values ---- */

static int set_flag(const struct command_option *row, void *field, const char *value, struct err *err)
{
	*(bool *)field = true;
	return 0;
}

static int set_text(const struct command_option *row, void *field, const char *value, struct err *err)
{
	*(const char **)field = value;
	return 0;
}

/* Few names are better listed than guessed. */
static int no_such_name(const struct command_option *row, const char *value, struct err *err)
{
	char hint[128];
	size_t used = 0;
	const char *name;

	if (row->kind != COMMAND_CHOICE)
		return err_set(err, -EINVAL, "--%s: there is no \"%s\"%s", row->name, value,
			       near_hint(hint, sizeof hint, value, row->names));
	hint[0] = '\0';
	for (size_t i = 0; (name = row->names(i)) && used < sizeof hint; i++)
		used += (size_t)snprintf(hint + used, sizeof hint - used, "%s%s", i ? ", " : "", name);
	return err_set(err, -EINVAL, "--%s: \"%s\" is none of %s", row->name, value, hint);
}

static int find_name(const struct command_option *row, const char *value, unsigned int *ret_index, struct err *err)
{
	const char *name;

	for (unsigned int i = 0; (name = row->names(i)); i++) {
		if (strcmp(name, value) != 0)
			continue;
		*ret_index = i;
		return 0;
	}
	return no_such_name(row, value, err);
}

static int set_choice(const struct command_option *row, void *field, const char *value, struct err *err)
{
	return find_name(row, value, field, err);
}

static int set_seconds(const struct command_option *row, void *field, const char *value, struct err *err)
{
	char *end;
	double seconds = strtod(value, &end);

	if (end == value || *end || !isfinite(seconds) || seconds <= 0 || seconds > 1e9)
		return err_set(err, -EINVAL, "--%s: \"%s\" is no number of seconds above 0", row->name, value);
	*(uint64_t *)field = (uint64_t)(seconds * 1e9);
	return 0;
}

static int set_bytes(const struct command_option *row, void *field, const char *value, struct err *err)
{
	char *end;
	unsigned long long bytes;

	errno = 0;
	bytes = strtoull(value, &end, 0);
	if (end != value && (*end == 'K' || *end == 'k'))
		bytes *= bytes <= row->max ? 1024 : 1, end++;
	else if (end != value && *end == 'M')
		bytes *= bytes <= row->max ? 1024 * 1024 : 1, end++;
	if (end == value || *end || errno || strchr(value, '-') || bytes < row->min || bytes > row->max)
		return err_set(err, -EINVAL, "--%s: \"%s\" is no number of bytes from %u to %u", row->name, value,
			       row->min, row->max);
	*(uint32_t *)field = (uint32_t)bytes;
	return 0;
}

static int set_number(const struct command_option *row, void *field, const char *value, struct err *err)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(value, &end, 0);
	if (end == value || *end || errno || strchr(value, '-') || number < row->min || number > row->max)
		return err_set(err, -EINVAL, "--%s: \"%s\" is no number from %u to %u", row->name, value, row->min,
			       row->max);
	*(uint32_t *)field = (uint32_t)number;
	return 0;
}

static int add(const struct command_option *row, struct command_list *list, const char *value, struct err *err)
{
	if (list->n >= COMMAND_LIST_MAX)
		return err_set(err, -EINVAL, "--%s: given more than %d times", row->name, COMMAND_LIST_MAX);
	list->items[list->n++] = value;
	return 0;
}

static int add_name(const struct command_option *row, void *field, const char *value, struct err *err)
{
	unsigned int i;
	int r = find_name(row, value, &i, err);

	return r < 0 ? r : add(row, field, value, err);
}

static int add_file(const struct command_option *row, void *field, const char *value, struct err *err)
{
	return add(row, field, value, err);
}

typedef int option_setter(const struct command_option *row, void *field, const char *value, struct err *err);

static option_setter *const setters[] = {
	[COMMAND_FLAG] = set_flag,     [COMMAND_TEXT] = set_text,       [COMMAND_FILE] = set_text,
	[COMMAND_CHOICE] = set_choice, [COMMAND_SECONDS] = set_seconds, [COMMAND_BYTES] = set_bytes,
	[COMMAND_NAME] = add_name,     [COMMAND_FILES] = add_file,      [COMMAND_NUMBER] = set_number,
};

/* ---- words ---- */

static const struct command_option *find_row(const struct command_option *rows, const char *name, size_t length)
{
	for (; rows && rows->name; rows++)
		if (strncmp(rows->name, name, length) == 0 && !rows->name[length])
			return rows;
	return NULL;
}

/* "-o" */
static const struct command_option *find_letter(const struct command_option *rows, const char *word)
{
	for (; rows && rows->name; rows++)
		if (rows->letter && word[1] == rows->letter && !word[2])
			return rows;
	return NULL;
}

/* For the hint: what could have been typed instead. */
static const char *nearest_row(const struct command_option *rows, const char *name)
{
	static const char *const common[] = { "help", "version", NULL };
	const char *best;

	for (const struct command_option *row = rows; row && row->name; row++)
		if (strncmp(row->name, name, strlen(name)) == 0)
			return row->name;
	for (const struct command_option *row = rows; row && row->name; row++)
		if (near_is(name, row->name))
			return row->name;
	for (size_t i = 0; (best = common[i]); i++)
		if (near_is(name, best))
			return best;
	return NULL;
}

static int refuse(const struct command_option *rows, const char *word, struct err *err)
{
	char name[64] = "";
	const char *nearest;

	if (strncmp(word, "--", 2) == 0)
		strncat(name, word + 2,
			strcspn(word + 2, "=") < sizeof name ? strcspn(word + 2, "=") : sizeof name - 1);
	nearest = *name ? nearest_row(rows, name) : NULL;
	if (nearest)
		return err_set(err, -EINVAL, "there is no option \"%s\"; did you mean \"--%s\"?", word, nearest);
	return err_set(err, -EINVAL, "there is no option \"%s\"", word);
}

/* One option; `next` is the word behind it, or NULL. Positive: it took that word too. */
static int take(const struct command_option *rows, void *into, const char *word, const char *next, struct err *err)
{
	size_t length = strncmp(word, "--", 2) == 0 ? strcspn(word + 2, "=") : 0;
	const struct command_option *row = length ? find_row(rows, word + 2, length) : find_letter(rows, word);
	const char *value = row && length && word[2 + length] ? word + 2 + length + 1 : NULL;
	bool wants_next = row && !value && row->kind != COMMAND_FLAG;
	int r;

	if (!row)
		return refuse(rows, word, err);
	if (row->kind == COMMAND_FLAG && value)
		return err_set(err, -EINVAL, "--%s takes no value", row->name);
	if (wants_next)
		value = next;
	if (row->kind != COMMAND_FLAG && !value)
		return err_set(err, -EINVAL, "--%s needs a value", row->name);
	r = setters[row->kind](row, (char *)into + row->offset, value, err);
	return r < 0 ? r : wants_next;
}

int options_parse(const struct command_option *rows, void *into, char **words, size_t n_words, bool stop,
		  size_t *ret_n_words, struct err *err)
{
	size_t i, n = 0;
	int r;

	for (i = 0; i < n_words; i++) {
		if (strcmp(words[i], "--") == 0) {
			i++;
			break;
		}
		if (words[i][0] != '-' || !words[i][1]) {
			if (stop)
				break;
			words[n++] = words[i];
			continue;
		}
		if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
			return OPTIONS_HELP;
		if (strcmp(words[i], "--version") == 0)
			return OPTIONS_VERSION;
		r = take(rows, into, words[i], i + 1 < n_words ? words[i + 1] : NULL, err);
		if (r < 0)
			return r;
		i += (size_t)r;
	}
	while (i < n_words)
		words[n++] = words[i++];
	words[n] = NULL;
	*ret_n_words = n;
	return 0;
}

/* ---- a line of them ---- */

/* Takes the quotes off the word at *at and moves behind it. */
static int unquote(char **at)
{
	char *from = *at, *to = *at, quote = 0;

	for (; *from && (quote || !isspace((unsigned char)*from)); from++) {
		if (quote ? *from == quote : *from == '\'' || *from == '"')
			quote = quote ? 0 : *from;
		else if (*from == '\\' && quote != '\'' && from[1])
			*to++ = *++from;
		else
			*to++ = *from;
	}
	*at = *from ? from + 1 : from;
	*to = '\0';
	return quote ? -EINVAL : 0;
}

int options_split(char *line, char ***ret_words, size_t *ret_n_words)
{
	char **words = calloc(strlen(line) / 2 + 2, sizeof *words);
	size_t n = 0;

	if (!words)
		return -ENOMEM;
	while (*(line += strspn(line, " \t\n\r\v\f"))) {
		words[n++] = line;
		if (unquote(&line) < 0)
			return free(words), -EINVAL;
	}
	*ret_words = words;
	*ret_n_words = n;
	return 0;
}
