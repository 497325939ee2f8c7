/* SPDX-License-Identifier: MIT */
#include "enforce/policy-check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "enforce/policy-inner.h"

enum { TEXT_BYTES = 512, LIST_BYTES = 128 };

struct check {
	const struct policy *policy;
	policy_heeder *each;
	void *context;
	size_t n;
};

static void remark(struct check *c, enum policy_field field, bool note, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void remark(struct check *c, enum policy_field field, bool note, const char *format, ...)
{
	char text[TEXT_BYTES];
	struct policy_remark r = { .field = field, .note = note, .text = text };
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	c->n += !note;
	c->each(c->context, &r);
}

/* ---- what is of no use without something else ---- */

enum { WARNING, NOTE };

/* If one of `any_of` is allowed and none of `one_of` is. Words are split by blanks, and may be groups. */
static const struct need {
	enum policy_field field;
	const char *any_of;
	enum policy_field needs;
	const char *one_of;
	int level;
	const char *why;
} needs[] = {
	{ POLICY_OPS, "READ_FIXED WRITE_FIXED READV_FIXED WRITEV_FIXED", POLICY_REGISTER_OPS,
	  "REGISTER_BUFFERS BUFFERS2 CLONE_BUFFERS", WARNING, "no buffer can be registered for it" },
	{ POLICY_OPS, "FILES_UPDATE FIXED_FD_INSTALL", POLICY_REGISTER_OPS, "REGISTER_FILES FILES2", WARNING,
	  "there is no table of files without it" },
	{ POLICY_OPS, "FIXED_FD_INSTALL", POLICY_SQE_FLAGS, "FIXED_FILE", WARNING, "the slot is named with that flag" },
	{ POLICY_REGISTER_OPS, "REGISTER_FILES FILES2", POLICY_SQE_FLAGS, "FIXED_FILE", NOTE,
	  "requests cannot name a registered file" },
	{ POLICY_OPS, "READ_MULTISHOT PROVIDE_BUFFERS", POLICY_SQE_FLAGS, "BUFFER_SELECT", WARNING,
	  "no request can take a provided buffer" },
	{ POLICY_OPS, "READ_MULTISHOT", POLICY_REGISTER_OPS, "REGISTER_PBUF_RING", NOTE,
	  "its buffers can then only come from PROVIDE_BUFFERS" },
	{ POLICY_REGISTER_OPS, "REGISTER_PBUF_RING", POLICY_SQE_FLAGS, "BUFFER_SELECT", NOTE,
	  "no request can take a provided buffer" },
	{ POLICY_OPS, "LINK_TIMEOUT", POLICY_SQE_FLAGS, "LINK HARDLINK", WARNING,
	  "a linked timeout stands behind an entry with that flag" },
	{ POLICY_OPS, "TIMEOUT", POLICY_OPS, "TIMEOUT_REMOVE ASYNC_CANCEL", WARNING,
	  "a timeout cannot be taken back before it expires" },
	{ POLICY_OPS, "POLL_ADD", POLICY_OPS, "POLL_REMOVE ASYNC_CANCEL", WARNING,
	  "a poll cannot be ended before something happens" },
	{ POLICY_OPS, "ACCEPT RECV RECVMSG CONNECT FUTEX_WAIT FUTEX_WAITV WAITID EPOLL_WAIT READ_MULTISHOT RECV_ZC",
	  POLICY_OPS, "ASYNC_CANCEL", WARNING,
	  "it may wait for ever, and a program that wants to end cannot cancel it" },
	{ POLICY_OPS, "TIMEOUT_REMOVE", POLICY_OPS, "TIMEOUT LINK_TIMEOUT", WARNING, "there is nothing to remove" },
	{ POLICY_OPS, "POLL_REMOVE", POLICY_OPS, "POLL_ADD", WARNING, "there is nothing to remove" },
	{ POLICY_OPS, "LISTEN BIND", POLICY_OPS, "ACCEPT", NOTE, "connections are then accepted by other means only" },
	{ POLICY_OPS, "URING_CMD128 NOP128", POLICY_SETUP_FLAGS, "SQE128 SQE_MIXED", WARNING,
	  "entries of 128 bytes need a ring with that flag" },
	{ POLICY_OPS, "OPENAT STATX", POLICY_OPS, "EPOLL_CTL", NOTE,
	  "libuv (Node and others) sends changes of its epoll set through a ring once it uses one for files, and "
	  "aborts "
	  "when that fails" },
	{ POLICY_OPS, "all", POLICY_REGISTER_OPS, "PROBE", NOTE,
	  "liburing and libuv ask it which operations there are, and take a refusal for none" },
	{ POLICY_SETUP_FLAGS, "DEFER_TASKRUN", POLICY_SETUP_FLAGS, "SINGLE_ISSUER", WARNING,
	  "the kernel wants both together" },
	{ POLICY_SETUP_FLAGS, "TASKRUN_FLAG", POLICY_SETUP_FLAGS, "COOP_TASKRUN DEFER_TASKRUN", WARNING,
	  "the kernel wants one of them with it" },
	{ POLICY_SETUP_FLAGS, "REGISTERED_FD_ONLY", POLICY_SETUP_FLAGS, "NO_MMAP", WARNING,
	  "the kernel wants both together" },
	{ POLICY_SETUP_FLAGS, "HYBRID_IOPOLL", POLICY_SETUP_FLAGS, "IOPOLL", WARNING,
	  "the kernel wants both together" },
	{ POLICY_SETUP_FLAGS, "SQ_REWIND", POLICY_SETUP_FLAGS, "NO_SQARRAY", WARNING,
	  "the kernel wants both together" },
};

static size_t next_word(const char **at, char word[GROUPS_NAME_BYTES])
{
	size_t n = strcspn(*at, " ");

	snprintf(word, GROUPS_NAME_BYTES, "%.*s", (int)n, *at);
	*at += n + strspn(*at + n, " ");
	return n;
}

/* The first member of the words that the policy allows, or -1. */
static int first_allowed(const struct policy *policy, enum policy_field field, const char *words)
{
	const struct groups_bits allowed = policy_bits(policy, field);
	const enum groups_set set = policy_vocabulary(field);
	char word[GROUPS_NAME_BYTES];

	while (next_word(&words, word)) {
		struct groups_bits bits;

		for (unsigned int member = 0; groups_find(set, word, &bits) == 0 && member < groups_size(set); member++)
			if (groups_has(&bits, member) && groups_has(&allowed, member))
				return (int)member;
	}
	return -1;
}

/* "A", "A or B", "A, B or C" */
static const char *alternatives(char buf[LIST_BYTES], const char *words)
{
	char word[GROUPS_NAME_BYTES];
	size_t used = 0, n = 0;

	while (next_word(&words, word) && used < LIST_BYTES)
		used += (size_t)snprintf(buf + used, LIST_BYTES - used, "%s%s",
					 n++ == 0 ? ""
					 : *words ? ", "
						  : " or ",
					 word);
	return buf;
}

static void check_needs(struct check *c)
{
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
		const struct need *need = &needs[i];
		int member = first_allowed(c->policy, need->field, need->any_of);
		char name[GROUPS_NAME_BYTES], list[LIST_BYTES];

		if (member < 0 || first_allowed(c->policy, need->needs, need->one_of) >= 0)
			continue;
		remark(c, need->field, need->level == NOTE, "%s is allowed without %s in %s: %s",
		       groups_name(policy_vocabulary(need->field), (unsigned int)member, name),
		       alternatives(list, need->one_of), policy_field_name(need->needs), need->why);
	}
}

