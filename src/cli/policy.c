/* SPDX-License-Identifier: MIT */
/* circlip policy: policies as they are written, read and compared. */
#include "cli/policy.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "abi/op.h"
#include "base/err.h"
#include "cli/print.h"
#include "enforce/groups.h"
#include "enforce/profiles.h"
#include "report/common.h"

enum { NAME_WIDTH = 18 };

const char *policy_profile_name(size_t i)
{
	return policy_profile(i);
}

int policy_take(const char *verb, const char *name_or_path, struct policy *ret_policy)
{
	struct err err = { "" };
	int r = policy_find(name_or_path, ret_policy, &err);

	if (r == 0)
		return COMMAND_OK;
	return command_fail(verb, r == -EINVAL ? COMMAND_FINDINGS : COMMAND_FAILED, "%s", err.text);
}

/* ---- show ---- */

struct show_options {
	unsigned int format; /* of format_name */
	bool source;
};

COMMAND_NAMES(format_name, "yaml", "json", "oci");

/* What a profile says of itself in its first comment behind the licence. */
static void put_profile(const struct profiles_text *profile)
{
	const char *line = strchr(profile->text, '\n');
	char text[256];
	size_t n;

	line = line ? line + 1 : "";
	line += strspn(line, "# ");
	n = strcspn(line, "\n");
	snprintf(text, sizeof text, "%.*s", (int)(n < sizeof text ? n : sizeof text - 1), line);
	print_item(stdout, profile->name, text, NAME_WIDTH);
}

static void put_profiles(void)
{
	for (const struct profiles_text *profile = profiles_texts; profile->name; profile++)
		put_profile(profile);
}

static int put_source(const char *name)
{
	for (const struct profiles_text *profile = profiles_texts; profile->name; profile++)
		if (strcmp(profile->name, name) == 0)
			return fputs(profile->text, stdout), COMMAND_OK;
	return command_fail("policy show", COMMAND_USAGE,
			    "--source prints curated profiles; \"%s\" is none (circlip policy show lists them)", name);
}

/* As in YAML: where those without a name are allowed, all but some are. */
static json_t *names_of(enum groups_set set, const uint64_t *words)
{
	json_t *list = json_array();
	const unsigned int last = groups_size(set) - 1;
	bool all = words[last / 64] >> last % 64 & 1;

	if (all)
		json_array_append_new(list, json_string("all"));
	for (unsigned int member = 0; member <= last; member++) {
		char buf[GROUPS_NAME_BYTES];

		if ((words[member / 64] >> member % 64 & 1) != all)
			json_array_append_new(list,
					      json_sprintf("%s%s", all ? "-" : "", groups_name(set, member, buf)));
	}
	return list;
}

static void set_names(json_t *object, const char *key, enum groups_set set, uint64_t bits)
{
	json_object_set_new(object, key, names_of(set, &bits));
}

static void set_limit(json_t *object, const char *key, uint64_t limit)
{
	if (limit != POLICY_NO_LIMIT && limit != UINT64_MAX)
		json_object_set_new(object, key, json_integer((json_int_t)limit));
}

static json_t *sqpoll_object(const struct policy *policy)
{
	json_t *object = json_object();

	json_object_set_new(object, "allowed", json_boolean(policy->sqpoll.allowed));
	set_limit(object, "perContainer", policy->sqpoll.per_container);
	json_object_set_new(object, "perCpu", json_boolean(policy->sqpoll.per_cpu));
	set_limit(object, "maxIdleMs", policy->sqpoll.max_idle_ms);
	return object;
}

static json_t *workers_object(const struct policy *policy)
{
	json_t *object = json_object();

	set_limit(object, "bounded", policy->workers_bounded);
	set_limit(object, "unbounded", policy->workers_unbounded);
	return object;
}

/* Reads as the same policy: JSON is YAML. */
static json_t *policy_object(const struct policy *p)
{
	static const uint64_t credentials =
		UINT64_C(1) << URING_REG_REGISTER_PERSONALITY | UINT64_C(1) << URING_REG_UNREGISTER_PERSONALITY;
	json_t *object = json_object();

	common_set(object, "name", p->name);
	json_object_set_new(object, "ops", names_of(GROUPS_OPS, p->ops));
	set_names(object, "sqeFlags", GROUPS_SQE_FLAGS, p->sqe_flags);
	set_names(object, "requiredSqeFlags", GROUPS_SQE_FLAGS, p->required_sqe_flags);
	set_names(object, "registerOps", GROUPS_REGISTER_OPS, p->register_ops & ~credentials);
	set_names(object, "setupFlags", GROUPS_SETUP_FLAGS, p->setup_flags);
	set_names(object, "socketFamilies", GROUPS_FAMILIES, p->socket_families);
	set_limit(object, "sqEntries", p->sq_entries);
	set_limit(object, "cqEntries", p->cq_entries);
	set_limit(object, "ringsPerProcess", p->rings_per_process);
	set_limit(object, "ringsPerContainer", p->rings_per_container);
	set_limit(object, "registeredBufferBytes", p->buffer_bytes);
	set_limit(object, "registeredFiles", p->registered_files);
	json_object_set_new(object, "workers", workers_object(p));
	json_object_set_new(object, "sqpoll", sqpoll_object(p));
	json_object_set_new(object, "personalities", json_boolean(p->personalities));
	common_set(object, "answer", p->answer == POLICY_ANSWER_ENOSYS ? "ENOSYS" : "EPERM");
	return object;
}

