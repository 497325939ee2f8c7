/* SPDX-License-Identifier: MIT */
/* A policy becomes text that reads as the same policy. */
#include <stdio.h>
#include <string.h>

#include "enforce/policy-inner.h"

enum { WIDTH = 100, LABEL_WIDTH = 44 };

struct writer {
	FILE *file;
	policy_comment *comment;
	void *context;
};

static void put_comment(struct writer *w, enum policy_field field, int member, int column)
{
	const char *text = w->comment ? w->comment(w->context, field, member) : NULL;

	if (text && *text)
		fprintf(w->file, "%*s # %s", column < LABEL_WIDTH ? LABEL_WIDTH - column : 0, "", text);
	fputc('\n', w->file);
}

/* ---- sets ---- */

/* Unknown members are allowed by "all" alone, so a set that has them is written as all but some. */
static bool has_unnamed(enum groups_set set, const struct groups_bits *bits)
{
	for (unsigned int member = 0; member < groups_size(set); member++)
		if (!groups_has_name(set, member) && groups_has(bits, member))
			return true;
	return false;
}

struct list {
	enum policy_field field;
	enum groups_set set;
	struct groups_bits bits; /* of the members to name */
	const char *sign;        /* "" or "-" */
	bool all;                /* "all" stands before them */
};

static struct list list_of(const struct policy *policy, enum policy_field field)
{
	const struct groups_bits others = policy_others(field);
	struct list list = { .field = field, .set = policy_vocabulary(field), .bits = policy_bits(policy, field) };

	list.all = has_unnamed(list.set, &list.bits);
	list.sign = list.all ? "-" : "";
	for (unsigned int member = 0; member < groups_size(list.set); member++)
		if (groups_has(&list.bits, member) == list.all || groups_has(&others, member))
			groups_take(&list.bits, member);
		else
			groups_put(&list.bits, member);
	return list;
}

static bool is_empty(const struct list *list)
{
	for (size_t i = 0; i < GROUPS_WORDS; i++)
		if (list->bits.words[i])
			return false;
	return true;
}

static int put_item(struct writer *w, const char *sign, const char *name, int column, int indent, bool first)
{
	int length = (int)(strlen(sign) + strlen(name));

	if (!first) {
		fputc(',', w->file);
		column++;
	}
	if (!first && column + 1 + length + 1 > WIDTH) {
		fprintf(w->file, "\n%*s", indent, "");
		column = indent;
	} else if (!first) {
		fputc(' ', w->file);
		column++;
	}
	fprintf(w->file, "%s%s", sign, name);
	return column + length;
}

/* name: [A, B, C], over as many lines as it takes */
static void put_flow(struct writer *w, const struct list *list)
{
	int indent = fprintf(w->file, "%s: [", policy_field_name(list->field)), column = indent;
	bool first = true;

	if (list->all) {
		column = put_item(w, "", "all", column, indent, true);
		first = false;
	}
	for (unsigned int member = 0; member < groups_size(list->set); member++) {
		char buf[GROUPS_NAME_BYTES];

		if (!groups_has(&list->bits, member))
			continue;
		column = put_item(w, list->sign, groups_name(list->set, member, buf), column, indent, first);
		first = false;
	}
	fputs("]", w->file);
	put_comment(w, list->field, -1, column + 1);
}

static void put_block(struct writer *w, const struct list *list)
{
	int column = fprintf(w->file, "%s:", policy_field_name(list->field));

	put_comment(w, list->field, -1, column);
	if (list->all)
		fputs("  - all\n", w->file);
	for (unsigned int member = 0; member < groups_size(list->set); member++) {
		char buf[GROUPS_NAME_BYTES];

		if (!groups_has(&list->bits, member))
			continue;
		column = fprintf(w->file, "  - %s%s", list->sign, groups_name(list->set, member, buf));
		put_comment(w, list->field, (int)member, column);
	}
}

static void put_set(struct writer *w, const struct policy *policy, enum policy_field field)
{
	struct list list = list_of(policy, field);

	if (is_empty(&list))
		put_comment(w, field, -1,
			    fprintf(w->file, "%s: %s", policy_field_name(field), list.all ? "all" : "none"));
	else
		(w->comment ? put_block : put_flow)(w, &list);
}

/* ---- single values ---- */

static int put_amount(struct writer *w, const char *name, uint64_t number, bool bytes)
{
	static const char units[] = { 0, 'K', 'M', 'G' };
	size_t unit = 0;

	for (; bytes && number && number % 1024 == 0 && unit < sizeof units - 1; unit++)
		number /= 1024;
	return fprintf(w->file, "%s: %llu%.1s", name, (unsigned long long)number, &units[unit]);
}

static void put_number(struct writer *w, const struct policy *policy, enum policy_field field)
{
	uint64_t number = policy_number(policy, field);

	if (number == UINT64_MAX)
		return;
	put_comment(w, field, -1,
		    put_amount(w, policy_field_name(field), number, policy_limit(field)->size == sizeof(uint64_t)));
}

static void put_workers(struct writer *w, const struct policy *policy)
{
	static const struct {
		enum policy_field field;
		const char *name;
	} rows[] = { { POLICY_WORKERS_BOUNDED, "  bounded" }, { POLICY_WORKERS_UNBOUNDED, "  unbounded" } };

	if (policy->workers_bounded == POLICY_NO_LIMIT && policy->workers_unbounded == POLICY_NO_LIMIT)
		return;
	fputs("workers:\n", w->file);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t number = policy_number(policy, rows[i].field);

		if (number != UINT64_MAX)
			put_comment(w, rows[i].field, -1, put_amount(w, rows[i].name, number, false));
	}
}

static void put_sqpoll(struct writer *w, const struct policy *policy)
{
	if (!policy->sqpoll.allowed) {
		put_comment(w, POLICY_SQPOLL, -1, fprintf(w->file, "sqpoll: denied"));
		return;
	}
	put_comment(w, POLICY_SQPOLL, -1, fprintf(w->file, "sqpoll:"));
	fprintf(w->file, "  allowed: true\n");
	if (policy->sqpoll.per_container != POLICY_NO_LIMIT)
		fprintf(w->file, "  perContainer: %u\n", policy->sqpoll.per_container);
	fprintf(w->file, "  perCpu: %s\n", policy->sqpoll.per_cpu ? "true" : "false");
	if (policy->sqpoll.max_idle_ms != POLICY_NO_LIMIT)
		fprintf(w->file, "  maxIdleMs: %u\n", policy->sqpoll.max_idle_ms);
}

void policy_write(const struct policy *policy, FILE *file, policy_comment *comment, void *context)
{
	struct writer w = { .file = file, .comment = comment, .context = context };

	if (*policy->name)
		fprintf(file, "name: \"%s\"\n", policy->name);
	for (int field = POLICY_OPS; field <= POLICY_SOCKET_FAMILIES; field++)
		put_set(&w, policy, (enum policy_field)field);
	for (int field = POLICY_SQ_ENTRIES; field < POLICY_WORKERS_BOUNDED; field++)
		put_number(&w, policy, (enum policy_field)field);
	put_workers(&w, policy);
	put_sqpoll(&w, policy);
	put_comment(&w, POLICY_PERSONALITIES, -1,
		    fprintf(file, "personalities: %s", policy->personalities ? "true" : "false"));
	fprintf(file, "answer: %s\n", policy->answer == POLICY_ANSWER_ENOSYS ? "ENOSYS" : "EPERM");
}
