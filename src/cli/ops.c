/* SPDX-License-Identifier: MIT */
/* circlip ops: the rows of the table of operations, for people, and which of them this kernel knows. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "abi/decode.h"
#include "abi/op.h"
#include "abi/uring.h"
#include "base/near.h"
#include "cli/command.h"
#include "cli/print.h"
#include "kernel/feature.h"
#include "report/common.h"

enum { INDENT = 14, NAME_WIDTH = 18 };

struct ops_options {
	unsigned int format;
};

/* What the running kernel supports. */
struct here {
	bool known;
	const char *why_not;
	unsigned int n_ops;
	bool supported[256];
};

/* ---- what rows mean, in words ---- */

static const struct {
	uint32_t bit;
	const char *name, *text;
} traits[] = {
	{ ABI_MULTISHOT, "multishot",
	  "has a multishot form: one request, many completions, each with MORE until the last" },
	{ ABI_BUFFER_SELECT, "buffer-select", "can take its buffer from a provided-buffer group (BUFFER_SELECT)" },
	{ ABI_FIXED_BUFFER, "fixed-buffer", "uses a registered buffer, named by buf_index" },
	{ ABI_ZERO_COPY, "zero-copy", "zero copy: a second completion with NOTIF says when the memory is free" },
	{ ABI_MAKES_FD, "makes-fd",
	  "a result of 0 or more is a new descriptor, unless it goes into a fixed slot (file_index)" },
	{ ABI_MAY_BLOCK, "may-block", "may wait for another party without limit" },
	{ ABI_SOCKET_ONLY, "socket-only", "sockets only" },
	{ ABI_POSITIONED, "positioned", "off is a position in the file; -1 is the file's own" },
	{ ABI_SHORT_BREAKS_LINK, "short-breaks-link", "fewer bytes than asked for break an IO_LINK chain behind it" },
	{ ABI_BOUNDED, "bounded-worker", "when it cannot be done at once, one of the bounded workers does it" },
	{ ABI_STREAM_SEND, "stream-send", "two at once on one stream may interleave" },
	{ ABI_STREAM_RECV, "stream-receive", "two at once on one stream may each get what the other should have" },
	{ ABI_IOPOLL, "iopoll", "allowed on a ring with IOPOLL" },
	{ ABI_NO_FILE_FLAG, "no-fixed-file", "FIXED_FILE is refused, or means nothing" },
};

static const char *const directions[] = { "", "the kernel reads it", "the kernel writes it",
					  "the kernel reads and writes it" };

static const struct {
	const char *name, *text;
} lifetimes[] = {
	[ABI_UNTIL_CONSUMED] = { "consumed",
				 "must live until the entry is consumed: when submit returns; under SQPOLL later" },
	[ABI_UNTIL_COMPLETE] = { "complete", "must live until the final completion" },
	[ABI_UNTIL_NOTIF] = { "notif", "must live until the completion with NOTIF, which comes after the result" },
};

static const char *const kinds[] = {
	[ABI_DATA] = "data",         [ABI_IOVEC] = "array of iovec", [ABI_MSGHDR] = "struct msghdr",
	[ABI_PATH] = "path",         [ABI_TIMESPEC] = "timespec",    [ABI_SOCKADDR] = "socket address",
	[ABI_SOCKLEN] = "socklen_t", [ABI_STRUCT] = "struct",
};

static const char *const fields[] = { "addr", "addr2", "addr3" };

static const char *const lengths[] = {
	[ABI_LEN_LEN] = "len bytes",
	[ABI_LEN_IOVECS] = "len elements",
	[ABI_LEN_FIXED] = "bytes",
	[ABI_LEN_STRING] = "up to its NUL",
	[ABI_LEN_ADDR_LEN] = "addr_len bytes",
	[ABI_LEN_OFF] = "off bytes",
	[ABI_LEN_OPTLEN] = "optlen bytes",
	[ABI_LEN_COUNT_SIZE] = "bytes, len times",
	[ABI_LEN_SOCKLEN] = "as many bytes as *addr2 says",
	[ABI_LEN_BUFFERS] = "len bytes, fd times",
};

