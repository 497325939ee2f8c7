/* SPDX-License-Identifier: MIT */
#include "enforce/policy-check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "enforce/policy-inner.h"
#include "enforce/restrictions.h"

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

enum { OPS = POLICY_OPS, SQE = POLICY_SQE_FLAGS, REGISTER = POLICY_REGISTER_OPS, SETUP = POLICY_SETUP_FLAGS };

/* If one of `any_of` is allowed and none of `one_of` is. Words are split by blanks, and may be groups. */
static const struct need {
	uint8_t field; /* enum policy_field */
	const char *any_of;
	uint8_t needs; /* enum policy_field */
	const char *one_of;
	const char *why;
	bool note; /* else a warning */
} needs[] = {
	{ OPS, "READ_FIXED WRITE_FIXED READV_FIXED WRITEV_FIXED", REGISTER, "REGISTER_BUFFERS BUFFERS2 CLONE_BUFFERS",
	  "no buffer can be registered for it" },
	{ OPS, "FILES_UPDATE FIXED_FD_INSTALL", REGISTER, "REGISTER_FILES FILES2",
	  "there is no table of files without it" },
	{ OPS, "FIXED_FD_INSTALL", SQE, "FIXED_FILE", "the slot is named with that flag" },
	{ REGISTER, "REGISTER_FILES FILES2", SQE, "FIXED_FILE", "requests cannot name a registered file", true },
	{ OPS, "READ_MULTISHOT PROVIDE_BUFFERS", SQE, "BUFFER_SELECT", "no request can take a provided buffer" },
	{ OPS, "READ_MULTISHOT", REGISTER, "REGISTER_PBUF_RING", "its buffers can then only come from PROVIDE_BUFFERS",
	  true },
	{ REGISTER, "REGISTER_PBUF_RING", SQE, "BUFFER_SELECT", "no request can take a provided buffer", true },
	{ OPS, "LINK_TIMEOUT", SQE, "LINK HARDLINK", "a linked timeout stands behind an entry with that flag" },
	{ OPS, "TIMEOUT", OPS, "TIMEOUT_REMOVE ASYNC_CANCEL", "a timeout cannot be taken back before it expires" },
	{ OPS, "POLL_ADD", OPS, "POLL_REMOVE ASYNC_CANCEL", "a poll cannot be ended before something happens" },
	{ OPS, "ACCEPT RECV RECVMSG CONNECT FUTEX_WAIT FUTEX_WAITV WAITID EPOLL_WAIT READ_MULTISHOT RECV_ZC", OPS,
	  "ASYNC_CANCEL", "it may wait for ever, and a program that wants to end cannot cancel it" },
	{ OPS, "TIMEOUT_REMOVE", OPS, "TIMEOUT LINK_TIMEOUT", "there is nothing to remove" },
	{ OPS, "POLL_REMOVE", OPS, "POLL_ADD", "there is nothing to remove" },
	{ OPS, "LISTEN BIND", OPS, "ACCEPT", "connections are then accepted by other means only", true },
	{ OPS, "URING_CMD128 NOP128", SETUP, "SQE128 SQE_MIXED", "entries of 128 bytes need a ring with that flag" },
	{ OPS, "OPENAT STATX", OPS, "EPOLL_CTL",
	  "libuv (Node and others) sends changes of its epoll set through a ring once it uses one for files, and "
	  "aborts when that fails",
	  true },
	{ OPS, "all", REGISTER, "PROBE",
	  "liburing and libuv ask it which operations there are, and take a refusal for none", true },
	{ SETUP, "DEFER_TASKRUN", SETUP, "SINGLE_ISSUER", "the kernel wants both together" },
	{ SETUP, "TASKRUN_FLAG", SETUP, "COOP_TASKRUN DEFER_TASKRUN", "the kernel wants one of them with it" },
	{ SETUP, "REGISTERED_FD_ONLY", SETUP, "NO_MMAP", "the kernel wants both together" },
	{ SETUP, "HYBRID_IOPOLL", SETUP, "IOPOLL", "the kernel wants both together" },
	{ SETUP, "SQ_REWIND", SETUP, "NO_SQARRAY", "the kernel wants both together" },
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
		remark(c, need->field, need->note, "%s is allowed without %s in %s: %s",
		       groups_name(policy_vocabulary(need->field), (unsigned int)member, name),
		       alternatives(list, need->one_of), policy_field_name(need->needs), need->why);
	}
}

/* ---- what undoes a limit, and what is wider than it looks ---- */

static const struct {
	uint8_t op;
	const char *what;
} undoing[] = {
	{ URING_REG_RESIZE_RINGS, "RESIZE_RINGS would undo sqEntries and cqEntries" },
	{ URING_REG_IOWQ_MAX_WORKERS, "IOWQ_MAX_WORKERS would undo workers" },
	{ URING_REG_SEND_MSG_RING, "SEND_MSG_RING does what MSG_RING does" },
};

static void check_undone(struct check *c)
{
	const struct policy *p = c->policy;
	uint64_t denied = p->register_ops & ~restrictions_register_ops(p);

	for (size_t i = 0; i < sizeof undoing / sizeof *undoing; i++)
		if (denied >> undoing[i].op & 1)
			remark(c, POLICY_REGISTER_OPS, false, "%s, and is denied in spite of being allowed here",
			       undoing[i].what);
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
		       "on socket(2) do not see");
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
