/* SPDX-License-Identifier: MIT */
/* What was denied to a program, once each, as text or as JSON Lines. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/cleanup.h"

struct err;
struct plan;
struct serve_report;
struct serve_status;

enum run_format { RUN_TEXT, RUN_JSON };

struct run_log;

/* `path` NULL = stderr. The plan outlives it. */
int run_log_new(const char *path, enum run_format format, const struct plan *plan, struct run_log **ret_log,
		struct err *err);
struct run_log *run_log_free(struct run_log *log);
CLEANUP_DEFINE(run_log, struct run_log, run_log_free);

/* A serve_report_function; the context is the log. */
void run_log_report(void *context, const struct serve_report *report);

/* Something about the run itself. */
void run_log_notice(struct run_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* At the end; `status` NULL where nobody answered. */
void run_log_summary(struct run_log *log, const struct serve_status *status);