static const char *const conditions[] = {
	[ABI_WHEN_NO_BUFFER_SELECT] = "without BUFFER_SELECT",
	[ABI_WHEN_NOT_VECTORIZED] = "without VECTORIZED and BUFFER_SELECT",
	[ABI_WHEN_VECTORIZED] = "with VECTORIZED",
	[ABI_WHEN_NOT_IMMEDIATE] = "without IMMEDIATE_ARG",
	[ABI_WHEN_SETSOCKOPT] = "for SETSOCKOPT",
	[ABI_WHEN_GETSOCKOPT] = "for GETSOCKOPT",
	[ABI_WHEN_EPOLL_NOT_DEL] = "unless the operation is DEL",
	[ABI_WHEN_TIMEOUT_UPDATE] = "with TIMEOUT_UPDATE",
	[ABI_WHEN_SLOTS_CHOSEN] = "when the slots are chosen by the program",
	[ABI_WHEN_SLOTS_ALLOCATED] = "with FILE_INDEX_ALLOC",
};

static const char *length_text(char *buf, size_t size, const struct abi_pointer *pointer)
{
	bool sized = pointer->length == ABI_LEN_FIXED || pointer->length == ABI_LEN_COUNT_SIZE;

	snprintf(buf, size, "%.0u%s%s", sized ? pointer->size : 0, sized ? " " : "", lengths[pointer->length]);
	return buf;
}

static const char *since_text(char *buf, size_t size, const struct abi_op *op)
{
	snprintf(buf, size, "%u.%u", op->since >> 8, op->since & 0xff);
	return buf;
}

static const char *fd_text(const struct abi_op *op)
{
	if (op->traits & ABI_FD_DIR)
		return "a directory that paths begin at, or AT_FDCWD";
	if (!(op->traits & ABI_FD))
		return "not used as a file";
	return op->traits & ABI_SOCKET_ONLY ? "a socket" : "a file";
}

/* ---- flags that an entry of this operation may carry ---- */

static void add_flag(void *context, const char *field, const char *flag)
{
	json_t *object = context, *list = json_object_get(object, field);

	if (!list) {
		list = json_array();
		json_object_set_new(object, field, list);
	}
	json_array_append_new(list, common_string(flag));
}

static bool is_refused(unsigned int opcode, unsigned int ops_known, unsigned int flags)
{
	struct uring_sqe sqe = { .opcode = (uint8_t)opcode, .flags = (uint8_t)flags };
	const char *blame = "";

	return abi_sqe_refused(&sqe, 0, ops_known, &blame) && strcmp(blame, "flags") == 0;
}

/* Alone, or beside another that the operation wants. */
static bool accepts(unsigned int opcode, unsigned int ops_known, unsigned int flag)
{
	bool accepted = !is_refused(opcode, ops_known, flag);

	for (unsigned int other = 1; !accepted && other <= URING_SQE_CQE_SKIP_SUCCESS; other <<= 1)
		accepted = other != flag && is_refused(opcode, ops_known, 0) &&
			   !is_refused(opcode, ops_known, flag | other);
	return accepted;
}

/* Lists of names by field, for a kernel that knows so many operations. */
static json_t *flags_of(unsigned int opcode, unsigned int ops_known)
{
	json_t *object = json_object();

	for (unsigned int bit = 1; bit <= URING_SQE_CQE_SKIP_SUCCESS; bit <<= 1) {
		char name[32];

		abi_decode_flags(name, sizeof name, ABI_FLAGS_SQE, bit);
		if (accepts(opcode, ops_known, bit))
			add_flag(object, "flags", name);
	}
	abi_op_flags(opcode, ops_known, add_flag, object);
	return object;
}

static bool is_listed(const json_t *object, const char *field, const char *flag)
{
	const json_t *list = json_object_get(object, field);

	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), flag) == 0)
			return true;
	return false;
}

/* ---- text ---- */