/* ---- what undoes a limit, and what is wider than it looks ---- */

static bool is_limited(const struct policy *policy, enum policy_field one, enum policy_field other)
{
	return policy_restricts(policy, one) || policy_restricts(policy, other);
}

static void check_undone(struct check *c)
{
	const struct policy *p = c->policy;

	if (policy_allows_register(p, URING_REG_RESIZE_RINGS) && is_limited(p, POLICY_SQ_ENTRIES, POLICY_CQ_ENTRIES))
		remark(c, POLICY_REGISTER_OPS, false,
		       "RESIZE_RINGS would undo sqEntries and cqEntries, and is denied in spite of being allowed here");
	if (policy_allows_register(p, URING_REG_IOWQ_MAX_WORKERS) &&
	    is_limited(p, POLICY_WORKERS_BOUNDED, POLICY_WORKERS_UNBOUNDED))
		remark(c, POLICY_REGISTER_OPS, false,
		       "IOWQ_MAX_WORKERS would undo workers, and is denied in spite of being allowed here");
	if (policy_allows_register(p, URING_REG_SEND_MSG_RING) && !policy_allows_op(p, URING_OP_MSG_RING))
		remark(c, POLICY_REGISTER_OPS, false,
		       "SEND_MSG_RING does what MSG_RING does, and is denied in spite of being allowed here");
	if (policy_restricts(p, POLICY_CQ_ENTRIES) && policy_restricts(p, POLICY_SQ_ENTRIES) &&
	    p->cq_entries < p->sq_entries)
		remark(c, POLICY_CQ_ENTRIES, false, "fewer than sqEntries: the kernel wants at least as many");
}

static void check_wide(struct check *c)
{
	const struct policy *p = c->policy;

	if (first_allowed(p, POLICY_OPS, "all") < 0)
		remark(c, POLICY_OPS, false, "no operation is allowed at all");
	if (policy_allows_op(p, URING_OP_SOCKET) && p->socket_families == UINT64_MAX)
		remark(c, POLICY_SOCKET_FAMILIES, true,
		       "SOCKET may make sockets of any family, AF_ALG and AF_VSOCK among them, which seccomp's rules "
		       "on "
		       "socket(2) do not see");
	if (first_allowed(p, POLICY_OPS, "commands") >= 0)
		remark(c, POLICY_OPS, true,
		       "commands (URING_CMD) are whatever drivers and sockets define: they cannot be told apart");
	if (p->sqpoll.allowed && p->sqpoll.per_container == POLICY_NO_LIMIT && !p->sqpoll.per_cpu)
		remark(c, POLICY_SQPOLL, true,
		       "each ring with SQPOLL can keep a CPU busy, and their number has no limit");
	if (p->personalities)
		remark(c, POLICY_PERSONALITIES, true,
		       "requests may use credentials that the program has dropped since it registered them");
}

size_t policy_check(const struct policy *policy, policy_heeder *each, void *context)
{
	struct check c = { .policy = policy, .each = each, .context = context };

	check_needs(&c);
	check_undone(&c);
	check_wide(&c);
	return c.n;
}
