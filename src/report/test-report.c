/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/err.h"
#include "report/places.h"
#include "report/report.h"
#include "report/suppress.h"
#include "stack/capture.h"

static const struct report_format *format_named(const char *name)
{
	for (const struct report_format *f = report_formats; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	fail_msg("no format %s", name);
	return NULL;
}

static volatile int depth;
static int line_of_place;

static __attribute__((noinline)) void take_a_place(void)
{
	line_of_place = __LINE__ + 1;
	capture();
	depth++;
}

static struct finding finding;

static int set_up(void **state)
{
	*state = stacks_new();
	dl_iterate_phdr(tell_module, *state);
	take_a_place();
	finding = (struct finding){
		.hazard = hazard_catalogue[0],
		.level = HAZARD_ERROR,
		.pid = CAPTURE_PID,
		.tid = 8,
		.ring = 1,
		.ring_fd = 3,
		.has_sqe = true,
		.sqe = { .opcode = URING_OP_READ, .fd = 5, .user_data = UINT64_MAX },
		.message = "what happened \033[31m here, with \xff bytes",
		.why = "The kernel will write.",
		.fix = "Keep the buffer.",
		.stacks = { { "submitted by", CAPTURE_PID, 1 }, { "released by", CAPTURE_PID, 99 } },
		.n_steps = 1,
		.steps = { "first step" },
		.in_flight_ns = 1500000,
		.count = 1,
	};
	return stacks_apply(*state, &captured.head.h);
}

static int tear_down(void **state)
{
	*state = stacks_free(*state);
	return 0;
}

/* What the renderer writes for `finding` and a summary. To be freed. */
static char *render(const char *name, struct stacks *stacks, bool colour)
{
	static const struct report_unchecked unchecked[] = { { "some-hazard", "needs more" },
							     { "other-hazard", "needs more" } };
	static const char *const notices[] = { "something was not watched" };
	const struct finding *place = &finding;
	struct report_summary summary = {
		.n_findings = { 0, 0, 1, 2 },
		.n_suppressed = 4,
		.n_requests = 3456,
		.n_rings = 12,
		.n_lost = 7,
		.unchecked = unchecked,
		.n_unchecked = 2,
		.notices = notices,
		.n_notices = 1,
		.program = "prog",
		.places = &place,
		.n_places = 1,
	};
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	struct sink_options options = { .file = file, .colour = colour, .program = "prog", .version = "1" };
	struct sink *sink = format_named(name)->make(&options, stacks);

	assert_int_equal(sink->finding(sink, &finding), 0);
	finding.count = 9;
	assert_int_equal(sink->summary(sink, &summary), 0);
	sink->destroy(sink);
	fclose(file);
	return text;
}

static void test_text(void **state)
{
	char *text = render("text", *state, false), wanted[200];

	snprintf(wanted, sizeof wanted, "==7==ERROR: circlip: %s\n", finding.hazard->name);
	assert_non_null(strstr(text, wanted));
	snprintf(wanted, sizeof wanted, "in take_a_place ");
	assert_non_null(strstr(text, wanted));
	snprintf(wanted, sizeof wanted, "test-report.c:%d", line_of_place);
	assert_non_null(strstr(text, wanted));
	assert_non_null(strstr(text, "in flight for 1.5 ms"));
	assert_non_null(strstr(text, "1. first step\n"));
	assert_non_null(strstr(text, "submitted by:\n"));
	assert_non_null(strstr(text, "released by: (stack not kept)\n"));
	assert_non_null(strstr(text, "What the kernel does:\n    The kernel will write.\n"));
	assert_non_null(strstr(text, "How to fix it:\n    Keep the buffer.\n"));
	assert_non_null(strstr(text, "was seen 9 times\n"));
	assert_non_null(strstr(text, "not checked (needs more): some-hazard other-hazard\n"));
	assert_non_null(strstr(
		text,
		"SUMMARY: circlip: 2 errors, 1 warning, 4 suppressed in prog (12 rings, 3456 requests); not checked: "
		"2 hazards; 7 events lost\n"));
	/* Nothing from the program reaches the terminal as a command. */
	assert_null(strchr(text, '\033'));
	free(text);
}

static void test_colour(void **state)
{
	char *text = render("text", *state, true);

	assert_non_null(strstr(text, "\033[1;31m==7==ERROR"));
	free(text);
}

static const char *string_at(json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static void check_json_finding(json_t *object)
{
	json_t *stacks = json_object_get(object, "stacks"), *frame = NULL;
	size_t i;

	assert_string_equal(string_at(object, "type"), "finding");
	assert_int_equal(json_integer_value(json_object_get(object, "schema")), 1);
	assert_string_equal(string_at(object, "hazard"), finding.hazard->name);
	assert_string_equal(string_at(object, "level"), "error");
	assert_string_equal(string_at(object, "op"), "READ");
	assert_string_equal(string_at(object, "user_data"), "0xffffffffffffffff");
	assert_string_equal(string_at(object, "fix"), "Keep the buffer.");
	assert_int_equal(json_integer_value(json_object_get(object, "pid")), CAPTURE_PID);
	assert_int_equal(json_array_size(stacks), 2);
	assert_string_equal(string_at(json_array_get(stacks, 0), "label"), "submitted by");
	json_array_foreach(json_object_get(json_array_get(stacks, 0), "frames"), i, frame)
	{
		if (strcmp(string_at(frame, "function"), "take_a_place") == 0)
			break;
	}
	assert_int_equal(json_integer_value(json_object_get(frame, "line")), line_of_place);
	assert_int_equal(json_array_size(json_object_get(json_array_get(stacks, 1), "frames")), 0);
}

static void check_json_summary(json_t *object)
{
	assert_string_equal(string_at(object, "type"), "summary");
	assert_int_equal(json_integer_value(json_object_get(object, "errors")), 2);
	assert_int_equal(json_integer_value(json_object_get(object, "warnings")), 1);
	assert_int_equal(json_integer_value(json_object_get(object, "requests")), 3456);
	assert_int_equal(json_integer_value(json_object_get(object, "events_lost")), 7);
	assert_int_equal(json_array_size(json_object_get(object, "unchecked")), 2);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(json_object_get(object, "places"), 0), "count")), 9);
}