static void put_pointer(const struct abi_pointer *pointer)
{
	char text[512], length[64];

	snprintf(text, sizeof text, "%s: %s, %s; %s; %s%s%s", fields[pointer->field], kinds[pointer->kind],
		 length_text(length, sizeof length, pointer), directions[pointer->direction],
		 lifetimes[pointer->lifetime].text, pointer->when ? "; counts only " : "",
		 pointer->when ? conditions[pointer->when] : "");
	printf("  ");
	print_item(stdout, pointer->name, text, INDENT - 2);
}

/* What this kernel refuses is in brackets. */
static void put_field(const char *field, const json_t *list, const json_t *here)
{
	char label[40], text[1024];
	size_t used = 0;

	for (size_t i = 0; i < json_array_size(list) && used < sizeof text; i++) {
		const char *flag = json_string_value(json_array_get(list, i));
		bool refused = here && !is_listed(here, field, flag);

		used += (size_t)snprintf(text + used, sizeof text - used, refused ? "%s(%s)" : "%s%s", i ? " " : "",
					 flag);
	}
	snprintf(label, sizeof label, "  %s", field);
	print_item(stdout, label, text, INDENT + 6);
}

static void put_flags(unsigned int opcode, const struct here *here)
{
	json_t *all = flags_of(opcode, URING_OP_LAST);
	json_t *some = here->known && here->supported[opcode] ? flags_of(opcode, here->n_ops) : NULL;
	const char *field;
	json_t *list;

	fputs(some && !json_equal(all, some) ? "\nflags it may carry (in brackets: not on this kernel)\n"
					     : "\nflags it may carry\n",
	      stdout);
	json_object_foreach(all, field, list) put_field(field, list, some);
	json_decref(some);
	json_decref(all);
}

static void put_here(unsigned int opcode, const struct here *here)
{
	struct utsname name;
	char text[1024];

	uname(&name);
	if (!here->known)
		snprintf(text, sizeof text, "not known, as no ring could be asked: %s", here->why_not);
	else
		snprintf(text, sizeof text, "%s (Linux %s)", here->supported[opcode] ? "supported" : "not supported",
			 name.release);
	print_item(stdout, "here", text, INDENT);
}

static void put_traits(const struct abi_op *op)
{
	const char *label = "notes";

	for (size_t i = 0; i < sizeof traits / sizeof *traits; i++) {
		if (!(op->traits & traits[i].bit))
			continue;
		print_item(stdout, label, traits[i].text, INDENT);
		label = "";
	}
}

static void put_one(unsigned int opcode, const struct here *here)
{
	const struct abi_op *op = abi_op(opcode);
	char since[16];

	printf("IORING_OP_%s (%u): %s\n\n", op->name, opcode, op->summary);
	printf("%-*sLinux %s\n", INDENT, "since", since_text(since, sizeof since, op));
	put_here(opcode, here);
	print_item(stdout, "fd", fd_text(op), INDENT);
	fputs(op->pointers[0].name ? "\narguments in memory\n" : "\nno arguments in memory\n", stdout);
	for (size_t i = 0; i < ABI_MAX_POINTERS && op->pointers[i].name; i++)
		put_pointer(&op->pointers[i]);
	put_flags(opcode, here);
	putchar('\n');
	put_traits(op);
}

static void put_line(unsigned int opcode, const struct here *here)
{
	const struct abi_op *op = abi_op(opcode);
	char since[16];

	printf("%3u  %-*s %-6s %-5s %s\n", opcode, NAME_WIDTH, op->name, since_text(since, sizeof since, op),
	       !here->known              ? "?"
	       : here->supported[opcode] ? "yes"
					 : "no",
	       op->summary);
}

static void put_list(const struct here *here)
{
	printf("%3s  %-*s %-6s %-5s\n", "", NAME_WIDTH, "", "since", "here");
	for (unsigned int opcode = 0; opcode < URING_OP_LAST; opcode++)
		put_line(opcode, here);
	if (!here->known)
		printf("\nWhat this kernel supports is not known, as no ring could be asked: %s\n", here->why_not);
	else if (here->n_ops > URING_OP_LAST)
		printf("\nThis kernel knows %u operations more, which this version of circlip does not.\n",
		       here->n_ops - URING_OP_LAST);
}

/* ---- JSON ---- */

