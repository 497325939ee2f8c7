/* SPDX-License-Identifier: MIT */
#include "enforce/groups.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "abi/decode.h"
#include "abi/op.h"
#include "abi/uring.h"

/* clang-format off */
const struct groups_row groups_table[] = {
	/* Reads and writes do not ask what the descriptor is: a pipe or a socket is read as a file is. */
	{ GROUPS_OPS, "file-read", "READ READV READ_FIXED READV_FIXED READ_MULTISHOT", "read from open descriptors" },
	{ GROUPS_OPS, "file-write", "WRITE WRITEV WRITE_FIXED WRITEV_FIXED", "write to open descriptors" },
	{ GROUPS_OPS, "sync", "FSYNC SYNC_FILE_RANGE", "make data durable" },
	{ GROUPS_OPS, "file-space", "FALLOCATE FTRUNCATE FADVISE", "allocate, cut and advise about open files" },
	{ GROUPS_OPS, "file", "file-read file-write sync file-space", "everything with files that are open already" },
	{ GROUPS_OPS, "files-open", "OPENAT OPENAT2 CLOSE STATX", "open, close and look at files by name" },
	{ GROUPS_OPS, "files-manage", "RENAMEAT UNLINKAT MKDIRAT SYMLINKAT LINKAT", "change directories" },
	{ GROUPS_OPS, "xattr", "FSETXATTR SETXATTR FGETXATTR GETXATTR", "extended attributes" },
	{ GROUPS_OPS, "pipes", "SPLICE TEE PIPE", "pipes, and moving data through them" },
	{ GROUPS_OPS, "memory", "MADVISE", "advise about memory" },
	{ GROUPS_OPS, "net-transfer", "SEND RECV SENDMSG RECVMSG SHUTDOWN", "use sockets that are there already" },
	{ GROUPS_OPS, "net-connect", "SOCKET CONNECT", "make sockets and connect them" },
	{ GROUPS_OPS, "net-serve", "SOCKET BIND LISTEN ACCEPT", "make sockets and accept connections" },
	{ GROUPS_OPS, "net", "net-transfer net-connect net-serve", "everything with sockets, but for zero copy" },
	{ GROUPS_OPS, "net-zerocopy", "SEND_ZC SENDMSG_ZC RECV_ZC", "sockets without copying" },
	{ GROUPS_OPS, "timers", "TIMEOUT TIMEOUT_REMOVE LINK_TIMEOUT", "timeouts, of their own and of other requests" },
	{ GROUPS_OPS, "poll", "POLL_ADD POLL_REMOVE", "wait until descriptors are ready" },
	{ GROUPS_OPS, "epoll", "EPOLL_CTL EPOLL_WAIT", "epoll sets" },
	{ GROUPS_OPS, "cancel", "ASYNC_CANCEL", "cancel requests" },
	{ GROUPS_OPS, "provided-buffers", "PROVIDE_BUFFERS REMOVE_BUFFERS", "buffers handed over by requests" },
	{ GROUPS_OPS, "fixed-files", "FILES_UPDATE FIXED_FD_INSTALL", "change registered files by requests" },
	{ GROUPS_OPS, "messages", "MSG_RING", "messages and descriptors from ring to ring" },
	{ GROUPS_OPS, "processes", "WAITID", "wait for children" },
	{ GROUPS_OPS, "futex", "FUTEX_WAIT FUTEX_WAKE FUTEX_WAITV", "wait on memory" },
	{ GROUPS_OPS, "commands", "URING_CMD URING_CMD128", "what drivers and sockets define for themselves" },
	{ GROUPS_OPS, "nops", "NOP NOP128", "nothing at all" },

	{ GROUPS_SQE_FLAGS, "links", "LINK HARDLINK", "chains" },

	{ GROUPS_REGISTER_OPS, "discovery", "PROBE QUERY", "ask what the kernel has" },
	{ GROUPS_REGISTER_OPS, "fixed-buffers", "REGISTER_BUFFERS UNREGISTER_BUFFERS BUFFERS2 BUFFERS_UPDATE",
	  "memory that is pinned once" },
	{ GROUPS_REGISTER_OPS, "fixed-files",
	  "REGISTER_FILES UNREGISTER_FILES FILES_UPDATE FILES2 FILES_UPDATE2 FILE_ALLOC_RANGE", "a table of open files" },
	{ GROUPS_REGISTER_OPS, "provided-buffers", "REGISTER_PBUF_RING UNREGISTER_PBUF_RING PBUF_STATUS",
	  "rings of buffers for BUFFER_SELECT" },
	{ GROUPS_REGISTER_OPS, "eventfds", "REGISTER_EVENTFD UNREGISTER_EVENTFD EVENTFD_ASYNC", "tell of completions" },
	{ GROUPS_REGISTER_OPS, "ring-descriptors", "REGISTER_RING_FDS UNREGISTER_RING_FDS",
	  "spare a look-up in each call" },
	{ GROUPS_REGISTER_OPS, "workers", "REGISTER_IOWQ_AFF UNREGISTER_IOWQ_AFF IOWQ_MAX_WORKERS",
	  "where and how many workers run" },
	{ GROUPS_REGISTER_OPS, "busy-poll", "REGISTER_NAPI UNREGISTER_NAPI", "poll network cards" },
	{ GROUPS_REGISTER_OPS, "receive-zerocopy", "ZCRX_IFQ ZCRX_CTRL", "network cards write into the program's memory" },
	/* What belongs to the ring alone: no credentials, no other ring or process, no device, nothing that undoes a cap. */
	{ GROUPS_REGISTER_OPS, "basic",
	  "discovery fixed-buffers fixed-files provided-buffers eventfds ring-descriptors SYNC_CANCEL ENABLE_RINGS CLOCK",
	  "what concerns the ring alone" },

	{ GROUPS_SETUP_FLAGS, "task-work", "COOP_TASKRUN TASKRUN_FLAG SINGLE_ISSUER DEFER_TASKRUN",
	  "when completions are worked off" },
	{ GROUPS_SETUP_FLAGS, "wide-entries", "SQE128 CQE32 CQE_MIXED SQE_MIXED", "entries of other sizes" },
	{ GROUPS_SETUP_FLAGS, "device-polling", "IOPOLL HYBRID_IOPOLL", "poll devices for completions" },
	{ GROUPS_SETUP_FLAGS, "user-memory", "NO_MMAP REGISTERED_FD_ONLY", "rings in the program's own memory" },
	{ GROUPS_SETUP_FLAGS, "basic",
	  "task-work wide-entries CQSIZE CLAMP ATTACH_WQ R_DISABLED SUBMIT_ALL NO_SQARRAY SQ_REWIND",
	  "what concerns the ring alone" },

	{ GROUPS_FAMILIES, "ip", "AF_INET AF_INET6", "the internet" },
	{ GROUPS_N, NULL, NULL, NULL },
};
/* clang-format on */

