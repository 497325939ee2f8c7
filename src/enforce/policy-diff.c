/* SPDX-License-Identifier: MIT */
/* What two policies say differently, one thing at a time. */
#include <stdio.h>
#include <string.h>

#include "enforce/policy-inner.h"

enum { TEXT_BYTES = 96 };

struct difference {
	const struct policy *from, *to;
	policy_difference *each;
	void *context;
	size_t n;
};

static void tell(struct difference *d, enum policy_field field, const char *text)
{
	d->n++;
	d->each(d->context, field, text);
}

/* Members that only one has. Those without a name that differ are told in one line: they come and go together. */
static void compare_sets(struct difference *d, enum policy_field field)
{
	enum groups_set set = policy_vocabulary(field);
	const struct groups_bits from = policy_bits(d->from, field), to = policy_bits(d->to, field);
	unsigned int unnamed[2] = { 0, 0 };
	char text[TEXT_BYTES];

	for (unsigned int member = 0; member < groups_size(set); member++) {
		char name[GROUPS_NAME_BYTES];
		bool there = groups_has(&to, member);

		if (groups_has(&from, member) == there)
			continue;
		if (!groups_has_name(set, member)) {
			unnamed[there]++;
			continue;
		}
		snprintf(text, sizeof text, "%c%s", there ? '+' : '-', groups_name(set, member, name));
		tell(d, field, text);
	}
	for (int there = 0; there < 2; there++) {
		if (!unnamed[there])
			continue;
		snprintf(text, sizeof text, "%c%u that have no name yet", there ? '+' : '-', unnamed[there]);
		tell(d, field, text);
	}
}

static const char *amount(char buf[32], uint64_t number)
{
	if (number == UINT64_MAX)
		return "unlimited";
	snprintf(buf, 32, "%llu", (unsigned long long)number);
	return buf;
}

static void compare_numbers(struct difference *d, enum policy_field field, const char *what, uint64_t from, uint64_t to)
{
	char text[TEXT_BYTES], one[32], other[32];

	if (from == to)
		return;
	snprintf(text, sizeof text, "%s%s%s -> %s", what, *what ? ": " : "", amount(one, from), amount(other, to));
	tell(d, field, text);
}

static void compare_words(struct difference *d, enum policy_field field, const char *what, const char *from,
			  const char *to)
{
	char text[TEXT_BYTES];

	if (strcmp(from, to) == 0)
		return;
	snprintf(text, sizeof text, "%s%s%s -> %s", what, *what ? ": " : "", from, to);
	tell(d, field, text);
}

static uint64_t wide(uint32_t number)
{
	return number == POLICY_NO_LIMIT ? UINT64_MAX : number;
}

static const char *truth(bool value)
{
	return value ? "true" : "false";
}

static void compare_sqpoll(struct difference *d)
{
	static const char *const words[] = { "denied", "allowed" };

	compare_words(d, POLICY_SQPOLL, "", words[d->from->sqpoll.allowed], words[d->to->sqpoll.allowed]);
	compare_numbers(d, POLICY_SQPOLL, "perContainer", wide(d->from->sqpoll.per_container),
			wide(d->to->sqpoll.per_container));
	compare_words(d, POLICY_SQPOLL, "perCpu", truth(d->from->sqpoll.per_cpu), truth(d->to->sqpoll.per_cpu));
	compare_numbers(d, POLICY_SQPOLL, "maxIdleMs", wide(d->from->sqpoll.max_idle_ms),
			wide(d->to->sqpoll.max_idle_ms));
}

size_t policy_diff(const struct policy *from, const struct policy *to, policy_difference *each, void *context)
{
	static const char *const answers[] = { "EPERM", "ENOSYS" };
	struct difference d = { .from = from, .to = to, .each = each, .context = context };

	for (int field = 0; field <= POLICY_SOCKET_FAMILIES; field++)
		compare_sets(&d, (enum policy_field)field);
	for (int field = POLICY_SQ_ENTRIES; field < POLICY_SQPOLL; field++)
		compare_numbers(&d, (enum policy_field)field, "", policy_number(from, (enum policy_field)field),
				policy_number(to, (enum policy_field)field));
	compare_sqpoll(&d);
	compare_words(&d, POLICY_PERSONALITIES, "", truth(from->personalities), truth(to->personalities));
	compare_words(&d, POLICY_N_FIELDS, "", answers[from->answer & 1], answers[to->answer & 1]);
	return d.n;
}
