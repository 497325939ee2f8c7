/* SPDX-License-Identifier: MIT */
/* What the files of policies share among themselves. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "enforce/groups.h"
#include "enforce/policy.h"

struct err;

/* How deep policies may extend each other. */
enum { POLICY_MAX_DEPTH = 8 };

/* The fields up to socketFamilies are sets: their members as bits. */
struct groups_bits policy_bits(const struct policy *policy, enum policy_field field);
void policy_put_bits(struct policy *policy, enum policy_field field, const struct groups_bits *bits);
enum groups_set policy_vocabulary(enum policy_field field);

/* Members of the set that another field allows: SQPOLL is sqpoll's, REGISTER_PERSONALITY is personalities'. */
struct groups_bits policy_others(enum policy_field field);

/* Fields with one number. "Without limit" is UINT64_MAX for all of them here. */
struct policy_limit {
	size_t offset, size;  /* in struct policy */
	uint64_t least, most; /* what is as much as `most` is no limit */
};
const struct policy_limit *policy_limit(enum policy_field field); /* NULL: it has none */
uint64_t policy_number(const struct policy *policy, enum policy_field field);
void policy_put_number(struct policy *policy, enum policy_field field, uint64_t number);

/* Brings fields that speak of the same thing into line, so that equal policies are equal values. */
void policy_settle(struct policy *policy);

/* As policy_parse() and policy_find(), for a policy that `depth` others extend. Paths are relative to `beside`. */
int policy_parse_at(const char *text, size_t size, const char *file, unsigned int depth, struct policy *ret_policy,
		    struct err *err);
int policy_find_at(const char *name_or_path, const char *beside, unsigned int depth, struct policy *ret_policy,
		   struct err *err);