#define FAMILY(name) [name] = #name
static const char *const families[] = {
	FAMILY(AF_UNSPEC),    FAMILY(AF_UNIX),       FAMILY(AF_INET),    FAMILY(AF_AX25),    FAMILY(AF_IPX),
	FAMILY(AF_APPLETALK), FAMILY(AF_NETROM),     FAMILY(AF_BRIDGE),  FAMILY(AF_ATMPVC),  FAMILY(AF_X25),
	FAMILY(AF_INET6),     FAMILY(AF_ROSE),       FAMILY(AF_DECnet),  FAMILY(AF_NETBEUI), FAMILY(AF_SECURITY),
	FAMILY(AF_KEY),       FAMILY(AF_NETLINK),    FAMILY(AF_PACKET),  FAMILY(AF_ASH),     FAMILY(AF_ECONET),
	FAMILY(AF_ATMSVC),    FAMILY(AF_RDS),        FAMILY(AF_SNA),     FAMILY(AF_IRDA),    FAMILY(AF_PPPOX),
	FAMILY(AF_WANPIPE),   FAMILY(AF_LLC),        FAMILY(AF_IB),      FAMILY(AF_MPLS),    FAMILY(AF_CAN),
	FAMILY(AF_TIPC),      FAMILY(AF_BLUETOOTH),  FAMILY(AF_IUCV),    FAMILY(AF_RXRPC),   FAMILY(AF_ISDN),
	FAMILY(AF_PHONET),    FAMILY(AF_IEEE802154), FAMILY(AF_CAIF),    FAMILY(AF_ALG),     FAMILY(AF_NFC),
	FAMILY(AF_VSOCK),     FAMILY(AF_KCM),        FAMILY(AF_QIPCRTR), FAMILY(AF_SMC),     FAMILY(AF_XDP),
	FAMILY(AF_MCTP),
};
#undef FAMILY
enum { N_FAMILIES = sizeof families / sizeof *families };

