/* SPDX-License-Identifier: MIT */
/* Entries, completions and flags as text. What an operation's fields are called comes from decode-args.def. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "abi/decode.h"
#include "abi/field.h"
#include "abi/op.h"
#include "abi/uring.h"

/* ---- a bounded text ---- */

struct text {
	char *buf;
	size_t size, used; /* `used` never counts the NUL and stays below `size` */
	bool cut;
};

static void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void text_add(struct text *text, const char *format, ...)
{
	size_t room = text->size - text->used;
	va_list args;
	int n;

	if (!text->size || text->cut)
		return;
	va_start(args, format);
	n = vsnprintf(text->buf + text->used, room, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < room) {
		text->used += (size_t)n;
		return;
	}
	text->used = text->size - 1;
	text->cut = true;
}

static size_t text_end(struct text *text)
{
	size_t dots = text->used < 3 ? text->used : 3;

	if (text->size)
		text->buf[text->used] = '\0';
	if (text->cut)
		memcpy(text->buf + text->used - dots, "...", dots);
	return text->used;
}

/* A file's name may hold anything but NUL; a terminal shall not obey it. */
static void text_add_name(struct text *text, const char *name)
{
	text_add(text, "<");
	for (; *name && !text->cut; name++) {
		unsigned char c = (unsigned char)*name;

		text_add(text, c < ' ' || c == 0x7f || c == '\\' ? "\\x%02x" : "%c", c);
	}
	text_add(text, ">");
}

/* ---- sets of flags ---- */

struct flag {
	uint32_t bits;
	const char *name;
};

#define SET(set_name, ...) static const struct flag set_##set_name[] = { __VA_ARGS__, { 0 } };
#include "decode-flags.def"
#undef SET

static bool text_add_bits(struct text *text, const struct flag *set, uint32_t *bits)
{
	bool any = false;

	for (; set->name; set++) {
		if ((*bits & set->bits) != set->bits)
			continue;
		text_add(text, "%s%s", any ? "|" : "", set->name);
		*bits &= ~set->bits;
		any = true;
	}
	return any;
}

static void text_add_flags(struct text *text, const struct flag *set, uint32_t bits)
{
	bool any = text_add_bits(text, set, &bits);

	if (bits)
		text_add(text, "%s0x%x", any ? "|" : "", bits);
	else if (!any)
		text_add(text, "0");
}

static void text_add_cqe_flags(struct text *text, uint32_t flags)
{
	uint32_t rest = flags & ~(uint32_t)URING_CQE_F_BUFFER;
	bool any;

	if (flags & URING_CQE_F_BUFFER)
		rest &= (1u << URING_CQE_BUFFER_SHIFT) - 1;
	any = text_add_bits(text, set_cqe, &rest);
	if (flags & URING_CQE_F_BUFFER)
		text_add(text, "%sBUFFER(%u)", any ? "|" : "", flags >> URING_CQE_BUFFER_SHIFT);
	any |= flags & URING_CQE_F_BUFFER;
	if (rest)
		text_add(text, "%s0x%x", any ? "|" : "", rest);
	else if (!any)
		text_add(text, "0");
}

static const struct {
	const struct flag *flags;
	const char *prefix; /* in the kernel's header */
} sets[] = {
	[ABI_FLAGS_SQE] = { set_sqe, "IOSQE_" },
	[ABI_FLAGS_SETUP] = { set_setup, "IORING_SETUP_" },
	[ABI_FLAGS_ENTER] = { set_enter, "IORING_ENTER_" },
	[ABI_FLAGS_CQE] = { set_cqe, "IORING_CQE_F_" },
	[ABI_FLAGS_FEATURES] = { set_features, "IORING_FEAT_" },
};

const char *abi_flag_name(enum abi_flags which, unsigned int bit)
{
	for (const struct flag *flag = sets[which].flags; flag->name; flag++)
		if (bit < 32 && flag->bits == 1u << bit)
			return flag->name;
	return NULL;
}

static const char *without(const char *name, const char *prefix)
{
	return strncasecmp(name, prefix, strlen(prefix)) == 0 ? name + strlen(prefix) : name;
}

uint32_t abi_flag_find(enum abi_flags which, const char *name)
{
	name = without(name, sets[which].prefix);
	if (which == ABI_FLAGS_SQE)
		name = without(name, "IO_"); /* as in IOSQE_IO_LINK */
	for (const struct flag *flag = sets[which].flags; flag->name; flag++)
		if (strcasecmp(flag->name, name) == 0)
			return flag->bits;
	return 0;
}

