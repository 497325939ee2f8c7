/* SPDX-License-Identifier: MIT */
/* What policies mean, and what is said of those that mean nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "abi/uring.h"
#include "base/err.h"
#include "enforce/policy-check.h"
#include "enforce/policy.h"
#include "enforce/profiles.h"

static struct policy parse(const char *text)
{
	struct policy policy;
	struct err err = { "" };

	if (policy_parse(text, strlen(text), "p.yaml", &policy, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return policy;
}

static void assert_refused(const char *text, const char *expected)
{
	struct policy policy = { .name = "untouched" };
	struct err err = { "" };

	assert_int_equal(policy_parse(text, strlen(text), "p.yaml", &policy, &err), -EINVAL);
	assert_string_equal(policy.name, "untouched");
	if (!strstr(err.text, expected))
		fail_msg("%s: \"%s\" lacks \"%s\"", text, err.text, expected);
}

/* ---- meanings ---- */

static void test_what_is_not_said_is_denied(void **state)
{
	const struct policy policy = parse("ops: [READ]\n"), deny = policy_deny_all();

	assert_true(policy_allows_op(&policy, URING_OP_READ));
	assert_false(policy_allows_op(&policy, URING_OP_WRITE));
	assert_false(policy_allows_op(&policy, 200));
	assert_false(policy.sqpoll.allowed);
	assert_false(policy.personalities);
	assert_true(policy_allows_register(&policy, URING_REG_PROBE));
	assert_false(policy_allows_register(&policy, URING_REG_REGISTER_PERSONALITY));
	assert_false(policy_allows_register(&policy, URING_REG_RESIZE_RINGS));
	assert_int_equal(policy.setup_flags & URING_SETUP_NO_MMAP, 0);
	assert_int_equal(policy.sq_entries, POLICY_NO_LIMIT);
	assert_int_equal(policy.answer, POLICY_ANSWER_EPERM);
	assert_int_equal(policy.lines[POLICY_OPS], 1);
	assert_int_equal(policy.lines[POLICY_SQPOLL], 0);
	assert_string_equal(policy.name, "p");
	assert_string_equal(policy.file, "p.yaml");
	assert_int_equal(memcmp(deny.ops, (uint64_t[POLICY_OP_WORDS]){ 0 }, sizeof deny.ops), 0);
}

static void test_groups_and_signs(void **state)
{
	const struct policy policy = parse("ops: [net, timers, read, -SENDMSG, -net-serve, +ACCEPT]\n");

	assert_true(policy_allows_op(&policy, URING_OP_SEND));
	assert_true(policy_allows_op(&policy, URING_OP_TIMEOUT));
	assert_true(policy_allows_op(&policy, URING_OP_READ));
	assert_true(policy_allows_op(&policy, URING_OP_ACCEPT));
	assert_false(policy_allows_op(&policy, URING_OP_SENDMSG));
	assert_false(policy_allows_op(&policy, URING_OP_SOCKET)); /* net-serve takes what it has in common with net */
	assert_false(policy_allows_op(&policy, URING_OP_SEND_ZC));
}

static void test_extending(void **state)
{
	const struct policy all = policy_allow_all();
	const struct policy less = parse("extends: allow-all\nops: [-OPENAT, -OPENAT2]\n");
	const struct policy other = parse("extends: allow-all\nops: [READ]\n");

	assert_true(policy_allows_op(&less, URING_OP_READ));
	assert_true(policy_allows_op(&less, 200));
	assert_false(policy_allows_op(&less, URING_OP_OPENAT));
	assert_int_equal(less.lines[POLICY_OPS], 2);
	assert_int_equal(less.register_ops, all.register_ops);
	assert_true(policy_allows_op(&other, URING_OP_READ));
	assert_false(policy_allows_op(&other, URING_OP_WRITE)); /* a list without a sign begins anew */
	assert_true(policy_equal(&all, &(struct policy[]){ parse("extends: allow-all") }[0]));
}

/* The shape that was drafted for OCI's config.json: with "allow", ops are those denied. */
static void test_oci_draft(void **state)
{
	const struct policy deny = parse("{\"defaultAction\": \"deny\",\n\t\"ops\": [\"IORING_OP_READ\", "
					 "\"IORING_OP_SOCKET\"],\n \"socketFamilies\": [\"AF_UNIX\", \"AF_INET6\"],\n"
					 "\"deniedSqeFlags\": [\"IOSQE_BUFFER_SELECT\", \"IOSQE_FIXED_FILE\"]}");
	const struct policy allow = parse("{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"ops\": [\"IORING_OP_OPENAT\"]}");

	assert_true(policy_allows_op(&deny, URING_OP_SOCKET));
	assert_false(policy_allows_op(&deny, URING_OP_OPENAT));
	assert_int_equal(deny.socket_families, 1ull << AF_UNIX | 1ull << AF_INET6);
	assert_int_equal(deny.sqe_flags, 0xff & ~(URING_SQE_BUFFER_SELECT | URING_SQE_FIXED_FILE));
	assert_int_equal(deny.lines[POLICY_SQE_FLAGS], 4);
	assert_false(policy_allows_op(&allow, URING_OP_OPENAT));
	assert_true(policy_allows_op(&allow, URING_OP_READ));
	assert_true(allow.sqpoll.allowed);
}

