/* SPDX-License-Identifier: MIT */
/* What all renderers share. */
#pragma once

#include <jansson.h>

#include "hazard/hazard.h"
#include "report/report.h"
#include "stack/stack.h"

const char *common_level(enum hazard_level level); /* "error" */

/* The file's name with our own working directory taken off its front. */
const char *common_path(const char *path);

/* Frames worth showing: up to and including main. */
size_t common_frames(const struct stack *stack);

/* Index of the innermost frame of the program's own code; of any that has a file where there is none; else 0. */
size_t common_user_frame(const struct stack *stack);

/* That frame if it has a file, else NULL. */
const struct stack_frame *common_place(struct stacks *stacks, const struct finding_stack *stack);

/* A string that is valid JSON whatever the text is: program names and messages come from elsewhere. NULL only when out
 * of memory. */
json_t *common_string(const char *text);

/* Sets a string, if there is one. */
void common_set(json_t *object, const char *key, const char *text);

/* 0 or -errno of the stream. */
int common_flush(FILE *file);
