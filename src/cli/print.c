/* SPDX-License-Identifier: MIT */
#include "cli/print.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 100 };

const char *print_colour_name(size_t i)
{
	static const char *const names[] = { "auto", "always", "never", NULL };

	return names[i];
}

bool print_in_colour(FILE *file, enum print_colour colour)
{
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");

	if (colour != PRINT_AUTO)
		return colour == PRINT_ALWAYS;
	return !(no_colour && *no_colour) && isatty(fileno(file)) && terminal && strcmp(terminal, "dumb") != 0;
}

void print_wrapped(FILE *file, const char *text, int indent, int column)
{
	bool begun = false;

	while (*(text += strspn(text, " \n"))) {
		size_t word = strcspn(text, " \n");

		if (begun && column + 1 + (int)word > WIDTH) {
			column = fprintf(file, "\n%*s", indent, "") - 1;
			begun = false;
		}
		column += fprintf(file, "%s%.*s", begun ? " " : "", (int)word, text);
		begun = true;
		text += word;
	}
	fputc('\n', file);
}

void print_item(FILE *file, const char *label, const char *text, int indent)
{
	int column = fprintf(file, "%s", label);

	if (column + 2 > indent)
		fprintf(file, "\n%*s", indent, "");
	else
		fprintf(file, "%*s", indent - column, "");
	print_wrapped(file, text, indent, indent);
}
