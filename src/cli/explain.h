/* SPDX-License-Identifier: MIT */
/* hazards/NAME/README.md, as built in (tools/embed.py). */
#pragma once

#include <stddef.h>

struct explain_text {
	const char *name, *text;
};

extern const struct explain_text explain_texts[]; /* sorted by name; ends with NULL */
