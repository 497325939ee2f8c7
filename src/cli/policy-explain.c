/* SPDX-License-Identifier: MIT */
/* circlip policy check, explain and mechanisms: what is doubtful about a policy, what it means, and who keeps it. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/policy.h"
#include "cli/print.h"
#include "enforce/groups.h"
#include "enforce/mechanism.h"
#include "enforce/policy-check.h"
#include "report/common.h"

enum { INDENT = 24, TEXT_BYTES = 4096 };

/* ---- check ---- */

struct check_options {
	unsigned int format;
};

struct checking {
	const struct policy *policy;
	bool json;
};

COMMAND_NAMES(check_format_name, "text", "json");

static void put_json_remark(const struct checking *c, const struct policy_remark *remark)
{
	json_t *object = json_object();

	common_set(object, "file", c->policy->file);
	json_object_set_new(object, "line", json_integer(c->policy->lines[remark->field]));
	common_set(object, "field", policy_field_name(remark->field));
	common_set(object, "level", remark->note ? "note" : "warning");
	common_set(object, "message", remark->text);
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(object);
}

static void put_remark(void *context, const struct policy_remark *remark)
{
	const struct checking *c = context;
	uint32_t line = c->policy->lines[remark->field];

	if (c->json) {
		put_json_remark(c, remark);
		return;
	}
	printf("%s:", c->policy->file);
	if (line)
		printf("%u:", line);
	printf(" %s: %s: %s\n", remark->note ? "note" : "warning", policy_field_name(remark->field), remark->text);
}

static int check_run(void *options, char **words, size_t n_words)
{
	const struct check_options *o = options;
	size_t doubts = 0;
	int worst = COMMAND_OK;

	for (size_t i = 0; i < n_words; i++) {
		struct policy policy;
		struct checking c = { .policy = &policy, .json = o->format };
		int status = policy_take("policy check", words[i], &policy);

		if (status == COMMAND_OK)
			doubts += policy_check(&policy, put_remark, &c);
		worst = status > worst ? status : worst;
	}
	return worst ? worst : doubts ? COMMAND_FINDINGS : COMMAND_OK;
}

static const struct command_option check_rows[] = {
	{ "format", NULL, "How to write doubts: a line each, or an object each (JSON Lines).", COMMAND_CHOICE,
	  offsetof(struct check_options, format), check_format_name },
	{ NULL },
};

const struct command policy_check_command = {
	.name = "policy check",
	.words = "POLICY...",
	.summary = "Say what is wrong or doubtful about policies: operations that need others, limits that are undone.",
	.about = "The exit status is 1 when a policy has an error or a warning (notes do not count), and 3 when one "
		 "cannot be read.",
	.options = check_rows,
	.size = sizeof(struct check_options),
	.min_words = 1,
	.max_words = SIZE_MAX,
	.names = policy_profile_name,
	.run = check_run,
};

/* ---- mechanisms ---- */

static void put_matrix_head(void)
{
	printf("%-*s", INDENT, "");
	for (int m = 0; m < MECHANISM_N; m++)
		printf("%-9s", mechanism_name((enum mechanism)m));
	printf("task+guard\n");
}

static void put_matrix_row(enum policy_field field)
{
	printf("%-*s", INDENT, policy_field_name(field));
	for (int m = 0; m < MECHANISM_N; m++)
		printf("%-9s", mechanism_force_name(mechanism_force((enum mechanism)m, false, field, NULL)));
	printf("%s\n", mechanism_force_name(mechanism_force(MECHANISM_TASK, true, field, NULL)));
}

static void put_legend(void)
{
	putchar('\n');
	for (int force = 0; force < MECHANISM_N_FORCES; force++)
		print_item(stdout, mechanism_force_name((enum mechanism_force)force),
			   mechanism_force_meaning((enum mechanism_force)force), INDENT);
}

struct mechanisms_options {
	unsigned int mechanism; /* of any_mechanism_name */
	bool guard;
};

static const char *any_mechanism_name(size_t i)
{
	return i == 0 ? "all" : i <= MECHANISM_N ? mechanism_name((enum mechanism)(i - 1)) : NULL;
}

/* With the sentences: who keeps the field, and by what. */
static void put_how(enum mechanism mechanism, bool guarded, enum policy_field field)
{
	const char *how;
	enum mechanism_force force = mechanism_force(mechanism, guarded, field, &how);
	char text[512];

	snprintf(text, sizeof text, "%s: %s", mechanism_force_name(force), how);
	print_item(stdout, policy_field_name(field), text, INDENT);
}

