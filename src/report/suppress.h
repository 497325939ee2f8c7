/* SPDX-License-Identifier: MIT */
/*
 * Findings that a user does not want to hear of, from a file with lines `HAZARD: fun:GLOB`, `HAZARD: obj:GLOB` or
 * `HAZARD: src:GLOB`; `HAZARD: GLOB` means a function; HAZARD may be a glob too. A line counts when any frame of the
 * finding's first stack matches. `#` begins a comment.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct err;
struct finding;
struct stacks;
struct suppress;

struct suppress *suppress_new(void);
struct suppress *suppress_free(struct suppress *suppress);

/* Adds the lines of a file. 0 or -errno with a text that names file and line. */
int suppress_load(struct suppress *suppress, const char *path, struct err *err);

/* Whether some line matches the finding. */
bool suppress_matches(const struct suppress *suppress, const struct finding *finding, struct stacks *stacks);

/* Writes a line that would suppress this finding. */
void suppress_print(FILE *file, const struct finding *finding, struct stacks *stacks);