size_t abi_decode_flags(char *buf, size_t size, enum abi_flags which, unsigned int flags)
{
	struct text text = { .buf = buf, .size = size };

	if (which == ABI_FLAGS_CQE)
		text_add_cqe_flags(&text, flags);
	else
		text_add_flags(&text, sets[which].flags, flags);
	return text_end(&text);
}

/* ---- arguments of operations ---- */

static const char *const epoll_ops[] = { NULL, "ADD", "DEL", "MOD", NULL };
static const char *const shutdown_ways[] = { "SHUT_RD", "SHUT_WR", "SHUT_RDWR", NULL };
static const char *const msg_ring_cmds[] = { "DATA", "SEND_FD", NULL };

enum shape { QUIET, FD, DFD, INT, DEC, HEX, OCT, POS, SLOT, FLAGS, ENUM };

struct arg {
	const char *name;
	struct field field;
	uint8_t shape;
	bool if_set;
	const void *names; /* struct flag or strings */
};

#define ARG(arg_name, member, arg_shape, arg_if_set, arg_names)                                                        \
	{                                                                                                              \
		.name = arg_name, .field = FIELD(member), .shape = arg_shape, .if_set = arg_if_set, .names = arg_names \
	}
#define QUIET(field) ARG(NULL, field, QUIET, false, NULL)
#define FD(name, field) ARG(name, field, FD, false, NULL)
#define DFD(name, field) ARG(name, field, DFD, false, NULL)
#define INT(name, field) ARG(name, field, INT, false, NULL)
#define DEC(name, field) ARG(name, field, DEC, false, NULL)
#define DEC_SET(name, field) ARG(name, field, DEC, true, NULL)
#define HEX(name, field) ARG(name, field, HEX, false, NULL)
#define HEX_SET(name, field) ARG(name, field, HEX, true, NULL)
#define PTR(name, field) HEX(name, field)
#define PTR_SET(name, field) HEX_SET(name, field)
#define OCT(name, field) ARG(name, field, OCT, false, NULL)
#define POS(name, field) ARG(name, field, POS, false, NULL)
#define SLOT(name, field) ARG(name, field, SLOT, true, NULL)
#define FLAGS(name, field, set) ARG(name, field, FLAGS, true, set_##set)
#define ENUM(name, field, strings) ARG(name, field, ENUM, false, strings)

enum { MAX_ARGS = 10 };

static const struct arg op_args[][MAX_ARGS] = {
#define ARGS(op_name, ...) [URING_OP_##op_name] = { __VA_ARGS__ },
#include "decode-args.def"
#undef ARGS
};
_Static_assert(sizeof(op_args) / sizeof(op_args[0]) == URING_OP_LAST, "decode-args.def: the last operation is missing");

/* What a socket's get- and setsockopt commands make of the same fields. */
static const struct arg sockopt_args[MAX_ARGS] = { FD("fd", fd),
						   HEX("cmd_op", cmd_op),
						   INT("level", level),
						   INT("optname", optname),
						   PTR("optval", optval),
						   DEC("optlen", optlen),
						   FLAGS("uring_cmd_flags", op_flags, cmd) };

/* What may be left over: a field that the operation has no use for is shown when it is not zero. */
static const struct arg plain_args[] = {
	INT("fd", fd),
	HEX_SET("off", off),
	HEX_SET("addr", addr),
	DEC_SET("len", len),
	HEX_SET("op_flags", op_flags),
	HEX_SET("ioprio", ioprio),
	DEC_SET("buf_index", buf_index),
	DEC_SET("file_index", file_index),
	HEX_SET("addr3", addr3),
	HEX_SET("pad2", pad2),
	DEC_SET("personality", personality),
};

static const struct arg sendv_args[] = {
	FD("fd", fd),
	PTR("iov", addr),
	DEC("iovcnt", len),
	FLAGS("msg_flags", op_flags, msg),
	FLAGS("ioprio", ioprio, recvsend),
	DEC_SET("buf_index", buf_index),
	PTR_SET("addr", addr2),
	DEC_SET("addrlen", addr_len),
	{ 0 },
};

static const struct arg *args_of(const struct uring_sqe *sqe)
{
	static const struct arg none[MAX_ARGS];
	bool send = sqe->opcode == URING_OP_SEND || sqe->opcode == URING_OP_SEND_ZC;
	bool sockopt = sqe->cmd_op == URING_SOCKET_GETSOCKOPT || sqe->cmd_op == URING_SOCKET_SETSOCKOPT;

	if (sqe->opcode >= URING_OP_LAST)
		return none;
	if (send && sqe->ioprio & URING_SEND_VECTORIZED)
		return sendv_args;
	return sqe->opcode == URING_OP_URING_CMD && sockopt ? sockopt_args : op_args[sqe->opcode];
}

