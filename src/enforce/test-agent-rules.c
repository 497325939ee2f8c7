/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "enforce/agent-rules.h"
#include "enforce/oci.h"
#include "enforce/policy.h"

static char folder[] = "/tmp/circlip-test-XXXXXX", first[64], second[64];

static void write_policy(char path[static 64], const char *name)
{
	FILE *file;

	snprintf(path, 64, "%s/%s.yaml", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("ops: [NOP]\n", file);
	fclose(file);
}

static int write_policies(void **state)
{
	assert_non_null(mkdtemp(folder));
	write_policy(first, "first");
	write_policy(second, "second");
	return 0;
}

static int remove_policies(void **state)
{
	return unlink(first) | unlink(second) | rmdir(folder);
}

/* With the files' names in place of A and B. */
static const char *fill(const char *from)
{
	static char text[2048];
	size_t used = 0;

	for (; *from && used < sizeof text - 64; from++)
		if (*from == 'A' || *from == 'B')
			used += (size_t)snprintf(text + used, sizeof text - used, "%s", *from == 'A' ? first : second);
		else
			text[used++] = *from;
	text[used] = '\0';
	return text;
}

static const char text[] = "# comment\n"
			   "default: allow-all\n"
			   "rules:\n"
			   "  - metadata: data*\n"
			   "    id: pg-?\n"
			   "    policy: A\n"
			   "  - annotation: storage\n"
			   "    policy: B\n"
			   "  - id: build-*\n"
			   "    policy: refuse\n";

static const struct agent_force lenient = {
	.mechanism = MECHANISM_STRIP,
	.accepted = { [POLICY_SOCKET_FAMILIES] = true, [POLICY_BUFFER_BYTES] = true, [POLICY_REGISTERED_FILES] = true }
};

static struct agent_rules *read_rules(const char *from)
{
	struct agent_rules *rules = NULL;
	struct err err = { "" };

	from = fill(from);
	if (agent_rules_parse(from, strlen(from), "rules.yaml", "allow-all", &lenient, &rules, &err) != 0)
		fail_msg("%s", err.text);
	return rules;
}

/* The policy's name, or "refuse". */
static const char *match(const struct agent_rules *rules, struct oci_state state, const char *why)
{
	static struct policy policy;
	char said[AGENT_WHY_BYTES];
	int r = agent_rules_match(rules, &state, &policy, said);

	assert_string_equal(said, why);
	return r == AGENT_RULES_REFUSE ? "refuse" : policy.name;
}

static void first_that_fits_wins(void **state)
{
	struct agent_rules *rules = read_rules(text);

	assert_int_equal(agent_rules_count(rules), 3);
	assert_string_equal(match(rules, (struct oci_state){ .id = "pg-1", .metadata = "data" }, "rule 1 (line 4)"),
			    "first");
	/* All that a rule names must match. */
	assert_string_equal(match(rules, (struct oci_state){ .id = "pg-12", .metadata = "data" }, "default"),
			    "allow-all");
	assert_string_equal(match(rules, (struct oci_state){ .id = "x", .policy = "storage" }, "rule 2 (line 7)"),
			    "second");
	assert_string_equal(match(rules, (struct oci_state){ .id = "build-x" }, "rule 3 (line 9)"), "refuse");
	agent_rules_free(rules);
}

/* What a container says of itself chooses among the rules, and is never taken for a policy's name. */
static void annotation_is_no_name(void **state)
{
	struct agent_rules *rules = read_rules("default: A\n");

	assert_string_equal(match(rules, (struct oci_state){ .id = "x", .policy = "allow-all" }, "default"), "first");
	assert_string_equal(match(rules, (struct oci_state){ .id = "x", .metadata = "allow-all" }, "default"), "first");
	agent_rules_free(rules);
}

static void no_file_goes_by_metadata(void **state)
{
	struct agent_rules *rules = NULL;
	struct err err = { "" };

	assert_int_equal(agent_rules_load(NULL, "refuse", &lenient, &rules, &err), 0);
	assert_string_equal(match(rules, (struct oci_state){ .id = "x", .metadata = "allow-all" }, "listenerMetadata"),
			    "allow-all");
	assert_string_equal(match(rules, (struct oci_state){ .id = "x", .metadata = "no-such" }, "default"), "refuse");
	assert_string_equal(match(rules, (struct oci_state){ .id = "x", .policy = "allow-all" }, "default"), "refuse");
	agent_rules_free(rules);
}

/* network-server restricts socketFamilies, which no mechanism of the agent's keeps. */
static void metadata_gives_no_other_policy_instead(void **state)
{
	const struct agent_force strict = { .mechanism = MECHANISM_ENABLE };
	const struct oci_state container = { .id = "x", .metadata = "network-server" };
	struct agent_rules *rules = NULL;
	struct err err = { "" };

	assert_int_equal(agent_rules_load(NULL, "allow-all", &strict, &rules, &err), 0);
	assert_string_equal(match(rules, container, "listenerMetadata, unenforceable"), "refuse");
	agent_rules_free(rules);
	assert_int_equal(agent_rules_load(NULL, "allow-all", &lenient, &rules, &err), 0);
	assert_string_equal(match(rules, container, "listenerMetadata"), "network-server");
	agent_rules_free(rules);
}

/* A file that is there must not be had by naming it from outside. */
static void metadata_is_no_path(void **state)
{
	struct oci_state container = { .id = "x" };
	struct agent_rules *rules = NULL;
	struct err err = { "" };

	snprintf(container.metadata, sizeof container.metadata, "%s", first);
	assert_int_equal(agent_rules_load(NULL, "refuse", &lenient, &rules, &err), 0);
	assert_string_equal(match(rules, container, "default"), "refuse");
	agent_rules_free(rules);
}

static void empty_file_takes_the_fallback(void **state)
{
	struct agent_rules *rules = read_rules("# nothing yet\n");

	assert_string_equal(match(rules, (struct oci_state){ .id = "x" }, "default"), "allow-all");
	agent_rules_free(rules);
}

static void rewrite_first(const char *more)
{
	FILE *file = fopen(first, "w");

	assert_non_null(file);
	fprintf(file, "ops: [NOP, SOCKET]\n%s\n", more);
	fclose(file);
}

static void unenforceable_fields_make_a_policy_unusable(void **state)
{
	const struct agent_force strict = { .mechanism = MECHANISM_ENABLE };
	struct agent_rules *rules = NULL;
	struct err err = { "" };

	rewrite_first("socketFamilies: [INET]");
	assert_int_equal(agent_rules_load(NULL, first, &strict, &rules, &err), -EPERM);
	assert_non_null(strstr(err.text, "--allow-unenforced"));
	assert_int_equal(agent_rules_load(NULL, first, &lenient, &rules, &err), 0);
	agent_rules_free(rules);
}

/* They are set for who asks; a field that was accepted as not enforced is left alone, so that all may ask. */
static void limits_of_processes_are_kept_unless_accepted(void **state)
{
	static const struct {
		bool accepted;
		uint64_t bytes;
		uint32_t files;
	} cases[] = { { false, 4096, 7 }, { true, UINT64_MAX, POLICY_NO_LIMIT } };

	rewrite_first("registeredBufferBytes: 4096\nregisteredFiles: 7");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct agent_force force = { .mechanism = MECHANISM_ENABLE,
						   .accepted = { [POLICY_BUFFER_BYTES] = cases[i].accepted,
								 [POLICY_REGISTERED_FILES] = cases[i].accepted } };
		const struct oci_state container = { .id = "x" };
		struct agent_rules *rules = NULL;
		char why[AGENT_WHY_BYTES];
		struct policy policy;
		struct err err = { "" };

		assert_int_equal(agent_rules_load(NULL, first, &force, &rules, &err), 0);
		assert_int_equal(agent_rules_match(rules, &container, &policy, why), 0);
		assert_true(policy.buffer_bytes == cases[i].bytes);
		assert_int_equal(policy.registered_files, cases[i].files);
		agent_rules_free(rules);
	}
}