static void test_numbers(void **state)
{
	const struct policy policy =
		parse("sqEntries: 4096\ncqEntries: unlimited\nregisteredBufferBytes: 64M\nregisteredFiles: 0\n"
		      "workers: { bounded: 4 }\nsqpoll: { perContainer: 1, perCpu: true, maxIdleMs: 1000 }\n"
		      "personalities: true\nanswer: ENOSYS\nname: of-it.1\n");

	assert_int_equal(policy.sq_entries, 4096);
	assert_int_equal(policy.cq_entries, POLICY_NO_LIMIT);
	assert_int_equal(policy.buffer_bytes, 64u << 20);
	assert_int_equal(policy.registered_files, 0);
	assert_int_equal(policy.workers_bounded, 4);
	assert_int_equal(policy.workers_unbounded, POLICY_NO_LIMIT);
	assert_true(policy.sqpoll.allowed && policy.sqpoll.per_cpu);
	assert_int_equal(policy.sqpoll.per_container, 1);
	assert_int_equal(policy.sqpoll.max_idle_ms, 1000);
	assert_true(policy_allows_register(&policy, URING_REG_REGISTER_PERSONALITY));
	assert_int_equal(policy.answer, POLICY_ANSWER_ENOSYS);
	assert_string_equal(policy.name, "of-it.1");
	assert_int_equal(policy.lines[POLICY_WORKERS_BOUNDED], 5);
}

static void test_restricts(void **state)
{
	const struct policy all = policy_allow_all(), deny = policy_deny_all();
	const struct policy unix_only = parse("defaultAction: allow\nsocketFamilies: [AF_UNIX]");
	const struct policy no_sockets = parse("ops: [READ]\nsocketFamilies: [AF_UNIX]");

	for (int field = 0; field < POLICY_N_FIELDS; field++)
		if (policy_restricts(&all, field))
			fail_msg("%s", policy_field_name(field));
	assert_true(policy_restricts(&deny, POLICY_OPS));
	assert_true(policy_restricts(&deny, POLICY_SQPOLL));
	assert_false(policy_restricts(&deny, POLICY_SQ_ENTRIES));
	assert_false(policy_restricts(&deny, POLICY_SQE_FLAGS));
	assert_true(policy_restricts(&unix_only, POLICY_SOCKET_FAMILIES));
	assert_false(policy_restricts(&no_sockets, POLICY_SOCKET_FAMILIES));
	assert_true(policy_restricts(&(struct policy[]){ parse("sqEntries: 64") }[0], POLICY_SQ_ENTRIES));
	assert_false(policy_restricts(&(struct policy[]){ parse("sqEntries: 32768") }[0], POLICY_SQ_ENTRIES));
}

static void test_fields(void **state)
{
	for (int field = 0; field < POLICY_N_FIELDS; field++)
		assert_int_equal(policy_field_find(policy_field_name(field)), field);
	assert_int_equal(policy_field_find("SQENTRIES"), POLICY_SQ_ENTRIES);
	assert_int_equal(policy_field_find("nothing"), -ENOENT);
}

static void test_profiles(void **state)
{
	struct policy policy;
	struct err err = { "" };

	for (const struct profiles_text *profile = profiles_texts; profile->name; profile++) {
		if (policy_find(profile->name, &policy, &err) != 0)
			fail_msg("%s", err.text);
		assert_string_equal(policy.name, profile->name);
	}
	assert_int_equal(policy_find("allow-al", &policy, &err), -ENOENT);
	assert_non_null(strstr(err.text, "\"allow-all\""));
	assert_int_equal(policy_find("./no-such-file", &policy, &err), -ENOENT);
	assert_int_equal(policy_find("/dev/null", &policy, &err), -EINVAL);
}

/* ---- messages ---- */

