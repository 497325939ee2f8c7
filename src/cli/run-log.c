/* SPDX-License-Identifier: MIT */
#include "cli/run-log.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "abi/decode.h"
#include "base/err.h"
#include "enforce/plan.h"
#include "enforce/serve.h"
#include "report/common.h"

/* A hostile program can be denied in as many ways as it likes; what comes after these is counted alone. */
enum { MAX_SEEN = 256 };

struct seen {
	enum serve_kind kind;
	int field, error;
	uint64_t count;
	char what[SERVE_WHAT_BYTES];
};

struct run_log {
	FILE *file;
	bool own;
	enum run_format format;
	const struct plan *plan;
	struct seen seen[MAX_SEEN];
	size_t n_seen;
	uint64_t beyond;
};

static const char *const kinds[] = {
	[SERVE_MADE] = "made",     [SERVE_ALTERED] = "altered", [SERVE_DENIED] = "denied",
	[SERVE_FAILED] = "failed", [SERVE_KILLED] = "killed",
};

int run_log_new(const char *path, enum run_format format, const struct plan *plan, struct run_log **ret_log,
		struct err *err)
{
	struct run_log *log = calloc(1, sizeof(*log));

	if (!log)
		return err_set(err, -ENOMEM, "out of memory");
	log->file = path ? fopen(path, "we") : stderr;
	log->own = path;
	log->format = format;
	log->plan = plan;
	if (!log->file) {
		int r = err_set(err, -errno, "cannot write to %s: %m", path);

		free(log);
		return r;
	}
	if (path)
		setvbuf(log->file, NULL, _IOLBF, 0);
	*ret_log = log;
	return 0;
}

struct run_log *run_log_free(struct run_log *log)
{
	if (log && log->own)
		(void)fclose(log->file);
	free(log);
	return NULL;
}

/* ---- once each ---- */

static bool is_new(struct run_log *log, const struct serve_report *report)
{
	struct seen *seen = log->seen;

	for (; seen < log->seen + log->n_seen; seen++)
		if (seen->kind == report->kind && seen->field == report->field && seen->error == report->error &&
		    strcmp(seen->what, report->what) == 0) {
			seen->count++;
			return false;
		}
	if (log->n_seen == MAX_SEEN) {
		log->beyond++;
		return false;
	}
	log->n_seen++;
	*seen = (struct seen){ report->kind, report->field, report->error, 1, "" };
	memcpy(seen->what, report->what, sizeof(seen->what));
	return true;
}

/* ---- as text ---- */

static void printable(const char *from, char *to, size_t size)
{
	size_t i = 0;

	for (; from[i] && i + 1 < size; i++)
		to[i] = isprint((unsigned char)from[i]) ? from[i] : '?';
	to[i] = '\0';
}

static size_t rule(const struct run_log *log, const struct serve_report *report, char *to, size_t size)
{
	const struct policy *policy = &log->plan->policy;

	if (report->field < 0)
		return (size_t)snprintf(to, size, "by %s",
					report->kind == SERVE_FAILED || report->kind == SERVE_KILLED
						? "no rule"
						: mechanism_name(log->plan->mechanism));
	if (report->line)
		return (size_t)snprintf(to, size, "by %s, %s:%u", policy_field_name(report->field), policy->file,
					report->line);
	return (size_t)snprintf(to, size, "by %s, of which %s does not speak", policy_field_name(report->field),
				policy->file);
}

static void write_text(struct run_log *log, const struct serve_report *report)
{
	char comm[sizeof(report->comm)], by[POLICY_FILE_BYTES + 64];

	printable(report->comm, comm, sizeof(comm));
	rule(log, report, by, sizeof(by));
	fprintf(log->file, "circlip run: %s[%d]: io_uring_setup %s%s%s: %s (%s)%s%s\n", comm, report->pid,
		kinds[report->kind], report->error ? " with " : "", report->error ? strerrorname_np(report->error) : "",
		report->what, by, *report->remedy ? "; to allow it: " : "", report->remedy);
}