static void errors_have_places(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "default: [1]\n", "rules.yaml:1:10: expected a policy" },
		{ "default: no-such\n", "rules.yaml:1" },
		{ "a: b\n", "rules.yaml:1:1: expected one of default, rules" },
		{ "default: allow-all\ndefault: allow-all\n", "rules.yaml:2:1: this is said twice" },
		{ "rules: 7\n", "rules.yaml:1:8: expected a list" },
		{ "rules:\n  - 7\n", "rules.yaml:2:5: expected a rule" },
		{ "rules:\n  - policy: allow-all\n", "rules.yaml:2:5: expected metadata" },
		{ "rules:\n  - id: x\n", "rules.yaml:2:5: expected \"policy\"" },
		{ "rules:\n  - id: x\n    polciy: allow-all\n", "rules.yaml:3:5: expected one of" },
		{ "rules:\n  - id: ''\n    policy: allow-all\n", "rules.yaml:2:9: expected a pattern" },
		{ "rules: [\n", "rules.yaml:2:1:" },
		{ "[]\n", "rules.yaml:1:1: expected \"default\"" },
		{ "default: allow-all\nrules: &a [*a]\n", "rules.yaml:2:" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct agent_rules *rules = NULL;
		struct err err = { "" };

		assert_int_equal(agent_rules_parse(cases[i].text, strlen(cases[i].text), "rules.yaml", "allow-all",
						   &lenient, &rules, &err) < 0,
				 1);
		assert_null(rules);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.text, cases[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_that_fits_wins),
		cmocka_unit_test(annotation_is_no_name),
		cmocka_unit_test(no_file_goes_by_metadata),
		cmocka_unit_test(empty_file_takes_the_fallback),
		cmocka_unit_test(errors_have_places),
		cmocka_unit_test(metadata_is_no_path),
		cmocka_unit_test(metadata_gives_no_other_policy_instead),
		cmocka_unit_test(unenforceable_fields_make_a_policy_unusable),
		cmocka_unit_test(limits_of_processes_are_kept_unless_accepted),
	};

	return cmocka_run_group_tests(tests, write_policies, remove_policies);
}