/* ---- names of members ---- */

static const char *op_name(unsigned int member)
{
	return member < URING_OP_LAST ? abi_op(member)->name : NULL;
}

static const char *sqe_flag_name(unsigned int member)
{
	return abi_flag_name(ABI_FLAGS_SQE, member);
}

static const char *register_name(unsigned int member)
{
	return member < URING_REG_LAST ? abi_register_name(member) : NULL;
}

static const char *setup_flag_name(unsigned int member)
{
	return abi_flag_name(ABI_FLAGS_SETUP, member);
}

static const char *family_name(unsigned int member)
{
	return member < N_FAMILIES ? families[member] : NULL;
}

static int sqe_flag_find(const char *word)
{
	uint32_t bits = abi_flag_find(ABI_FLAGS_SQE, word);

	return bits ? __builtin_ctz(bits) : -ENOENT;
}

static int setup_flag_find(const char *word)
{
	uint32_t bits = abi_flag_find(ABI_FLAGS_SETUP, word);

	return bits ? __builtin_ctz(bits) : -ENOENT;
}

static int family_find(const char *word)
{
	if (strncasecmp(word, "AF_", 3) == 0 || strncasecmp(word, "PF_", 3) == 0)
		word += 3;
	for (unsigned int i = 0; i < N_FAMILIES; i++)
		if (families[i] && strcasecmp(families[i] + 3, word) == 0)
			return (int)i;
	return strcasecmp(word, "LOCAL") == 0 ? AF_UNIX : -ENOENT;
}

static const struct vocabulary {
	unsigned int size;
	const char *number; /* how a member without a name is written */
	const char *(*name)(unsigned int member);
	int (*find)(const char *word);
} vocabularies[GROUPS_N] = {
	[GROUPS_OPS] = { 64 * GROUPS_WORDS, "", op_name, abi_op_find },
	[GROUPS_SQE_FLAGS] = { 8, "bit-", sqe_flag_name, sqe_flag_find },
	[GROUPS_REGISTER_OPS] = { 64, "", register_name, abi_register_find },
	[GROUPS_SETUP_FLAGS] = { 32, "bit-", setup_flag_name, setup_flag_find },
	[GROUPS_FAMILIES] = { 64, "", family_name, family_find },
};

unsigned int groups_size(enum groups_set set)
{
	return vocabularies[set].size;
}

bool groups_has_name(enum groups_set set, unsigned int member)
{
	return vocabularies[set].name(member) != NULL;
}

const char *groups_name(enum groups_set set, unsigned int member, char buf[GROUPS_NAME_BYTES])
{
	const char *name = vocabularies[set].name(member);

	if (name)
		return name;
	snprintf(buf, GROUPS_NAME_BYTES, "%s%u", vocabularies[set].number, member);
	return buf;
}

