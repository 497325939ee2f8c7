/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "cli/command.h"
#include "cli/options.h"

struct into {
	bool flag;
	const char *text;
	unsigned int choice;
	uint64_t ns;
	uint32_t bytes, number;
	struct command_list names;
};

COMMAND_NAMES(colour, "red", "green", "blue");

static const struct command_option rows[] = {
	{ "flag", NULL, "", COMMAND_FLAG, offsetof(struct into, flag) },
	{ "text", "TEXT", "", COMMAND_TEXT, offsetof(struct into, text) },
	{ "choice", NULL, "", COMMAND_CHOICE, offsetof(struct into, choice), colour },
	{ "seconds", "N", "", COMMAND_SECONDS, offsetof(struct into, ns) },
	{ "bytes", "N", "", COMMAND_BYTES, offsetof(struct into, bytes), NULL, 512, 65536 },
	{ "number", "N", "", COMMAND_NUMBER, offsetof(struct into, number), NULL, 0, 64 },
	{ "name", "NAME", "", COMMAND_NAME, offsetof(struct into, names), colour },
	{ NULL },
};

struct parsed {
	char line[256];
	char **words;
	size_t n;
	struct into into;
	struct err err;
	int r;
};

static struct parsed *parse(const char *line, bool stop)
{
	struct parsed *p = calloc(1, sizeof *p);

	strcpy(p->line, line);
	assert_int_equal(options_split(p->line, &p->words, &p->n), 0);
	p->r = options_parse(rows, &p->into, p->words, p->n, stop, &p->n, &p->err);
	return p;
}

static void done(struct parsed *p)
{
	free(p->words);
	free(p);
}

static void test_values(void **state)
{
	struct parsed *p = parse(
		"--flag --text=a=b --choice blue --seconds=1.5 --bytes 2K --number 7 --name red --name=blue", true);

	assert_int_equal(p->r, 0);
	assert_true(p->into.flag);
	assert_string_equal(p->into.text, "a=b");
	assert_int_equal(p->into.choice, 2);
	assert_int_equal(p->into.ns, 1500000000);
	assert_int_equal(p->into.bytes, 2048);
	assert_int_equal(p->into.number, 7);
	assert_int_equal(p->into.names.n, 2);
	assert_string_equal(p->into.names.items[1], "blue");
	assert_int_equal(p->n, 0);
	done(p);
}

/* A program's own options are not ours. */
static void test_first_word_ends_options(void **state)
{
	struct parsed *p = parse("--flag prog --text x", true);

	assert_int_equal(p->r, 0);
	assert_int_equal(p->n, 3);
	assert_string_equal(p->words[0], "prog");
	assert_string_equal(p->words[2], "x");
	assert_null(p->words[3]);
	assert_null(p->into.text);
	done(p);
}

static void test_dashes_end_options(void **state)
{
	struct parsed *p = parse("--flag -- --text -- x", true);

	assert_int_equal(p->r, 0);
	assert_int_equal(p->n, 3);
	assert_string_equal(p->words[0], "--text");
	assert_string_equal(p->words[1], "--");
	assert_null(p->words[3]);
	done(p);
}

static void test_options_behind_words(void **state)
{
	struct parsed *p = parse("a --flag b -", false);

	assert_int_equal(p->r, 0);
	assert_int_equal(p->n, 3);
	assert_string_equal(p->words[1], "b");
	assert_string_equal(p->words[2], "-");
	assert_true(p->into.flag);
	done(p);
}

static void test_help_and_version(void **state)
{
	static const struct {
		const char *line;
		int outcome;
	} rows_of[] = { { "--help", OPTIONS_HELP },
			{ "-h x", OPTIONS_HELP },
			{ "--version", OPTIONS_VERSION },
			{ "-- --help", 0 } };

	for (size_t i = 0; i < sizeof rows_of / sizeof *rows_of; i++) {
		struct parsed *p = parse(rows_of[i].line, true);

		assert_int_equal(p->r, rows_of[i].outcome);
		done(p);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *line, *says;
	} refused[] = {
		{ "--flg", "did you mean \"--flag\"" },
		{ "--sec=1", "did you mean \"--seconds\"" },
		{ "--halp", "did you mean \"--help\"" },
		{ "-x", "there is no option \"-x\"" },
		{ "--flag=1", "takes no value" },
		{ "--text", "needs a value" },
		{ "--choice=pink", "none of red, green, blue" },
		{ "--name=gren", "did you mean \"green\"" },
		{ "--seconds=0", "no number of seconds" },
		{ "--seconds=1s", "no number of seconds" },
		{ "--seconds=nan", "no number of seconds" },
		{ "--seconds=1e300", "no number of seconds" },
		{ "--bytes=511", "from 512 to 65536" },
		{ "--bytes=-1", "from 512 to 65536" },
		{ "--bytes=1M", "from 512 to 65536" },
		{ "--bytes=18446744073709551615M", "from 512 to 65536" },
		{ "--bytes=K", "from 512 to 65536" },
		{ "--number=65", "no number from 0 to 64" },
		{ "--number=-1", "no number from 0 to 64" },
		{ "--number=7K", "no number from 0 to 64" },
		{ "--number=", "no number from 0 to 64" },
	};

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct parsed *p = parse(refused[i].line, true);

		assert_int_equal(p->r, -EINVAL);
		if (!strstr(p->err.text, refused[i].says))
			fail_msg("%s: %s", refused[i].line, p->err.text);
		done(p);
	}
}

static int parse_names(size_t n_names, struct into *into)
{
	char *words[2 * (COMMAND_LIST_MAX + 1) + 1] = { NULL };
	struct err err;
	size_t n;

	for (size_t i = 0; i < 2 * n_names; i++)
		words[i] = i % 2 ? "red" : "--name";
	return options_parse(rows, into, words, 2 * n_names, true, &n, &err);
}

static void test_too_many(void **state)
{
	struct into most = { 0 }, more = { 0 };

	assert_int_equal(parse_names(COMMAND_LIST_MAX, &most), 0);
	assert_int_equal(most.names.n, COMMAND_LIST_MAX);
	assert_int_equal(parse_names(COMMAND_LIST_MAX + 1, &more), -EINVAL);
}

static void test_split(void **state)
{
	char line[] = "  a 'b c' \"d \\\" e\"\tf\\ g '' h'i'\"j\" ";
	static const char *const wanted[] = { "a", "b c", "d \" e", "f g", "", "hij" };
	char **words;
	size_t n;

	assert_int_equal(options_split(line, &words, &n), 0);
	assert_int_equal(n, sizeof wanted / sizeof *wanted);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(words[i], wanted[i]);
	assert_null(words[n]);
	free(words);
}

static void test_split_of_little(void **state)
{
	char nothing[] = "", blanks[] = "   ", open[] = "a 'b";
	char **words;
	size_t n;

	assert_int_equal(options_split(nothing, &words, &n), 0);
	assert_int_equal(n, 0);
	free(words);
	assert_int_equal(options_split(blanks, &words, &n), 0);
	assert_int_equal(n, 0);
	free(words);
	assert_int_equal(options_split(open, &words, &n), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_first_word_ends_options),
		cmocka_unit_test(test_dashes_end_options),
		cmocka_unit_test(test_options_behind_words),
		cmocka_unit_test(test_help_and_version),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_split_of_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
