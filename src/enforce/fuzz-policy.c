/* SPDX-License-Identifier: MIT */
/* Bytes through the parser. What it takes is written, and must be read as the same again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "enforce/policy-check.h"
#include "enforce/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *comment(void *context, enum policy_field field, int member)
{
	return "why: [it, was] # seen";
}

static void again(const struct policy *policy, policy_comment *why)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	struct policy read;
	struct err err;

	if (!file)
		return;
	policy_write(policy, file, why, NULL);
	if (fclose(file) != 0 || policy_parse(text, size, "again", &read, &err) != 0 || !policy_equal(policy, &read) ||
	    strcmp(policy->name, read.name) != 0)
		abort();
	free(text);
}

static void swallow(void *context, enum policy_field field, const char *text)
{
	if (field > POLICY_N_FIELDS || !*text)
		abort();
}

static void heed(void *context, const struct policy_remark *remark)
{
	if (!*remark->text)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct policy all = policy_allow_all();
	struct policy policy = { .answer = 99 };
	struct err err = { "" };
	int r = policy_parse((const char *)data, size, "fuzz", &policy, &err);

	if ((r != 0 && !*err.text) || (r != 0 && policy.answer != 99))
		abort();
	if (r != 0)
		return 0;
	again(&policy, NULL);
	again(&policy, comment);
	if (policy_diff(&policy, &policy, swallow, NULL) != 0)
		abort();
	if (!policy_diff(&all, &policy, swallow, NULL) != policy_equal(&all, &policy))
		abort();
	policy_check(&policy, heed, NULL);
	return 0;
}