static void text_add_number(struct text *text, const struct arg *arg, uint64_t value)
{
	if (arg->shape == POS && value == UINT64_MAX)
		text_add(text, "-1");
	else if (arg->shape == SLOT && value == URING_FILE_INDEX_ALLOC)
		text_add(text, "ALLOC");
	else if (arg->shape <= INT)
		text_add(text, "%d", (int)value);
	else if (arg->shape == HEX)
		text_add(text, "0x%llx", (unsigned long long)value);
	else if (arg->shape == OCT)
		text_add(text, "0%llo", (unsigned long long)value);
	else
		text_add(text, "%llu", (unsigned long long)value);
}

static void text_add_enum(struct text *text, const struct arg *arg, uint64_t value)
{
	const char *const *names = arg->names;
	uint64_t n = 1; /* the first name may be missing, the list ends at the next that is */

	while (names[n])
		n++;
	if (value < n && names[value])
		text_add(text, "%s", names[value]);
	else
		text_add(text, "%llu", (unsigned long long)value);
}

struct line {
	struct text text;
	const char *fd_name;
	const char *separator;
	uint64_t shown; /* one bit per byte of the entry */
};

static uint64_t bytes_of(const struct arg *arg)
{
	return ((UINT64_C(1) << arg->field.size) - 1) << arg->field.offset;
}

static void line_add(struct line *line, const struct arg *arg, uint64_t value)
{
	line->shown |= bytes_of(arg);
	if (arg->shape == QUIET || (arg->if_set && !value))
		return;
	text_add(&line->text, "%s%s=", line->separator, arg->name);
	line->separator = ", ";
	if (arg->shape == FLAGS)
		text_add_flags(&line->text, arg->names, (uint32_t)value);
	else if (arg->shape == ENUM)
		text_add_enum(&line->text, arg, value);
	else if (arg->shape == DFD && (int)value == AT_FDCWD)
		text_add(&line->text, "AT_FDCWD");
	else
		text_add_number(&line->text, arg, value);
	if ((arg->shape == FD || arg->shape == DFD) && line->fd_name)
		text_add_name(&line->text, line->fd_name);
}

static void line_add_rest(struct line *line, const struct uring_sqe *sqe)
{
	static const struct arg group = DEC("buf_group", buf_group), flags = FLAGS("flags", flags, sqe),
				user_data = HEX("user_data", user_data);

	if (sqe->flags & URING_SQE_BUFFER_SELECT && !(line->shown & bytes_of(&group)))
		line_add(line, &group, sqe->buf_group);
	for (size_t i = 0; i < sizeof(plain_args) / sizeof(plain_args[0]); i++) {
		const struct arg *arg = &plain_args[i];
		uint64_t value = field_value(&arg->field, sqe);
		bool unused_fd = arg == plain_args && (!value || value == UINT32_MAX);

		if (value && !unused_fd && !(line->shown & bytes_of(arg)))
			line_add(line, arg, value);
	}
	if (sqe->flags)
		line_add(line, &flags, sqe->flags);
	line_add(line, &user_data, sqe->user_data);
}

size_t abi_decode_sqe(char *buf, size_t size, const struct uring_sqe *sqe, const char *fd_name)
{
	struct line line = { .text = { .buf = buf, .size = size }, .fd_name = fd_name, .separator = "" };

	if (sqe->opcode < URING_OP_LAST)
		text_add(&line.text, "%s(", abi_op(sqe->opcode)->name);
	else
		text_add(&line.text, "OP_%u(", sqe->opcode);
	for (const struct arg *arg = args_of(sqe); arg->field.size; arg++)
		line_add(&line, arg, field_value(&arg->field, sqe));
	line_add_rest(&line, sqe);
	text_add(&line.text, ")");
	return text_end(&line.text);
}

static bool entry_refused(const struct arg *arg, struct uring_sqe sqe, unsigned int ops_known, uint32_t bits,
			  const char **ret_blame)
{
	memcpy((unsigned char *)&sqe + arg->field.offset, &bits, arg->field.size); /* little endian */
	return abi_sqe_refused(&sqe, 0, ops_known, ret_blame);
}

