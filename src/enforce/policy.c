/* SPDX-License-Identifier: MIT */
/* Policies as values. */
#include "enforce/policy.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "enforce/groups.h"
#include "enforce/policy-inner.h"

#define SQPOLL_FLAGS ((uint32_t)(URING_SETUP_SQPOLL | URING_SETUP_SQ_AFF))
#define CREDENTIALS (UINT64_C(1) << URING_REG_REGISTER_PERSONALITY | UINT64_C(1) << URING_REG_UNREGISTER_PERSONALITY)

static const char *const field_names[POLICY_N_FIELDS] = {
	[POLICY_OPS] = "ops",
	[POLICY_SQE_FLAGS] = "sqeFlags",
	[POLICY_REQUIRED_SQE_FLAGS] = "requiredSqeFlags",
	[POLICY_REGISTER_OPS] = "registerOps",
	[POLICY_SETUP_FLAGS] = "setupFlags",
	[POLICY_SOCKET_FAMILIES] = "socketFamilies",
	[POLICY_SQ_ENTRIES] = "sqEntries",
	[POLICY_CQ_ENTRIES] = "cqEntries",
	[POLICY_RINGS_PER_PROCESS] = "ringsPerProcess",
	[POLICY_RINGS_PER_CONTAINER] = "ringsPerContainer",
	[POLICY_BUFFER_BYTES] = "registeredBufferBytes",
	[POLICY_REGISTERED_FILES] = "registeredFiles",
	[POLICY_WORKERS_BOUNDED] = "workers.bounded",
	[POLICY_WORKERS_UNBOUNDED] = "workers.unbounded",
	[POLICY_SQPOLL] = "sqpoll",
	[POLICY_PERSONALITIES] = "personalities",
};

const char *policy_field_name(enum policy_field field)
{
	return field < POLICY_N_FIELDS ? field_names[field] : "unknown";
}

int policy_field_find(const char *name)
{
	for (int i = 0; i < POLICY_N_FIELDS; i++)
		if (strcasecmp(field_names[i], name) == 0)
			return i;
	return -ENOENT;
}

struct policy policy_allow_all(void)
{
	struct policy policy = {
		.register_ops = UINT64_MAX,
		.socket_families = UINT64_MAX,
		.setup_flags = ~SQPOLL_FLAGS,
		.sqe_flags = UINT8_MAX,
		.sq_entries = POLICY_NO_LIMIT,
		.cq_entries = POLICY_NO_LIMIT,
		.rings_per_process = POLICY_NO_LIMIT,
		.rings_per_container = POLICY_NO_LIMIT,
		.buffer_bytes = UINT64_MAX,
		.registered_files = POLICY_NO_LIMIT,
		.workers_bounded = POLICY_NO_LIMIT,
		.workers_unbounded = POLICY_NO_LIMIT,
		.sqpoll = { .allowed = true, .per_container = POLICY_NO_LIMIT, .max_idle_ms = POLICY_NO_LIMIT },
		.personalities = true
	};

	memset(policy.ops, 0xff, sizeof policy.ops);
	return policy;
}

struct policy policy_deny_all(void)
{
	struct policy policy = policy_allow_all();
	struct groups_bits basic;

	memset(policy.ops, 0, sizeof policy.ops);
	if (groups_find(GROUPS_REGISTER_OPS, "basic", &basic) == 0)
		policy.register_ops = basic.words[0];
	if (groups_find(GROUPS_SETUP_FLAGS, "basic", &basic) == 0)
		policy.setup_flags = (uint32_t)basic.words[0];
	policy.sqpoll.allowed = false;
	policy.personalities = false;
	return policy;
}

struct groups_bits policy_bits(const struct policy *policy, enum policy_field field)
{
	struct groups_bits bits = { { 0 } };

	if (field == POLICY_OPS)
		memcpy(bits.words, policy->ops, sizeof policy->ops);
	else
		bits.words[0] = field == POLICY_SQE_FLAGS            ? policy->sqe_flags
				: field == POLICY_REQUIRED_SQE_FLAGS ? policy->required_sqe_flags
				: field == POLICY_REGISTER_OPS       ? policy->register_ops
				: field == POLICY_SETUP_FLAGS        ? policy->setup_flags
								     : policy->socket_families;
	return bits;
}

void policy_put_bits(struct policy *policy, enum policy_field field, const struct groups_bits *bits)
{
	if (field == POLICY_OPS)
		memcpy(policy->ops, bits->words, sizeof policy->ops);
	else if (field == POLICY_SQE_FLAGS)
		policy->sqe_flags = (uint8_t)bits->words[0];
	else if (field == POLICY_REQUIRED_SQE_FLAGS)
		policy->required_sqe_flags = (uint8_t)bits->words[0];
	else if (field == POLICY_REGISTER_OPS)
		policy->register_ops = bits->words[0];
	else if (field == POLICY_SETUP_FLAGS)
		policy->setup_flags = (uint32_t)bits->words[0];
	else if (field == POLICY_SOCKET_FAMILIES)
		policy->socket_families = bits->words[0];
}

enum groups_set policy_vocabulary(enum policy_field field)
{
	static const enum groups_set sets[] = { [POLICY_OPS] = GROUPS_OPS,
						[POLICY_SQE_FLAGS] = GROUPS_SQE_FLAGS,
						[POLICY_REQUIRED_SQE_FLAGS] = GROUPS_SQE_FLAGS,
						[POLICY_REGISTER_OPS] = GROUPS_REGISTER_OPS,
						[POLICY_SETUP_FLAGS] = GROUPS_SETUP_FLAGS,
						[POLICY_SOCKET_FAMILIES] = GROUPS_FAMILIES };