static json_t *pointer_object(const struct abi_pointer *pointer)
{
	static const char *const ways[] = { "", "in", "out", "inout" };
	json_t *object = json_object();
	char length[64];

	common_set(object, "name", pointer->name);
	common_set(object, "field", fields[pointer->field]);
	common_set(object, "kind", kinds[pointer->kind]);
	common_set(object, "length", length_text(length, sizeof length, pointer));
	common_set(object, "direction", ways[pointer->direction]);
	common_set(object, "until", lifetimes[pointer->lifetime].name);
	common_set(object, "when", conditions[pointer->when]);
	return object;
}

static void put_json(unsigned int opcode, const struct here *here)
{
	const struct abi_op *op = abi_op(opcode);
	json_t *object = json_object(), *pointers = json_array(), *names = json_array();
	char since[16];

	common_set(object, "name", op->name);
	json_object_set_new(object, "opcode", json_integer(opcode));
	common_set(object, "summary", op->summary);
	common_set(object, "since", since_text(since, sizeof since, op));
	json_object_set_new(object, "supported", here->known ? json_boolean(here->supported[opcode]) : json_null());
	if (!here->known)
		common_set(object, "supported_unknown_because", here->why_not);
	json_object_set_new(object, "fd", json_boolean(op->traits & (ABI_FD | ABI_FD_DIR)));
	for (size_t i = 0; i < ABI_MAX_POINTERS && op->pointers[i].name; i++)
		json_array_append_new(pointers, pointer_object(&op->pointers[i]));
	json_object_set_new(object, "pointers", pointers);
	json_object_set_new(object, "flags", flags_of(opcode, URING_OP_LAST));
	if (here->known && here->supported[opcode])
		json_object_set_new(object, "flags_here", flags_of(opcode, here->n_ops));
	for (size_t i = 0; i < sizeof traits / sizeof *traits; i++)
		if (op->traits & traits[i].bit)
			json_array_append_new(names, common_string(traits[i].name));
	json_object_set_new(object, "traits", names);
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(object);
}

/* ---- the verb ---- */

COMMAND_NAMES(format_name, "text", "json");

static const char *op_name(size_t i)
{
	return i < URING_OP_LAST ? abi_op((unsigned int)i)->name : NULL;
}

static void ask_kernel(struct here *ret_here)
{
	const struct kernel_answer *ops = kernel_feature(KERNEL_OPS);

	ret_here->known =
		kernel_has(KERNEL_URING) && ops->state == KERNEL_YES && kernel_ops_supported(ret_here->supported) == 0;
	ret_here->n_ops = (unsigned int)ops->value + 1;
	ret_here->why_not = kernel_has(KERNEL_URING) ? ops->why : kernel_feature(KERNEL_URING)->why;
}

static int ops_run(void *options, char **words, size_t n_words)
{
	const struct ops_options *o = options;
	int opcode = n_words ? abi_op_find(words[0]) : 0;
	struct here here = { .known = false };
	char hint[128];

	if (opcode < 0)
		return command_fail("ops", COMMAND_USAGE, "there is no operation \"%s\"%s", words[0],
				    near_hint(hint, sizeof hint, words[0], op_name));
	ask_kernel(&here);
	if (!n_words && o->format == 0)
		put_list(&here);
	for (unsigned int i = 0; !n_words && o->format && i < URING_OP_LAST; i++)
		put_json(i, &here);
	if (n_words)
		(o->format ? put_json : put_one)((unsigned int)opcode, &here);
	return COMMAND_OK;
}

static const struct command_option ops_rows[] = {
	{ "format", NULL, "How to write them: text, or an object each (JSON Lines).", COMMAND_CHOICE,
	  offsetof(struct ops_options, format), format_name },
	{ NULL },
};

const struct command ops_command = {
	.name = "ops",
	.words = "[NAME]",
	.summary = "List io_uring's operations, or say of one what it takes and how long its arguments must live.",
	.about = "NAME is as in the kernel's header, with or without IORING_OP_. Which operations this kernel supports "
		 "is asked of a ring made for the purpose.",
	.options = ops_rows,
	.size = sizeof(struct ops_options),
	.max_words = 1,
	.names = op_name,
	.run = ops_run,
};
