/* SPDX-License-Identifier: MIT */
/* What somebody may have meant. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What it may have been: names one by one, NULL ends them. Called with 0, 1, 2 ... and not beyond the end. */
typedef const char *near_list(size_t i);

/* Whether one is likely to be a slip of the other. */
bool near_is(const char *word, const char *name);

/* Puts up to `max` names that are like `word` into `ret`, the likest first, and returns how many. */
size_t near_names(const char *word, near_list *names, const char **ret, size_t max);

/* "; did you mean \"X\"?", or "" where nothing is like it. Writes into `buf` and returns it. */
const char *near_hint(char *buf, size_t size, const char *word, near_list *names);
