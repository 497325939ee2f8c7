/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "enforce/oci.h"

static const char whole[] =
	"{\"ociVersion\":\"1.0.2\",\"fds\":[\"other\",\"seccompFd\"],\"pid\":4422,\"metadata\":\"database\","
	"\"state\":{\"id\":\"c1\",\"status\":\"creating\",\"pid\":4422,\"bundle\":\"/b/c1\","
	"\"annotations\":{\"a\":\"b\",\"io.circlip.policy\":\"storage-only\"}}}\n";

static int parse(const char *text, struct oci_state *ret_state, struct err *err)
{
	return oci_parse(text, strlen(text), ret_state, err);
}

static void reads_what_runc_sends(void **state)
{
	struct oci_state got;
	struct err err = { "" };

	assert_int_equal(parse(whole, &got, &err), 0);
	assert_string_equal(got.id, "c1");
	assert_string_equal(got.metadata, "database");
	assert_string_equal(got.policy, "storage-only");
	assert_string_equal(got.bundle, "/b/c1");
	assert_int_equal(got.status, OCI_CREATING);
	assert_int_equal(got.pid, 4422);
	assert_int_equal(got.n_fds, 2);
	assert_int_equal(got.seccomp_fd, 1);
}

/* Each prefix must ask for more: a stream may be cut anywhere. */
static void asks_for_more(void **state)
{
	struct oci_state got;
	struct err err = { "" };
	const char *end = whole;

	while ((end = strchr(end, '}')) && end[2]) {
		end++;
		assert_int_equal(oci_parse(whole, (size_t)(end - whole), &got, &err), OCI_INCOMPLETE);
	}
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "[]", "no JSON object" },
		{ "{\"fds\":[\"seccompFd\"]} x", "no JSON" },
		{ "{\"fds\":[\"seccompFd\"],\"fds\":[]}", "uplicate" },
		{ "{\"fds\":[]}", "0 times" },
		{ "{\"fds\":[\"seccompFd\",\"seccompFd\"]}", "2 times" },
		{ "{\"fds\":[1]}", "no string" },
		{ "{\"fds\":{}}", "no array" },
		{ "{\"fds\":[\"seccompFd\"],\"pid\":-1}", "pid" },
		{ "{\"fds\":[\"seccompFd\"],\"pid\":99999999999}", "pid" },
		{ "{\"fds\":[\"seccompFd\"]}", "\"state\"" },
		{ "{\"fds\":[\"seccompFd\"],\"state\":{}}", "missing" },
		{ "{\"fds\":[\"seccompFd\"],\"state\":{\"id\":7}}", "no string" },
		{ "{\"fds\":[\"seccompFd\"],\"state\":{\"id\":\"\",\"status\":\"running\"}}", "empty" },
		{ "{\"fds\":[\"seccompFd\"],\"state\":{\"id\":\"../x\",\"status\":\"running\"}}", "slashes" },
		{ "{\"fds\":[\"seccompFd\"],\"state\":{\"id\":\"a\\nb\",\"status\":\"running\"}}", "control" },
		{ "{\"fds\":[\"seccompFd\"],\"state\":{\"id\":\"a\\u0000b\",\"status\":\"running\"}}", "\\u0000" },
		{ "{\"fds\":[\"seccompFd\"],\"state\":{\"id\":\"a\",\"status\":\"paused\"}}", "none of" },
		{ "{\"fds\":[\"seccompFd\"],\"state\":{\"id\":\"a\",\"status\":\"running\",\"annotations\":[]}}",
		  "no object" },
		{ "{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}", "nests deeper" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct oci_state got = { .id = "untouched" };
		struct err err = { "" };

		assert_int_equal(parse(cases[i].text, &got, &err), -EINVAL);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.text, cases[i].says);
		assert_string_equal(got.id, "untouched");
	}
}

static void refuses_long_texts(void **state)
{
	char text[2048];
	struct oci_state got;
	struct err err = { "" };

	snprintf(text, sizeof text, "{\"fds\":[\"seccompFd\"],\"metadata\":\"%0300d\"}", 0);
	assert_int_equal(parse(text, &got, &err), -EINVAL);
	assert_non_null(strstr(err.text, "longer than 255"));
	assert_int_equal(oci_parse(text, OCI_MAX_BYTES + 1, &got, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_runc_sends),
		cmocka_unit_test(asks_for_more),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_long_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
