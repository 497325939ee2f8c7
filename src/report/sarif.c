/* SPDX-License-Identifier: MIT */
/* SARIF 2.1.0, for code hosts. Results wait until the end, since counts are part of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/decode.h"
#include "report/common.h"

struct result {
	struct finding finding;
	struct result *next;
};

struct sarif {
	struct sink sink;
	struct sink_options options;
	struct stacks *stacks;
	struct result *first, **last;
};

static json_t *message(const char *text)
{
	json_t *object = json_object();

	common_set(object, "text", text);
	return object;
}

/* A path as a URI reference: all but the unreserved and '/' escaped. */
static void set_uri(json_t *object, const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
	char uri[4096 * 3 + 8], *to = uri + sprintf(uri, "%s", *path == '/' ? "file://" : "");

	for (; *path && to < uri + sizeof uri - 4; path++) {
		if (strchr(plain, *path))
			*to++ = *path;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*path);
	}
	*to = '\0';
	common_set(object, "uri", uri);
}

static json_t *location(const struct stack_frame *frame, const char *text)
{
	json_t *object = json_object(), *physical = json_object(), *artifact = json_object(), *region = json_object();

	if (text)
		json_object_set_new(object, "message", message(text));
	if (frame->name) {
		json_t *logical =
			json_pack("[{s:o, s:s}]", "fullyQualifiedName", common_string(frame->name), "kind", "function");

		json_object_set_new(object, "logicalLocations", logical);
	}
	set_uri(artifact, common_path(frame->file ? frame->file : frame->module));
	json_object_set_new(physical, "artifactLocation", artifact);
	if (frame->file && frame->line > 0) {
		json_object_set_new(region, "startLine", json_integer(frame->line));
		if (frame->column > 0)
			json_object_set_new(region, "startColumn", json_integer(frame->column));
		json_object_set(physical, "region", region);
	}
	json_decref(region);
	json_object_set_new(object, "physicalLocation", physical);
	return object;
}

static json_t *stack_object(struct sarif *s, const struct finding_stack *stack)
{
	const struct stack *named = stacks_symbolize(s->stacks, stack->pid, stack->stack);
	json_t *object = json_object(), *frames = json_array();

	json_object_set_new(object, "message", message(stack->label));
	for (size_t i = 0; named && i < common_frames(named); i++) {
		json_t *frame = json_object();

		json_object_set_new(frame, "location", location(&named->frames[i], NULL));
		common_set(frame, "module", named->frames[i].module);
		json_array_append_new(frames, frame);
	}
	json_object_set_new(object, "frames", frames);
	return object;
}

static void set_locations(struct sarif *s, json_t *result, const struct finding *finding)
{
	json_t *locations = json_array(), *related = json_array(), *stacks = json_array();

	for (size_t i = 0; i < FINDING_STACKS; i++) {
		const struct finding_stack *stack = &finding->stacks[i];
		const struct stack_frame *frame = stack->label ? common_place(s->stacks, stack) : NULL;

		if (frame && !json_array_size(locations))
			json_array_append_new(locations, location(frame, NULL));
		if (frame)
			json_array_append_new(related, location(frame, stack->label));
		if (stack->label && stack->stack)
			json_array_append_new(stacks, stack_object(s, stack));
	}
	json_object_set_new(result, "locations", locations);
	json_object_set_new(result, "relatedLocations", related);
	json_object_set_new(result, "stacks", stacks);
}

static int rule_index(const struct hazard *hazard)
{
	for (int i = 0; hazard_catalogue[i]; i++)
		if (hazard_catalogue[i] == hazard)
			return i;
	return -1;
}

static json_t *result_object(struct sarif *s, const struct finding *finding)
{
	json_t *result = json_object(), *properties = json_object();
	char line[512];

	common_set(result, "ruleId", finding->hazard->name);
	json_object_set_new(result, "ruleIndex", json_integer(rule_index(finding->hazard)));
	common_set(result, "level", common_level(finding->level));
	json_object_set_new(result, "message", message(finding->message[0] ? finding->message : finding->hazard->name));
	json_object_set_new(result, "occurrenceCount", json_integer(finding->count ? (json_int_t)finding->count : 1));
	set_locations(s, result, finding);
	if (finding->has_sqe) {
		abi_decode_sqe(line, sizeof line, &finding->sqe, NULL);
		common_set(properties, "entry", line);
	}
	common_set(properties, "why", finding->why ? finding->why : finding->hazard->why);
	common_set(properties, "fix", finding->fix ? finding->fix : finding->hazard->fix);
	json_object_set_new(result, "properties", properties);
	return result;
}

