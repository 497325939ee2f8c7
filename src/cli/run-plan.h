/* SPDX-License-Identifier: MIT */
/* A plan for people: what is enforced, what is not, and what will be done. */
#pragma once

#include <stdio.h>

struct plan;

void run_plan_print(FILE *file, const struct plan *plan, char *const program[]);

/* Why each mechanism that was looked at cannot be used. */
void run_plan_print_candidates(FILE *file, const struct plan *plan);