static int mechanisms_run(void *options, char **words, size_t n_words)
{
	const struct mechanisms_options *o = options;

	if (!o->mechanism)
		put_matrix_head();
	for (int field = 0; field < POLICY_N_FIELDS; field++)
		if (o->mechanism)
			put_how((enum mechanism)(o->mechanism - 1), o->guard, (enum policy_field)field);
		else
			put_matrix_row((enum policy_field)field);
	put_legend();
	putchar('\n');
	for (int m = 0; !o->mechanism && m < MECHANISM_N; m++)
		print_item(stdout, mechanism_name((enum mechanism)m), mechanism_summary((enum mechanism)m), INDENT);
	return COMMAND_OK;
}

static const struct command_option mechanisms_rows[] = {
	{ "mechanism", NULL, "Say of one how it enforces each field.", COMMAND_CHOICE,
	  offsetof(struct mechanisms_options, mechanism), any_mechanism_name },
	{ "guard", NULL, "As it is with the BPF guard beside it.", COMMAND_FLAG,
	  offsetof(struct mechanisms_options, guard) },
	{ NULL },
};

const struct command policy_mechanisms_command = {
	.name = "policy mechanisms",
	.summary = "Say what the kernel enforces of each field of a policy, under each of the mechanisms.",
	.options = mechanisms_rows,
	.size = sizeof(struct mechanisms_options),
	.run = mechanisms_run,
};

void policy_mechanisms_manual(void)
{
	printf("[[ *Field*\n");
	for (int m = 0; m < MECHANISM_N; m++)
		printf(":[ *%s*\n", mechanism_name((enum mechanism)m));
	printf(":[ *task and guard*\n");
	for (int field = 0; field < POLICY_N_FIELDS; field++) {
		printf("|  %s\n", policy_field_name((enum policy_field)field));
		for (int m = 0; m < MECHANISM_N; m++)
			printf(":  %s\n", mechanism_force_name(mechanism_force((enum mechanism)m, false,
									       (enum policy_field)field, NULL)));
		printf(":  %s\n",
		       mechanism_force_name(mechanism_force(MECHANISM_TASK, true, (enum policy_field)field, NULL)));
	}
	putchar('\n');
	for (int force = 0; force < MECHANISM_N_FORCES; force++)
		printf("*%s*\n\t%s\n\n", mechanism_force_name((enum mechanism_force)force),
		       mechanism_force_meaning((enum mechanism_force)force));
}

/* ---- explain ---- */

struct explain_options {
	unsigned int mechanism; /* of any_mechanism_name */
	bool guard;
};

struct text {
	char buf[TEXT_BYTES];
	size_t used;
};

static void add(struct text *text, const char *word)
{
	if (text->used < sizeof text->buf)
		text->used += (size_t)snprintf(text->buf + text->used, sizeof text->buf - text->used, "%s%s",
					       text->used ? ", " : "", word);
}

static bool is_within(const struct groups_bits *part, const struct groups_bits *whole)
{
	for (size_t i = 0; i < GROUPS_WORDS; i++)
		if (part->words[i] & ~whole->words[i])
			return false;
	return true;
}

/* Groups that are allowed whole take their members' place, the widest first: they stand last in the table. */
static void add_groups(struct text *text, enum groups_set set, struct groups_bits *rest)
{
	const struct groups_bits all = *rest;
	size_t n = 0;

	while (groups_table[n].name)
		n++;
	while (n-- > 0) {
		struct groups_bits bits;
		bool any = false;

		if (groups_table[n].set != set || groups_find(set, groups_table[n].name, &bits) < 0 ||
		    !is_within(&bits, &all))
			continue;
		for (size_t i = 0; i < GROUPS_WORDS; i++) {
			any |= rest->words[i] & bits.words[i];
			rest->words[i] &= ~bits.words[i];
		}
		if (any)
			add(text, groups_table[n].name);
	}
}

static void put_set(enum policy_field field, const char *label, enum groups_set set, struct groups_bits bits)
{
	struct text text = { .used = 0 };
	char name[GROUPS_NAME_BYTES];
	bool rest = true;

	for (unsigned int member = 0; member < groups_size(set); member++)
		rest &= groups_has(&bits, member);
	if (rest)
		add(&text, "all, also those that this version does not know");
	else
		add_groups(&text, set, &bits);
	for (unsigned int member = 0; !rest && member < groups_size(set); member++)
		if (groups_has(&bits, member) && groups_has_name(set, member))
			add(&text, groups_name(set, member, name));
	print_item(stdout, label, text.used ? text.buf : "none", INDENT);
}

