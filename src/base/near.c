/* SPDX-License-Identifier: MIT */
#include "base/near.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MAX_LENGTH = 64, FAR = 1000, PART_SCORE = 100 };

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int smallest(int a, int b, int c)
{
	int least = a < b ? a : b;

	return least < c ? least : c;
}

/* How many letters were left out, put in, replaced or swapped. */
static int distance(const char *a, const char *b)
{
	int rows[3][MAX_LENGTH + 1], *before = rows[0], *last = rows[1], *now = rows[2];
	size_t n = strlen(a), m = strlen(b);

	if (n > MAX_LENGTH || m > MAX_LENGTH)
		return FAR;
	for (size_t j = 0; j <= m; j++)
		last[j] = (int)j;
	for (size_t i = 1; i <= n; i++) {
		int *oldest = before;

		now[0] = (int)i;
		for (size_t j = 1; j <= m; j++) {
			now[j] = smallest(last[j] + 1, now[j - 1] + 1, last[j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = last;
		last = now;
		now = oldest;
	}
	return last[m];
}

static bool contains(const char *text, const char *part, size_t length)
{
	for (; *text; text++)
		if (strncasecmp(text, part, length) == 0)
			return true;
	return false;
}

/* Names are made of parts: "freed-buffer" is like "buffer-freed-in-flight". */
static int shared_parts(const char *word, const char *name)
{
	int n = 0;

	for (size_t length; *word; word += length + (word[length] != '\0')) {
		length = strcspn(word, "-_ ");
		n += length >= 4 && contains(name, word, length);
	}
	return n;
}

static int score(const char *word, const char *name)
{
	size_t length = strlen(word);
	int limit = length < 6 ? 2 : (int)length / 3, d = distance(word, name), parts;

	if (d <= limit && d < (int)length)
		return d;
	if (length >= 2 && strncasecmp(word, name, length) == 0)
		return limit + 1;
	parts = shared_parts(word, name);
	return parts ? PART_SCORE - parts : FAR;
}

bool near_is(const char *word, const char *name)
{
	return score(word, name) < PART_SCORE / 2;
}

size_t near_names(const char *word, near_list *names, const char **ret, size_t max)
{
	const char *name;
	size_t n = 0;

	for (size_t i = 0; (name = names(i)); i++) {
		int s = score(word, name);
		size_t at = n < max ? n++ : n;

		if (s == FAR) {
			n -= at < max;
			continue;
		}
		/* Insertion from behind; what falls off the end was the unlikeliest. */
		for (; at > 0 && score(word, ret[at - 1]) > s; at--)
			if (at < max)
				ret[at] = ret[at - 1];
		if (at < max)
			ret[at] = name;
	}
	return n;
}

const char *near_hint(char *buf, size_t size, const char *word, near_list *names)
{
	const char *name;

	buf[0] = '\0';
	if (names && near_names(word, names, &name, 1))
		snprintf(buf, size, "; did you mean \"%s\"?", name);
	return buf;
}