static const struct {
	const char *text, *expected;
} refused[] = {
	{ "", "p.yaml:1:1: expected a policy (ops: [...]), not an empty file" },
	{ "ops\n", "p.yaml:1:1: expected a policy (ops: [...]), not a word" },
	{ "- ops\n", "p.yaml:1:1: expected a policy (ops: [...]), not a list" },
	{ "ops: [READ]\nopps: [WRITE]\n", "p.yaml:2:1: there is no \"opps\"; did you mean \"ops\"?" },
	{ "ops: [READ]\nsqe_flags: []\n", "p.yaml:2:1: there is no \"sqe_flags\"; did you mean \"sqeFlags\"?" },
	{ "xyzzy: 1\n", "p.yaml:1:1: there is no \"xyzzy\"; expected one of extends, defaultAction" },
	{ "ops: [READ]\n\nops: [WRITE]\n", "p.yaml:3:1: \"ops\" was given before, in line 1" },
	{ "ops: [READ,\n      RAED]\n",
	  "p.yaml:2:7: ops: expected an operation, or a group of them: there is no \"RAED\"; did you mean \"READ\"?" },
	{ "ops:\n  - READ\n  - tiemrs\n", "p.yaml:3:5: ops: expected an operation, or a group of them: there is no "
					  "\"tiemrs\"; did you mean \"timers\"?" },
	{ "ops: [READ, {a: b}]\n", "p.yaml:1:13: ops: expected a name, not a mapping" },
	{ "ops: {READ: true}\n", "p.yaml:1:6: ops: expected a list of names, not a mapping" },
	{ "ops:\nanswer: EPERM\n", "p.yaml:1:5: ops: expected a list of names, not nothing" },
	{ "ops: [\"READ\\0\"]\n", "there is no \"READ?\"" },
	{ "sqEntries: 0\n", "p.yaml:1:12: sqEntries: expected a number from 1 to 32768, or \"unlimited\", not \"0\"" },
	{ "sqEntries: 64K\n", "p.yaml:1:12: sqEntries: expected a number" },
	{ "sqEntries: -1\n", "not \"-1\"" },
	{ "registeredFiles: 99999999999999999999999\n", "p.yaml:1:18: registeredFiles: expected a number from 0 on" },
	{ "registeredBufferBytes: 64MB\n", "expected a number from 0 on (K, M and G may follow) or \"unlimited\"" },
	{ "registeredBufferBytes: 99999999999999G\n", "registeredBufferBytes: expected" },
	{ "socketFamilies: [AF_INTE]\n", "did you mean \"AF_INET\"?" },
	{ "setupFlags: [SQPOLL]\n", "p.yaml:1:14: setupFlags: SQPOLL is not allowed here but by \"sqpoll: allowed\"" },
	{ "registerOps: [IORING_REGISTER_PERSONALITY]\n", "by \"personalities: true\"" },
	{ "workers: 4\n", "p.yaml:1:10: workers: expected { bounded: NUMBER, unbounded: NUMBER }, not a word" },
	{ "workers:\n  bounded: 4\n  unbonded: 4\n", "p.yaml:3:3: workers: there is no \"unbonded\"; did you mean "
						     "\"unbounded\"?" },
	{ "sqpoll: maybe\n", "p.yaml:1:9: sqpoll: expected true or false, not \"maybe\"" },
	{ "sqpoll: { maxIdleMs: soon }\n", "p.yaml:1:22: maxIdleMs: expected a number from 0 on" },
	{ "answer: EINVAL\n", "p.yaml:1:9: answer: expected EPERM or ENOSYS, not \"EINVAL\"" },
	{ "defaultAction: perhaps\n", "expected allow or deny, not \"perhaps\"" },
	{ "extends: defualt-policy\n", "p.yaml:1:10: extends: there is no profile \"defualt-policy\"" },
	{ "extends: ./none.yaml\n", "extends: cannot read the policy ./none.yaml: No such file" },
	{ "extends: allow-all\ndefaultAction: deny\n", "p.yaml:2:1: \"extends\" says already what holds" },
	{ "sqeFlags: [LINK]\nrequiredSqeFlags: [ASYNC]\n",
	  "p.yaml:2:19: requiredSqeFlags: ASYNC is required here, but sqeFlags do not allow it" },
	{ "name: \"a b\"\n", "p.yaml:1:7: name: expected letters, digits" },
	{ "name: \"\\e[31m\"\n", "not \"?[31m\"" },
	{ "ops: [READ]\n---\nops: [WRITE]\n", "p.yaml:3:1: expected one policy in a file; this is the second" },
	{ "ops: [READ\nsqpoll: false\n",
	  "p.yaml:2:7: while parsing a flow sequence: did not find expected ',' or ']'" },
	{ "ops:\n\t- READ\n",
	  "p.yaml:2:1: while scanning for the next token: found character that cannot start any token" },
	{ "ops: *nowhere\n", "p.yaml:1:6: found undefined alias" },
	{ "ops: [READ]\nname: \xff\n", "p.yaml:2:7: " },
	{ "? [a, b]\n: c\n", "p.yaml:1:3: expected a name, not a list" },
	{ "ops: &x [READ, *x]\n", "p.yaml:1:6: ops: expected a name, not a list" },
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_refused(refused[i].text, refused[i].expected);
}

