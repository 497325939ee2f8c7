/* SPDX-License-Identifier: MIT */
/* What sensors can see, by name. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "memory", or NULL for a bit (enum source_ability, by its position) that has no name. */
const char *abilities_name(size_t bit);

/* The sensors and what each can see; NULL ends them. */
const char *abilities_sensor(size_t i);
uint32_t abilities_of_sensor(size_t i);