/* ---- as JSON ---- */

static void write_json(struct run_log *log, json_t *object)
{
	json_dumpf(object, log->file, JSON_COMPACT);
	fputc('\n', log->file);
	json_decref(object);
}

static void set_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

static json_t *report_object(const struct run_log *log, const struct serve_report *report)
{
	char flags[256];
	json_t *object = json_object();

	abi_decode_flags(flags, sizeof(flags), ABI_FLAGS_SETUP, report->flags);
	json_object_set_new(object, "type", json_string(kinds[report->kind]));
	set_number(object, "pid", (uint64_t)report->pid);
	set_number(object, "tid", (uint64_t)report->tid);
	json_object_set_new(object, "comm", common_string(report->comm));
	json_object_set_new(object, "call", json_string("io_uring_setup"));
	json_object_set_new(object, "error", report->error ? json_string(strerrorname_np(report->error)) : json_null());
	json_object_set_new(object, "what", common_string(report->what));
	json_object_set_new(object, "field",
			    report->field < 0 ? json_null() : json_string(policy_field_name(report->field)));
	json_object_set_new(object, "policy", common_string(log->plan->policy.file));
	set_number(object, "line", report->line);
	json_object_set_new(object, "remedy", common_string(report->remedy));
	set_number(object, "entries", report->entries);
	json_object_set_new(object, "flags", json_string(flags));
	set_number(object, "sq_entries", report->sq_entries);
	set_number(object, "cq_entries", report->cq_entries);
	set_number(object, "latency_ns", report->latency_ns);
	return object;
}

void run_log_report(void *context, const struct serve_report *report)
{
	struct run_log *log = context;

	if (report->kind == SERVE_MADE || !is_new(log, report))
		return;
	if (log->format == RUN_JSON)
		write_json(log, report_object(log, report));
	else
		write_text(log, report);
}

void run_log_notice(struct run_log *log, const char *format, ...)
{
	char text[512];
	json_t *object;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (log->format == RUN_TEXT) {
		fprintf(log->file, "circlip run: %s\n", text);
		return;
	}
	object = json_object();
	json_object_set_new(object, "type", json_string("notice"));
	json_object_set_new(object, "message", common_string(text));
	write_json(log, object);
}

static json_t *seen_object(const struct seen *seen)
{
	json_t *object = json_object();

	json_object_set_new(object, "kind", json_string(kinds[seen->kind]));
	json_object_set_new(object, "what", common_string(seen->what));
	set_number(object, "count", seen->count);
	return object;
}

void run_log_summary(struct run_log *log, const struct serve_status *status)
{
	json_t *object, *list;

	if (log->beyond && log->format == RUN_TEXT)
		run_log_notice(log, "%llu further refusals of other kinds were not told",
			       (unsigned long long)log->beyond);
	if (log->format == RUN_TEXT)
		return;
	object = json_object();
	list = json_array();
	for (size_t i = 0; i < log->n_seen; i++)
		json_array_append_new(list, seen_object(&log->seen[i]));
	json_object_set_new(object, "type", json_string("summary"));
	json_object_set_new(object, "mechanism", json_string(mechanism_name(log->plan->mechanism)));
	json_object_set_new(object, "policy", common_string(log->plan->policy.name));
	set_number(object, "made", status ? status->made : 0);
	set_number(object, "altered", status ? status->altered : 0);
	set_number(object, "denied", status ? status->denied : 0);
	set_number(object, "failed", status ? status->failed : 0);
	set_number(object, "workers", status ? status->workers : 0);
	set_number(object, "unreported", (status ? status->unreported : 0) + log->beyond);
	json_object_set_new(object, "counted", json_boolean(status));
	json_object_set_new(object, "seen", list);
	write_json(log, object);
}