/* ---- text and back ---- */

static const char *why(void *context, enum policy_field field, int member)
{
	return member % 2 ? "seen: [once] # or twice" : NULL;
}

static void assert_same_again(const struct policy *policy, policy_comment *comment)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	struct policy again;
	struct err err = { "" };

	policy_write(policy, file, comment, NULL);
	fclose(file);
	if (policy_parse(text, size, "again", &again, &err) != 0 || !policy_equal(policy, &again))
		fail_msg("%s\n%s", err.text, text);
	assert_string_equal(policy->name, again.name);
	free(text);
}

static const char *const texts[] = {
	"ops: [READ]",
	"defaultAction: allow",
	"defaultAction: allow\nops: [READ, net]\ndeniedSqeFlags: [ASYNC]\nregisterOps: [all, -PROBE]\nsetupFlags: "
	"[-NO_MMAP]\n"
	"personalities: false\n",
	"ops: none\nsqeFlags: none\nregisterOps: none\nsetupFlags: []\nsocketFamilies: none",
	"ops: [all, -200]\nsetupFlags: [bit-31]\nsqeFlags: [bit-7, LINK]\nrequiredSqeFlags: [LINK]\nsocketFamilies: "
	"[60, AF_INET]",
	"ops: [200, 65]\nregisterOps: [63]\nname: \"true\"\nanswer: ENOSYS",
	"sqpoll: { perContainer: 2, perCpu: true, maxIdleMs: 10 }\nregisteredBufferBytes: 65536K\nworkers: { "
	"unbounded: 3 }",
	"sqpoll: true\nregisteredBufferBytes: 1000\nregisteredFiles: 0\nringsPerProcess: 1\nringsPerContainer: 9",
	"sqpoll: { allowed: false, maxIdleMs: 3 }\npersonalities: true\nregisteredBufferBytes: 18446744073709551614",
};

static void test_text_and_back(void **state)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		const struct policy policy = parse(texts[i]);

		assert_same_again(&policy, NULL);
		assert_same_again(&policy, why);
	}
	for (size_t i = 0; policy_profile(i); i++) {
		struct policy policy;

		assert_int_equal(policy_find(policy_profile(i), &policy, NULL), 0);
		assert_same_again(&policy, NULL);
	}
}

/* Every single bit, each alone. */
static void test_each_bit_survives(void **state)
{
	for (unsigned int bit = 0; bit < POLICY_MAX_OPS; bit++) {
		struct policy policy = policy_deny_all();

		strcpy(policy.name, "bit");
		policy.ops[bit / 64] = UINT64_C(1) << bit % 64;
		policy.socket_families = UINT64_C(1) << bit % 64;
		policy.sqe_flags = (uint8_t)(1u << bit % 8);
		assert_same_again(&policy, NULL);
	}
}

static void add_line(void *context, enum policy_field field, const char *text)
{
	strcat(context, text);
	strcat(context, ";");
}

static void test_differences(void **state)
{
	char all[512] = "";
	const struct policy from = parse("ops: [READ, 200]\nsqEntries: 64\nanswer: EPERM");
	const struct policy to = parse("ops: [WRITE]\nsqpoll: { maxIdleMs: 5 }\nanswer: ENOSYS\npersonalities: true");

	assert_int_equal(policy_diff(&from, &to, add_line, all), 10);
	assert_string_equal(all, "-READ;+WRITE;-1 that have no name yet;+REGISTER_PERSONALITY;"
				 "+UNREGISTER_PERSONALITY;64 -> unlimited;denied -> allowed;maxIdleMs: unlimited -> 5;"
				 "false -> true;EPERM -> ENOSYS;");
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
			const struct policy a = parse(texts[i]), b = parse(texts[j]);
			char ignored[4096] = "";

			assert_int_equal(policy_diff(&a, &b, add_line, ignored) == 0, policy_equal(&a, &b));
		}
}

/* ---- doubts ---- */

static void add_remark(void *context, const struct policy_remark *remark)
{
	strcat(context, remark->note ? "note: " : "warning: ");
	strcat(context, remark->text);
	strcat(context, "\n");
}

