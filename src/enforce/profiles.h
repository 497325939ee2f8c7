/* SPDX-License-Identifier: MIT */
/* policies/NAME.yaml, as built in (tools/embed.py). */
#pragma once

#include <stddef.h>

struct profiles_text {
	const char *name;
	const char *text;
};

/* Sorted by name; NULL as name ends them. */
extern const struct profiles_text profiles_texts[];
