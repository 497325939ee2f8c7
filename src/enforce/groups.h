/* SPDX-License-Identifier: MIT */
/*
 * The words of policies: what the members of each set are called, and groups of them named as people mean them
 * ("net", "timers"). Groups are made of words too, so the table in groups.c is the whole vocabulary.
 *
 * A member is a number: an opcode, the place of a flag's bit, an address family. Members without a name are written as
 * their number ("65"), flags as "bit-21"; so a policy may speak of what a newer kernel has.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/near.h"

enum groups_set { GROUPS_OPS, GROUPS_SQE_FLAGS, GROUPS_REGISTER_OPS, GROUPS_SETUP_FLAGS, GROUPS_FAMILIES, GROUPS_N };

enum { GROUPS_WORDS = 4, GROUPS_NAME_BYTES = 32 };

struct groups_bits {
	uint64_t words[GROUPS_WORDS];
};

struct groups_row {
	enum groups_set set;
	const char *name;
	const char *words;   /* what it is made of, split by blanks; groups stand before those that use them */
	const char *meaning; /* for people */
};

/* NULL as name ends them. */
extern const struct groups_row groups_table[];

/* How many members there are, named or not. */
unsigned int groups_size(enum groups_set set);

/* What the member is called; `buf` is used where it has no name. */
const char *groups_name(enum groups_set set, unsigned int member, char buf[GROUPS_NAME_BYTES]);
bool groups_has_name(enum groups_set set, unsigned int member);

/* The one member so called (in any of the ways that people write it), or -ENOENT. */
int groups_find_member(enum groups_set set, const char *word);

/* What a word stands for: a member, a group, "all", "any" or "none". 0 or -ENOENT. */
int groups_find(enum groups_set set, const char *word, struct groups_bits *ret_bits);

/* All words of the set, for hints. */
near_list *groups_list(enum groups_set set);

static inline bool groups_has(const struct groups_bits *bits, unsigned int member)
{
	return bits->words[member / 64] >> member % 64 & 1;
}

static inline void groups_put(struct groups_bits *bits, unsigned int member)
{
	bits->words[member / 64] |= UINT64_C(1) << member % 64;
}

static inline void groups_take(struct groups_bits *bits, unsigned int member)
{
	bits->words[member / 64] &= ~(UINT64_C(1) << member % 64);
}