static struct groups_bits single(uint64_t word)
{
	return (struct groups_bits){ { word } };
}

static void put_limit(const char *label, uint64_t limit)
{
	char text[32];

	if (limit == POLICY_NO_LIMIT || limit == UINT64_MAX)
		return;
	snprintf(text, sizeof text, "at most %llu", (unsigned long long)limit);
	print_item(stdout, label, text, INDENT);
}

static void put_sqpoll(const struct policy *p)
{
	char text[160] = "denied";
	size_t used;

	if (p->sqpoll.allowed) {
		used = (size_t)snprintf(text, sizeof text, "allowed%s",
					p->sqpoll.per_cpu ? ", one for each CPU of the host" : "");
		if (p->sqpoll.per_container != POLICY_NO_LIMIT)
			used += (size_t)snprintf(text + used, sizeof text - used, ", at most %u in a container",
						 p->sqpoll.per_container);
		if (p->sqpoll.max_idle_ms != POLICY_NO_LIMIT)
			snprintf(text + used, sizeof text - used, ", spinning for at most %u ms without work",
				 p->sqpoll.max_idle_ms);
	}
	print_item(stdout, "sqpoll", text, INDENT);
}

static void put_meaning(const struct policy *p)
{
	struct groups_bits ops;

	memcpy(ops.words, p->ops, sizeof p->ops);
	put_set(POLICY_OPS, "operations", GROUPS_OPS, ops);
	put_set(POLICY_SQE_FLAGS, "entry flags", GROUPS_SQE_FLAGS, single(p->sqe_flags));
	if (p->required_sqe_flags)
		put_set(POLICY_REQUIRED_SQE_FLAGS, "  of them required", GROUPS_SQE_FLAGS,
			single(p->required_sqe_flags));
	put_set(POLICY_REGISTER_OPS, "register calls", GROUPS_REGISTER_OPS, single(p->register_ops));
	put_set(POLICY_SETUP_FLAGS, "set-up flags", GROUPS_SETUP_FLAGS, single(p->setup_flags));
	if (policy_allows_op(p, URING_OP_SOCKET))
		put_set(POLICY_SOCKET_FAMILIES, "families of SOCKET", GROUPS_FAMILIES, single(p->socket_families));
	put_limit("SQ entries", p->sq_entries);
	put_limit("CQ entries", p->cq_entries);
	put_limit("rings of a process", p->rings_per_process);
	put_limit("rings of a container", p->rings_per_container);
	put_limit("registered bytes", p->buffer_bytes);
	put_limit("registered files", p->registered_files);
	put_limit("bounded workers", p->workers_bounded);
	put_limit("unbounded workers", p->workers_unbounded);
	put_sqpoll(p);
	print_item(stdout, "personalities", p->personalities ? "allowed" : "denied", INDENT);
	print_item(stdout, "answer to a denial",
		   p->answer == POLICY_ANSWER_ENOSYS ? "ENOSYS, so that libraries fall back" : "EPERM", INDENT);
}

static int explain_run(void *options, char **words, size_t n_words)
{
	const struct explain_options *o = options;
	struct policy policy;
	int status = policy_take("policy explain", words[0], &policy);

	if (status)
		return status;
	printf("%s (%s)\n\nallowed\n", policy.name, policy.file);
	put_meaning(&policy);
	printf("\nwho keeps what it restricts\n");
	if (!o->mechanism)
		put_matrix_head();
	for (int field = 0; field < POLICY_N_FIELDS; field++) {
		if (!policy_restricts(&policy, (enum policy_field)field))
			continue;
		if (o->mechanism)
			put_how((enum mechanism)(o->mechanism - 1), o->guard, (enum policy_field)field);
		else
			put_matrix_row((enum policy_field)field);
	}
	put_legend();
	return COMMAND_OK;
}

const struct command policy_explain_command = {
	.name = "policy explain",
	.words = "POLICY",
	.summary = "Say in words what a policy allows, and under which mechanism the kernel enforces which part of it.",
	.about = "circlip policy mechanisms has the whole table.",
	.options = mechanisms_rows,
	.size = sizeof(struct explain_options),
	.min_words = 1,
	.max_words = 1,
	.names = policy_profile_name,
	.run = explain_run,
};
_Static_assert(sizeof(struct explain_options) == sizeof(struct mechanisms_options), "they share their rows");