	return sets[field];
}

struct groups_bits policy_others(enum policy_field field)
{
	struct groups_bits bits = { { 0 } };

	if (field == POLICY_SETUP_FLAGS)
		bits.words[0] = SQPOLL_FLAGS;
	if (field == POLICY_REGISTER_OPS)
		bits.words[0] = CREDENTIALS;
	return bits;
}

void policy_settle(struct policy *policy)
{
	policy->setup_flags &= ~SQPOLL_FLAGS;
	policy->register_ops =
		policy->personalities ? policy->register_ops | CREDENTIALS : policy->register_ops & ~CREDENTIALS;
	if (policy->sqpoll.allowed)
		return;
	policy->sqpoll.per_container = policy->sqpoll.max_idle_ms = POLICY_NO_LIMIT;
	policy->sqpoll.per_cpu = false;
}

/* ---- limits ---- */

/* Where the number of a field lies and what it is at most; sets and sqpoll have none. */
static const struct policy_limit limits[POLICY_N_FIELDS] = {
#define LIMIT(member, least, most)                                                                                     \
	{                                                                                                              \
		offsetof(struct policy, member), sizeof(((struct policy *)0)->member), least, most                     \
	}
	[POLICY_SQ_ENTRIES] = LIMIT(sq_entries, 1, URING_SETUP_MAX_SQ),
	[POLICY_CQ_ENTRIES] = LIMIT(cq_entries, 1, URING_SETUP_MAX_CQ),
	[POLICY_RINGS_PER_PROCESS] = LIMIT(rings_per_process, 0, POLICY_NO_LIMIT),
	[POLICY_RINGS_PER_CONTAINER] = LIMIT(rings_per_container, 0, POLICY_NO_LIMIT),
	[POLICY_BUFFER_BYTES] = LIMIT(buffer_bytes, 0, UINT64_MAX),
	[POLICY_REGISTERED_FILES] = LIMIT(registered_files, 0, POLICY_NO_LIMIT),
	[POLICY_WORKERS_BOUNDED] = LIMIT(workers_bounded, 1, POLICY_NO_LIMIT),
	[POLICY_WORKERS_UNBOUNDED] = LIMIT(workers_unbounded, 1, POLICY_NO_LIMIT),
#undef LIMIT
};

const struct policy_limit *policy_limit(enum policy_field field)
{
	return limits[field].size ? &limits[field] : NULL;
}

uint64_t policy_number(const struct policy *policy, enum policy_field field)
{
	const char *at = (const char *)policy + limits[field].offset;

	if (limits[field].size == sizeof(uint64_t))
		return *(const uint64_t *)at;
	return *(const uint32_t *)at == POLICY_NO_LIMIT ? UINT64_MAX : *(const uint32_t *)at;
}

void policy_put_number(struct policy *policy, enum policy_field field, uint64_t number)
{
	char *at = (char *)policy + limits[field].offset;

	if (limits[field].size == sizeof(uint64_t))
		*(uint64_t *)at = number;
	else
		*(uint32_t *)at = number > POLICY_NO_LIMIT ? POLICY_NO_LIMIT : (uint32_t)number;
}

/* ---- questions ---- */

static bool is_whole(const struct policy *policy, enum policy_field field)
{
	const struct policy all = policy_allow_all();
	const struct groups_bits have = policy_bits(policy, field), whole = policy_bits(&all, field);

	return memcmp(&have, &whole, sizeof have) == 0;
}

bool policy_restricts(const struct policy *policy, enum policy_field field)
{
	if (field == POLICY_REQUIRED_SQE_FLAGS)
		return policy->required_sqe_flags;
	/* Where no socket may be made, ops say so already. */
	if (field == POLICY_SOCKET_FAMILIES)
		return policy_allows_op(policy, URING_OP_SOCKET) && policy->socket_families != UINT64_MAX;
	if (field < POLICY_SOCKET_FAMILIES)
		return !is_whole(policy, field);
	if (field == POLICY_SQPOLL)
		return !policy->sqpoll.allowed || policy->sqpoll.per_cpu ||
		       policy->sqpoll.per_container != POLICY_NO_LIMIT || policy->sqpoll.max_idle_ms != POLICY_NO_LIMIT;
	if (field == POLICY_PERSONALITIES)
		return !policy->personalities;
	return policy_number(policy, field) < limits[field].most;
}

static bool same_field(const struct policy *a, const struct policy *b, enum policy_field field)
{
	if (field <= POLICY_SOCKET_FAMILIES) {
		const struct groups_bits ours = policy_bits(a, field), theirs = policy_bits(b, field);

		return memcmp(&ours, &theirs, sizeof ours) == 0;
	}
	if (field == POLICY_SQPOLL)
		return a->sqpoll.allowed == b->sqpoll.allowed && a->sqpoll.per_cpu == b->sqpoll.per_cpu &&
		       a->sqpoll.per_container == b->sqpoll.per_container &&
		       a->sqpoll.max_idle_ms == b->sqpoll.max_idle_ms;
	if (field == POLICY_PERSONALITIES)
		return a->personalities == b->personalities;
	return policy_number(a, field) == policy_number(b, field);
}

bool policy_equal(const struct policy *a, const struct policy *b)
{
	for (int field = 0; field < POLICY_N_FIELDS; field++)
		if (!same_field(a, b, (enum policy_field)field))
			return false;
	return a->answer == b->answer;
}
