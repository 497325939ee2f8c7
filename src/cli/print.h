/* SPDX-License-Identifier: MIT */
/* Text for people on a stream. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

enum print_colour { PRINT_AUTO, PRINT_ALWAYS, PRINT_NEVER };

/* Their names, in that order; NULL ends them. */
const char *print_colour_name(size_t i);

/* With PRINT_AUTO only on a terminal that can, and not where NO_COLOR is set. */
bool print_in_colour(FILE *file, enum print_colour colour);

/*
 * Words, broken into lines; each but the first begins `indent` columns in, where `column` is how far the first already
 * is. Ends the last line.
 */
void print_wrapped(FILE *file, const char *text, int indent, int column);

/* `label`, then the text beside it from `indent` on; a longer label has a line of its own. */
void print_item(FILE *file, const char *label, const char *text, int indent);