/* Whether the kernel accepts these bits in the field of a plain entry. */
static bool accepts(const struct arg *arg, unsigned int opcode, unsigned int ops_known, uint32_t bits)
{
	const struct uring_sqe plain[] = {
		{ .opcode = (uint8_t)opcode },
		{ .opcode = (uint8_t)opcode, .len = 1 },
		{ .opcode = (uint8_t)opcode, .flags = URING_SQE_BUFFER_SELECT },
	};
	const char *blame = "";
	bool any = false;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (!entry_refused(arg, plain[i], ops_known, bits, NULL))
			return true;
		any |= !entry_refused(arg, plain[i], ops_known, 0, NULL);
	}
	/* No entry is plain enough: then it is legal if something else is to blame. */
	return !any && entry_refused(arg, plain[0], ops_known, bits, &blame) && strcmp(blame, arg->name) != 0;
}

static bool is_legal(const struct arg *arg, unsigned int opcode, unsigned int ops_known, uint32_t bits)
{
	if (accepts(arg, opcode, ops_known, bits))
		return true;
	for (const struct flag *other = arg->names; other->name; other++)
		if (!(other->bits & bits) && accepts(arg, opcode, ops_known, bits | other->bits))
			return true;
	return false;
}

void abi_op_flags(unsigned int opcode, unsigned int ops_known, abi_flag_visitor *each, void *context)
{
	for (size_t i = 0; opcode < URING_OP_LAST && i < MAX_ARGS; i++) {
		const struct arg *arg = &op_args[opcode][i];

		for (const struct flag *flag = arg->shape == FLAGS ? arg->names : NULL; flag && flag->name; flag++)
			if (is_legal(arg, opcode, ops_known, flag->bits))
				each(context, arg->name, flag->name);
	}
}

/* ---- completions and register calls ---- */

size_t abi_decode_cqe(char *buf, size_t size, const struct uring_cqe *cqe)
{
	struct text text = { .buf = buf, .size = size };
	const char *error = cqe->res < 0 && cqe->res > -4096 ? strerrorname_np(-cqe->res) : NULL;

	text_add(&text, "res=%d", cqe->res);
	if (error)
		text_add(&text, " %s", error);
	else if (cqe->flags & URING_CQE_F_NOTIF && cqe->res == INT_MIN)
		text_add(&text, " ZC_COPIED");
	if (cqe->flags) {
		text_add(&text, " flags=");
		text_add_cqe_flags(&text, cqe->flags);
	}
	return text_end(&text);
}

#define REG(name) [URING_REG_##name] = #name
static const char *const register_names[] = {
	REG(REGISTER_BUFFERS),
	REG(UNREGISTER_BUFFERS),
	REG(REGISTER_FILES),
	REG(UNREGISTER_FILES),
	REG(REGISTER_EVENTFD),
	REG(UNREGISTER_EVENTFD),
	REG(FILES_UPDATE),
	REG(EVENTFD_ASYNC),
	REG(PROBE),
	REG(REGISTER_PERSONALITY),
	REG(UNREGISTER_PERSONALITY),
	REG(RESTRICTIONS),
	REG(ENABLE_RINGS),
	REG(FILES2),
	REG(FILES_UPDATE2),
	REG(BUFFERS2),
	REG(BUFFERS_UPDATE),
	REG(REGISTER_IOWQ_AFF),
	REG(UNREGISTER_IOWQ_AFF),
	REG(IOWQ_MAX_WORKERS),
	REG(REGISTER_RING_FDS),
	REG(UNREGISTER_RING_FDS),
	REG(REGISTER_PBUF_RING),
	REG(UNREGISTER_PBUF_RING),
	REG(SYNC_CANCEL),
	REG(FILE_ALLOC_RANGE),
	REG(PBUF_STATUS),
	REG(REGISTER_NAPI),
	REG(UNREGISTER_NAPI),
	REG(CLOCK),
	REG(CLONE_BUFFERS),
	REG(SEND_MSG_RING),
	REG(ZCRX_IFQ),
	REG(RESIZE_RINGS),
	REG(MEM_REGION),
	REG(QUERY),
	REG(ZCRX_CTRL),
	REG(BPF_FILTER),
};
#undef REG
_Static_assert(sizeof(register_names) / sizeof(register_names[0]) == URING_REG_LAST,
	       "the last register opcode has no name");

const char *abi_register_name(unsigned int opcode)
{
	opcode &= ~URING_REG_USE_REGISTERED_RING;
	return opcode < URING_REG_LAST ? register_names[opcode] : "unknown";
}

int abi_register_find(const char *name)
{
	name = without(name, "IORING_");
	for (int i = 0; i < URING_REG_LAST; i++)
		if (strcasecmp(register_names[i], name) == 0 ||
		    strcasecmp(without(register_names[i], "REGISTER_"), without(name, "REGISTER_")) == 0)
			return i;
	return -ENOENT;
}