static json_t *rules(void)
{
	json_t *list = json_array();

	for (int i = 0; hazard_catalogue[i]; i++) {
		const struct hazard *hazard = hazard_catalogue[i];
		json_t *rule = json_object(), *configuration = json_object(), *properties = json_object();

		common_set(rule, "id", hazard->name);
		json_object_set_new(rule, "shortDescription", message(hazard->why ? hazard->why : hazard->name));
		if (hazard->fix)
			json_object_set_new(rule, "help", message(hazard->fix));
		common_set(configuration, "level", common_level(hazard->level));
		json_object_set_new(rule, "defaultConfiguration", configuration);
		common_set(properties, "family", hazard->family);
		json_object_set_new(rule, "properties", properties);
		json_array_append_new(list, rule);
	}
	return list;
}

static json_t *invocation(const struct report_summary *summary)
{
	json_t *object = json_object(), *notes = json_array();

	json_object_set_new(object, "executionSuccessful", json_boolean(!summary->interrupted));
	for (size_t i = 0; i < summary->n_notices; i++) {
		json_t *note = json_object();

		json_object_set_new(note, "message", message(summary->notices[i]));
		json_array_append_new(notes, note);
	}
	for (size_t i = 0; i < summary->n_unchecked; i++) {
		json_t *note = json_object();
		char text[512];

		snprintf(text, sizeof text, "%s was not checked: %s", summary->unchecked[i].hazard,
			 summary->unchecked[i].reason);
		json_object_set_new(note, "message", message(text));
		common_set(note, "level", "note");
		json_array_append_new(notes, note);
	}
	json_object_set_new(object, "toolExecutionNotifications", notes);
	return object;
}

static int sarif_finding(struct sink *sink, const struct finding *finding)
{
	struct sarif *s = (struct sarif *)sink;
	struct result *result = calloc(1, sizeof *result);

	if (!result)
		return -ENOMEM;
	result->finding = *finding;
	*s->last = result;
	s->last = &result->next;
	/* Now, while the stacks are surely kept. */
	for (size_t i = 0; i < FINDING_STACKS; i++)
		common_place(s->stacks, &finding->stacks[i]);
	return 0;
}

static uint64_t final_count(const struct report_summary *summary, const struct finding *finding)
{
	for (size_t i = 0; i < summary->n_places; i++) {
		const struct finding *place = summary->places[i];

		if (place->hazard == finding->hazard && place->pid == finding->pid && place->seq == finding->seq &&
		    place->request_seq == finding->request_seq)
			return place->count;
	}
	return finding->count;
}

static int sarif_summary(struct sink *sink, const struct report_summary *summary)
{
	struct sarif *s = (struct sarif *)sink;
	json_t *driver = json_object(), *results = json_array(), *root;
	int r;

	common_set(driver, "name", "circlip");
	common_set(driver, "version", s->options.version);
	json_object_set_new(driver, "rules", rules());
	for (struct result *result = s->first; result; result = result->next) {
		result->finding.count = final_count(summary, &result->finding);
		json_array_append_new(results, result_object(s, &result->finding));
	}
	root = json_pack("{s:s, s:s, s:[{s:{s:o}, s:[o], s:o}]}", "$schema",
			 "https://json.schemastore.org/sarif-2.1.0.json", "version", "2.1.0", "runs", "tool", "driver",
			 driver, "invocations", invocation(summary), "results", results);
	if (!root)
		return -ENOMEM;
	r = json_dumpf(root, s->options.file, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	json_decref(root);
	fputc('\n', s->options.file);
	return r ? -EIO : common_flush(s->options.file);
}

static struct sink *sarif_destroy(struct sink *sink)
{
	struct sarif *s = (struct sarif *)sink;

	for (struct result *next; s && s->first; s->first = next) {
		next = s->first->next;
		free(s->first);
	}
	free(s);
	return NULL;
}

struct sink *report_sarif_new(const struct sink_options *options, struct stacks *stacks)
{
	struct sarif *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	*s = (struct sarif){ .sink = { "sarif", sarif_finding, sarif_summary, sarif_destroy },
			     .options = *options,
			     .stacks = stacks };
	s->last = &s->first;
	return &s->sink;
}
