/* SPDX-License-Identifier: MIT */
/* JSON Lines: an object per finding, the summary last. Fields are added, never changed; a change would be a new
 * "schema". */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "abi/decode.h"
#include "abi/op.h"
#include "report/common.h"

enum { SCHEMA = 1 };

struct json {
	struct sink sink;
	struct sink_options options;
	struct stacks *stacks;
};

/* Numbers in JSON lose bits above 2^53. */
static void set_hex(json_t *object, const char *key, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof text, "0x%" PRIx64, value);
	common_set(object, key, text);
}

static void set_number(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *frame_object(const struct stack_frame *frame)
{
	json_t *object = json_object();

	set_hex(object, "pc", frame->pc);
	common_set(object, "function", frame->name);
	common_set(object, "module", frame->module);
	set_hex(object, "offset", frame->offset);
	common_set(object, "file", frame->file);
	if (frame->file) {
		set_number(object, "line", (uint64_t)frame->line);
		set_number(object, "column", (uint64_t)frame->column);
	}
	json_object_set_new(object, "inlined", json_boolean(frame->inlined));
	return object;
}

static json_t *stack_object(struct json *j, const struct finding_stack *stack)
{
	const struct stack *named = stacks_symbolize(j->stacks, stack->pid, stack->stack);
	json_t *object = json_object(), *frames = json_array();

	common_set(object, "label", stack->label);
	set_number(object, "pid", stack->pid);
	for (size_t i = 0; named && i < named->n_frames; i++)
		json_array_append_new(frames, frame_object(&named->frames[i]));
	json_object_set_new(object, "frames", frames);
	json_object_set_new(object, "truncated", json_boolean(!named || named->truncated));
	return object;
}

static void set_entry(json_t *object, const struct finding *finding)
{
	char line[512];

	json_object_set_new(object, "op", json_null());
	if (!finding->has_sqe)
		return;
	abi_decode_sqe(line, sizeof line, &finding->sqe, NULL);
	common_set(object, "op", abi_op(finding->sqe.opcode)->name);
	common_set(object, "entry", line);
	set_hex(object, "user_data", finding->sqe.user_data);
}

static void set_lists(struct json *j, json_t *object, const struct finding *finding)
{
	json_t *stacks = json_array(), *steps = json_array();

	for (size_t i = 0; i < FINDING_STACKS; i++)
		if (finding->stacks[i].label && finding->stacks[i].stack)
			json_array_append_new(stacks, stack_object(j, &finding->stacks[i]));
	for (size_t i = 0; i < finding->n_steps && i < FINDING_STEPS; i++)
		json_array_append_new(steps, common_string(finding->steps[i]));
	json_object_set_new(object, "stacks", stacks);
	json_object_set_new(object, "steps", steps);
}

static json_t *header(const char *type)
{
	json_t *object = json_object();

	common_set(object, "type", type);
	set_number(object, "schema", SCHEMA);
	return object;
}

static int put_line(struct json *j, json_t *object)
{
	int r = json_dumpf(object, j->options.file, JSON_COMPACT | JSON_ENSURE_ASCII);

	json_decref(object);
	if (r != 0)
		return ferror(j->options.file) ? -EIO : -ENOMEM;
	fputc('\n', j->options.file);
	return common_flush(j->options.file);
}

static int json_finding(struct sink *sink, const struct finding *finding)
{
	struct json *j = (struct json *)sink;
	json_t *object = header("finding");

	common_set(object, "hazard", finding->hazard->name);
	common_set(object, "family", finding->hazard->family);
	common_set(object, "level", common_level(finding->level));
	set_number(object, "pid", finding->pid);
	set_number(object, "tid", finding->tid);
	set_number(object, "ring", finding->ring);
	json_object_set_new(object, "ring_fd", json_integer(finding->ring_fd));
	set_entry(object, finding);
	common_set(object, "message", finding->message);
	common_set(object, "why", finding->why ? finding->why : finding->hazard->why);
	common_set(object, "fix", finding->fix ? finding->fix : finding->hazard->fix);
	set_lists(j, object, finding);
	set_number(object, "time_ns", finding->time);
	set_number(object, "in_flight_ns", finding->in_flight_ns);
	set_number(object, "count", finding->count);
	return put_line(j, object);
}

static json_t *unchecked_list(const struct report_summary *summary)
{
	json_t *list = json_array();

	for (size_t i = 0; i < summary->n_unchecked; i++) {
		json_t *object = json_object();

		common_set(object, "hazard", summary->unchecked[i].hazard);
		common_set(object, "reason", summary->unchecked[i].reason);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *place_list(struct json *j, const struct report_summary *summary)
{
	json_t *list = json_array();

	for (size_t i = 0; i < summary->n_places; i++) {
		const struct finding *place = summary->places[i];
		const struct stack_frame *frame = common_place(j->stacks, &place->stacks[0]);
		json_t *object = json_object();

		common_set(object, "hazard", place->hazard->name);
		common_set(object, "level", common_level(place->level));
		set_number(object, "count", place->count);
		if (frame) {
			common_set(object, "file", frame->file);
			set_number(object, "line", (uint64_t)frame->line);
		}
		json_array_append_new(list, object);
	}
	return list;
}

static int json_summary(struct sink *sink, const struct report_summary *summary)
{
	struct json *j = (struct json *)sink;
	json_t *object = header("summary"), *notices = json_array();

	common_set(object, "version", j->options.version);
	common_set(object, "program", summary->program);
	set_number(object, "errors", summary->n_findings[HAZARD_ERROR]);
	set_number(object, "warnings", summary->n_findings[HAZARD_WARNING]);
	set_number(object, "notes", summary->n_findings[HAZARD_NOTE]);
	set_number(object, "suppressed", summary->n_suppressed);
	set_number(object, "requests", summary->n_requests);
	set_number(object, "completions", summary->n_completions);
	set_number(object, "enters", summary->n_enters);
	set_number(object, "rings", summary->n_rings);
	set_number(object, "processes", summary->n_processes);
	set_number(object, "events_lost", summary->n_lost);
	json_object_set_new(object, "interrupted", json_boolean(summary->interrupted));
	json_object_set_new(object, "unchecked", unchecked_list(summary));
	for (size_t i = 0; i < summary->n_notices; i++)
		json_array_append_new(notices, common_string(summary->notices[i]));
	json_object_set_new(object, "notices", notices);
	json_object_set_new(object, "places", place_list(j, summary));
	return put_line(j, object);
}

static struct sink *json_destroy(struct sink *sink)
{
	free(sink);
	return NULL;
}

struct sink *report_json_new(const struct sink_options *options, struct stacks *stacks)
{
	struct json *j = calloc(1, sizeof *j);

	if (!j)
		return NULL;
	*j = (struct json){ .sink = { "json", json_finding, json_summary, json_destroy },
			    .options = *options,
			    .stacks = stacks };
	return &j->sink;
}