static void test_json(void **state)
{
	char *text = render("json", *state, false), *second = strchr(text, '\n');
	json_t *object;

	assert_non_null(second);
	*second++ = '\0';
	object = json_loads(text, 0, NULL);
	check_json_finding(object);
	json_decref(object);
	object = json_loads(second, 0, NULL);
	check_json_summary(object);
	json_decref(object);
	free(text);
}

static void test_sarif(void **state)
{
	char *text = render("sarif", *state, false);
	json_t *root = json_loads(text, 0, NULL), *run, *result, *rules, *region;

	assert_non_null(root);
	assert_string_equal(string_at(root, "version"), "2.1.0");
	run = json_array_get(json_object_get(root, "runs"), 0);
	rules = json_object_get(json_object_get(json_object_get(run, "tool"), "driver"), "rules");
	result = json_array_get(json_object_get(run, "results"), 0);
	assert_string_equal(string_at(result, "ruleId"), finding.hazard->name);
	assert_string_equal(
		string_at(json_array_get(rules, (size_t)json_integer_value(json_object_get(result, "ruleIndex"))),
			  "id"),
		finding.hazard->name);
	assert_int_equal(json_integer_value(json_object_get(result, "occurrenceCount")), 9);
	region = json_object_get(json_array_get(json_object_get(result, "locations"), 0), "physicalLocation");
	assert_non_null(strstr(string_at(json_object_get(region, "artifactLocation"), "uri"), "capture.h"));
	assert_true(json_integer_value(json_object_get(json_object_get(region, "region"), "startLine")) > 0);
	json_decref(root);
	free(text);
}

static int load(struct suppress *suppress, const char *text, struct err *err)
{
	char path[] = "/tmp/circlip-test-XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");
	int r;

	fputs(text, file);
	fclose(file);
	r = suppress_load(suppress, path, err);
	unlink(path);
	return r;
}

static void test_suppressions(void **state)
{
	static const struct {
		const char *text;
		bool matches;
	} table[] = {
		{ "# nothing\n\n", false },
		{ "*: fun:take_a_place\n", true },
		{ " * : fun:take_?_pl* \n", true },
		{ "*: fun:another\n", false },
		{ "no-such-*: fun:take_a_place\n", false },
		{ "*: src:test-report.c\n", true },
		{ "*: src:*/report/test-*\n", true },
		{ "*: src:other.c\n", false },
		{ "*: obj:nothing.so\n", false },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct suppress *suppress = suppress_new();
		struct err err;

		assert_int_equal(load(suppress, table[i].text, &err), 0);
		assert_int_equal(suppress_matches(suppress, &finding, *state), table[i].matches);
		suppress_free(suppress);
	}
}

static void test_printed_suppression_suppresses(void **state)
{
	struct suppress *suppress = suppress_new();
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	struct err err;

	suppress_print(file, &finding, *state);
	fclose(file);
	assert_int_equal(load(suppress, text, &err), 0);
	assert_true(suppress_matches(suppress, &finding, *state));
	suppress_free(suppress);
	free(text);
}

static void test_wrong_suppressions_are_refused(void **state)
{
	static const char *const table[] = { "# fine\nnonsense\n", "# fine\n*: file:x\n",
					     "# fine\nno-such-hazard: fun:x\n", "# fine\n*: fun:\n" };

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct suppress *suppress = suppress_new();
		struct err err;

		assert_true(load(suppress, table[i], &err) < 0);
		assert_non_null(strstr(err.text, ":2: "));
		suppress_free(suppress);
	}
}

static void test_places(void **state)
{
	struct places *places = places_new(*state);
	struct finding other = finding;
	size_t n;

	/* The same place under another number. */
	captured.head.h.stack = other.stacks[0].stack = 2;
	stacks_apply(*state, &captured.head.h);
	assert_int_equal(places_add(places, &finding), PLACES_NEW);
	assert_int_equal(places_add(places, &other), PLACES_KNOWN);
	other.sqe.opcode = URING_OP_WRITE;
	assert_int_equal(places_add(places, &other), PLACES_NEW);
	other = finding;
	other.stacks[0].stack = 2;
	finding.count = 3;
	other.count = 4;
	places_count(places, &finding);
	places_count(places, &other);
	assert_int_equal(places_list(places, &n)[0]->count, 7);
	assert_int_equal(n, 2);
	assert_int_equal(places_list(places, &n)[1]->count, 1);
	places_free(places);
}

#define REPORT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REPORT_TEST(test_text),
		REPORT_TEST(test_colour),
		REPORT_TEST(test_json),
		REPORT_TEST(test_sarif),
		REPORT_TEST(test_suppressions),
		REPORT_TEST(test_printed_suppression_suppresses),
		REPORT_TEST(test_wrong_suppressions_are_refused),
		REPORT_TEST(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