static json_t *known_ops(const struct policy *p)
{
	json_t *list = json_array();

	for (unsigned int op = 0; op < URING_OP_LAST; op++)
		if (policy_allows_op(p, op))
			json_array_append_new(list, json_string(abi_op(op)->name));
	return list;
}

/* "READ" as the draft writes it: IORING_OP_READ. */
static json_t *prefixed(json_t *list, const char *prefix)
{
	json_t *out = json_array(), *item;
	size_t i;

	json_array_foreach(list, i, item)
		json_array_append_new(out, json_sprintf("%s%s", prefix, json_string_value(item)));
	json_decref(list);
	return out;
}

/* The kernel's header says IO_LINK where people say LINK. */
static json_t *denied_flags(const struct policy *p)
{
	static const char *const kernel[] = { "IOSQE_FIXED_FILE",      "IOSQE_IO_DRAIN", "IOSQE_IO_LINK",
					      "IOSQE_IO_HARDLINK",     "IOSQE_ASYNC",    "IOSQE_BUFFER_SELECT",
					      "IOSQE_CQE_SKIP_SUCCESS" };
	json_t *list = json_array();

	for (unsigned int bit = 0; bit < sizeof kernel / sizeof *kernel; bit++)
		if (!(p->sqe_flags >> bit & 1))
			json_array_append_new(list, json_string(kernel[bit]));
	return list;
}

/* The part of a policy that the draft of OCI's linux.ioUring can say. */
static json_t *oci_object(const struct policy *p)
{
	json_t *object = json_object();

	json_object_set_new(object, "defaultAction", json_string("deny"));
	json_object_set_new(object, "ops", prefixed(known_ops(p), "IORING_OP_"));
	if (policy_restricts(p, POLICY_SOCKET_FAMILIES))
		set_names(object, "socketFamilies", GROUPS_FAMILIES, p->socket_families);
	json_object_set_new(object, "deniedSqeFlags", denied_flags(p));
	return object;
}

static int show_run(void *options, char **words, size_t n_words)
{
	static json_t *(*const objects[])(const struct policy *) = { NULL, policy_object, oci_object };
	const struct show_options *o = options;
	struct policy policy;
	json_t *object;
	int status;

	if (!n_words)
		return put_profiles(), COMMAND_OK;
	if (o->source)
		return put_source(words[0]);
	status = policy_take("policy show", words[0], &policy);
	if (status)
		return status;
	if (!o->format)
		return policy_write(&policy, stdout, NULL, NULL), COMMAND_OK;
	object = objects[o->format](&policy);
	json_dumpf(object, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(object);
	return COMMAND_OK;
}

static const struct command_option show_rows[] = {
	{ "format", NULL,
	  "How to write it: yaml reads as the same policy; oci is the part that the draft of OCI's linux.ioUring can "
	  "say.",
	  COMMAND_CHOICE, offsetof(struct show_options, format), format_name },
	{ "source", NULL, "Print a curated profile as it was written, with the reasons in its comments.", COMMAND_FLAG,
	  offsetof(struct show_options, source) },
	{ NULL },
};

static const struct command show_command = {
	.name = "policy show",
	.words = "[POLICY]",
	.summary =
		"Print all that a policy says, with what it extends and what holds by default; or list the profiles.",
	.about = "POLICY is a curated profile's name, or a file's where it contains a '/' or a '.'.",
	.options = show_rows,
	.size = sizeof(struct show_options),
	.max_words = 1,
	.names = policy_profile_name,
	.run = show_run,
};

/* ---- diff ---- */

static void put_difference(void *context, enum policy_field field, const char *text)
{
	printf("%-24s %s\n", field < POLICY_N_FIELDS ? policy_field_name(field) : "answer", text);
}

static int diff_run(void *options, char **words, size_t n_words)
{
	struct policy policies[2];
	int status = COMMAND_OK;

	for (size_t i = 0; i < 2 && !status; i++)
		status = policy_take("policy diff", words[i], &policies[i]);
	if (status)
		return COMMAND_FAILED;
	return policy_diff(&policies[0], &policies[1], put_difference, NULL) ? COMMAND_FINDINGS : COMMAND_OK;
}

static const struct command diff_command = {
	.name = "policy diff",
	.words = "POLICY POLICY",
	.summary = "Say what the second policy allows, denies or limits otherwise than the first.",
	.about = "Compared is what they mean, not how it is written. The exit status is 1 when they differ, and 3 when "
		 "one cannot be read.",
	.min_words = 2,
	.max_words = 2,
	.names = policy_profile_name,
	.run = diff_run,
};

/* ---- the command ---- */

static const struct command *const verbs[] = {
	&show_command, &policy_check_command, &policy_explain_command,
	&diff_command, &policy_learn_command, &policy_mechanisms_command,
	NULL,
};

const struct command policy_command = {
	.name = "policy",
	.summary = "Show, check, explain, compare and learn policies: what programs may do with io_uring.",
	.about = "circlip-policy(5) describes the files.",
	.verbs = verbs,
};
