/* SPDX-License-Identifier: MIT */
/* What the table of commands says, for people. */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct command;
struct command_option;

void help_of(const struct command *command, FILE *file);
void help_all(FILE *file);
void help_version(FILE *file);

/* "text|json|sarif", "FILE", or "" for a flag. Writes into `buf` and returns it. */
const char *help_value(char *buf, size_t size, const struct command_option *row);