static const struct {
	const char *text, *doubt; /* NULL = none but notes */
} doubtful[] = {
	{ "ops: [READ]", NULL },
	{ "ops: [READ, net, timers, poll, cancel, -LINK_TIMEOUT]\nsocketFamilies: [ip]", NULL },
	{ "ops: []", "warning: no operation is allowed at all" },
	{ "ops: [READ_FIXED]\nregisterOps: [PROBE]", "warning: READ_FIXED is allowed without REGISTER_BUFFERS, "
						     "BUFFERS2 or CLONE_BUFFERS in registerOps: no buffer" },
	{ "ops: [READ]\nregisterOps: [fixed-files]", "without PROBE in registerOps: liburing" },
	{ "ops: [LINK_TIMEOUT]\ndeniedSqeFlags: [links]", "warning: LINK_TIMEOUT is allowed without LINK or HARDLINK" },
	{ "ops: [POLL_ADD]", "warning: POLL_ADD is allowed without POLL_REMOVE or ASYNC_CANCEL in ops" },
	{ "ops: [ACCEPT]", "ACCEPT is allowed without ASYNC_CANCEL in ops: it may wait for ever" },
	{ "ops: [READ_MULTISHOT, cancel]\ndeniedSqeFlags: [BUFFER_SELECT]", "without BUFFER_SELECT in sqeFlags" },
	{ "ops: [READ]\nsetupFlags: [DEFER_TASKRUN]", "without SINGLE_ISSUER in setupFlags" },
	{ "ops: [READ]\nregisterOps: all\ncqEntries: 64", "RESIZE_RINGS would undo" },
	{ "ops: [READ]\nregisterOps: all\nworkers: { bounded: 4 }", "IOWQ_MAX_WORKERS would undo" },
	{ "ops: [READ]\nregisterOps: all", "SEND_MSG_RING does what MSG_RING does" },
	{ "ops: [READ]\nsqEntries: 64\ncqEntries: 32", "fewer than sqEntries" },
	{ "ops: [SOCKET]", "note: SOCKET may make sockets of any family" },
	{ "ops: [STATX]", "note: STATX is allowed without EPOLL_CTL in ops: libuv" },
	{ "ops: [READ]\nsqpoll: true", "note: each ring with SQPOLL" },
};

static void test_doubts(void **state)
{
	for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; i++) {
		const struct policy policy = parse(doubtful[i].text);
		char all[4096] = "";
		size_t n = policy_check(&policy, add_remark, all);

		if (doubtful[i].doubt ? !strstr(all, doubtful[i].doubt) : n != 0)
			fail_msg("%s: %s", doubtful[i].text, all);
		assert_int_equal(n != 0, strstr(all, "warning: ") != NULL);
	}
}

/* What is shipped is beyond doubt. */
static void test_profiles_are_sound(void **state)
{
	for (size_t i = 0; policy_profile(i); i++) {
		struct policy policy;
		char all[4096] = "";

		assert_int_equal(policy_find(policy_profile(i), &policy, NULL), 0);
		if (policy_check(&policy, add_remark, all))
			fail_msg("%s: %s", policy_profile(i), all);
	}
}

/* ---- files ---- */

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* Files are found beside the one that names them, and a circle is noticed. */
static void test_files(void **state)
{
	char folder[] = "/tmp/circlip-policy-XXXXXX", path[64], other[64];
	struct policy policy;
	struct err err = { "" };

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/one.yaml", folder);
	snprintf(other, sizeof other, "%s/two.yaml", folder);
	write_file(path, "extends: two.yaml\nops: [+WRITE]\n");
	write_file(other, "ops: [READ]\nsqEntries: 8\n");
	assert_int_equal(policy_find(path, &policy, &err), 0);
	assert_true(policy_allows_op(&policy, URING_OP_READ) && policy_allows_op(&policy, URING_OP_WRITE));
	assert_int_equal(policy.sq_entries, 8);
	assert_int_equal(policy.lines[POLICY_SQ_ENTRIES], 0); /* of another file */
	assert_string_equal(policy.name, "one");
	assert_string_equal(policy.file, path);
	write_file(other, "extends: one.yaml\n");
	assert_int_equal(policy_find(path, &policy, &err), -EINVAL);
	assert_non_null(strstr(err.text, "two.yaml:1:10: extends: "));
	remove(path);
	remove(other);
	remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_said_is_denied),
		cmocka_unit_test(test_groups_and_signs),
		cmocka_unit_test(test_extending),
		cmocka_unit_test(test_oci_draft),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_restricts),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_text_and_back),
		cmocka_unit_test(test_each_bit_survives),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_profiles_are_sound),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