/* ---- words ---- */

static int find_number(const struct vocabulary *vocabulary, const char *word)
{
	size_t prefix = strlen(vocabulary->number), digits;
	unsigned int member = 0;

	if (strncmp(word, vocabulary->number, prefix) != 0)
		return -ENOENT;
	word += prefix;
	digits = strspn(word, "0123456789");
	if (!digits || digits > 3 || word[digits])
		return -ENOENT;
	for (; *word; word++)
		member = member * 10 + (unsigned int)(*word - '0');
	return member < vocabulary->size ? (int)member : -ENOENT;
}

int groups_find_member(enum groups_set set, const char *word)
{
	int member = vocabularies[set].find(word);

	return member >= 0 ? member : find_number(&vocabularies[set], word);
}

static struct groups_bits all_of(enum groups_set set)
{
	struct groups_bits bits = { { 0 } };

	for (unsigned int member = 0; member < vocabularies[set].size; member++)
		groups_put(&bits, member);
	return bits;
}

static const struct groups_row *find_row(enum groups_set set, const char *word, const struct groups_row *end)
{
	for (const struct groups_row *row = groups_table; row->name && row != end; row++)
		if (row->set == set && strcmp(row->name, word) == 0)
			return row;
	return NULL;
}

static void add_row(const struct groups_row *row, struct groups_bits *bits);

/* Rows use only those before them, so this comes to an end. */
static void add_word(const struct groups_row *row, const char *word, struct groups_bits *bits)
{
	const struct groups_row *inner = find_row(row->set, word, row);
	int member = inner ? -ENOENT : groups_find_member(row->set, word);

	if (inner)
		add_row(inner, bits);
	else if (member >= 0)
		groups_put(bits, (unsigned int)member);
}

static void add_row(const struct groups_row *row, struct groups_bits *bits)
{
	char word[GROUPS_NAME_BYTES];

	for (const char *at = row->words; *at;) {
		size_t n = strcspn(at, " ");

		snprintf(word, sizeof word, "%.*s", (int)n, at);
		add_word(row, word, bits);
		at += n + strspn(at + n, " ");
	}
}

int groups_find(enum groups_set set, const char *word, struct groups_bits *ret_bits)
{
	const struct groups_row *row = find_row(set, word, NULL);
	struct groups_bits bits = { { 0 } };
	int member;

	if (strcmp(word, "all") == 0 || strcmp(word, "any") == 0) {
		bits = all_of(set);
	} else if (row) {
		add_row(row, &bits);
	} else if (strcmp(word, "none") != 0) {
		member = groups_find_member(set, word);
		if (member < 0)
			return member;
		groups_put(&bits, (unsigned int)member);
	}
	*ret_bits = bits;
	return 0;
}

/* ---- lists for hints: the groups, then the members that have names ---- */

static const char *word_at(enum groups_set set, size_t i)
{
	for (const struct groups_row *row = groups_table; row->name; row++)
		if (row->set == set && i-- == 0)
			return row->name;
	for (unsigned int member = 0; member < vocabularies[set].size; member++)
		if (vocabularies[set].name(member) && i-- == 0)
			return vocabularies[set].name(member);
	return NULL;
}

#define LIST(function, set)                                                                                            \
	static const char *function(size_t i)                                                                          \
	{                                                                                                              \
		return word_at(set, i);                                                                                \
	}
LIST(ops_list, GROUPS_OPS)
LIST(sqe_flags_list, GROUPS_SQE_FLAGS)
LIST(register_ops_list, GROUPS_REGISTER_OPS)
LIST(setup_flags_list, GROUPS_SETUP_FLAGS)
LIST(families_list, GROUPS_FAMILIES)
#undef LIST

near_list *groups_list(enum groups_set set)
{
	static near_list *const lists[GROUPS_N] = { ops_list, sqe_flags_list, register_ops_list, setup_flags_list,
						    families_list };

	return lists[set];
}
