/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* The catalogue's names, by number; NULL ends them. */
const char *hazards_name(size_t i);
