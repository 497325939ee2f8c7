/* SPDX-License-Identifier: MIT */
/* Which entries the kernel refuses before it runs them: refuse.def, and the few checks that all operations share. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "abi/field.h"
#include "abi/op.h"
#include "abi/uring.h"

enum condition { HOLDS, ANY_OF, ALL_OF, NONE_OF, ABOVE, BELOW, EQUALS, CHOSEN_SLOT };

struct condition_on {
	struct field field;
	uint8_t condition; /* enum condition */
	uint64_t value;
};

/* Refuses when both conditions hold; a second one that is not given does. */
struct rule {
	const char *name; /* of the field to blame; NULL ends the list */
	struct condition_on first, second;
	int error;            /* 0: EINVAL */
	uint8_t since, until; /* numbers of operations that the kernel knows; 0: no matter */
	uint8_t unless;       /* SQE flags with which the operation does not look */
};

/* Kernels before Linux 5.15 refuse less; and no kernel will know so many operations for years. */
enum { OPS_OF_BASELINE = 40, OPS_NEVER_KNOWN = 128, MAX_RULES = 16 };

#define ON(member, how, bits)                                                                                          \
	{                                                                                                              \
		.field = FIELD(member), .condition = how, .value = bits                                                \
	}
#define NEVER(blame, member, how, bits, ...)                                                                           \
	{                                                                                                              \
		.name = blame, .first = ON(member, how, bits), __VA_ARGS__                                             \
	}
#define BOTH(blame, member, how, bits, member2, how2, bits2, ...)                                                      \
	{                                                                                                              \
		.name = blame, .first = ON(member, how, bits), .second = ON(member2, how2, bits2), __VA_ARGS__         \
	}
#define UNUSED(blame, member, ...) NEVER(blame, member, ANY_OF, UINT64_MAX, __VA_ARGS__)
#define ONLY(blame, member, mask, ...) NEVER(blame, member, ANY_OF, ~(uint64_t)(mask), __VA_ARGS__)
#define ERROR(number) .error = number
#define SINCE(operations) .since = operations
#define UNTIL(operations) .until = operations
#define UNLESS(sqe_flag) .unless = sqe_flag

static const struct rule rules[URING_OP_LAST][MAX_RULES] = {
#define RULES(op_name, ...) [URING_OP_##op_name] = { __VA_ARGS__ },
#include "refuse.def"
#undef RULES
};

static bool condition_holds(const struct condition_on *on, const struct uring_sqe *sqe)
{
	uint64_t value = on->condition == HOLDS ? 0 : field_value(&on->field, sqe);

	switch (on->condition) {
	case HOLDS:
		return true;
	case ANY_OF:
		return value & on->value;
	case ALL_OF:
		return (value & on->value) == on->value;
	case NONE_OF:
		return !(value & on->value);
	case ABOVE:
		return value > on->value;
	case BELOW:
		return value < on->value;
	case EQUALS:
		return value == on->value;
	default: /* CHOSEN_SLOT */
		return value && value != URING_FILE_INDEX_ALLOC;
	}
}

static bool rule_counts(const struct rule *rule, unsigned int ops_known)
{
	unsigned int since = rule->since ? rule->since : OPS_OF_BASELINE;

	if (!ops_known)
		return since <= OPS_OF_BASELINE && !rule->until;
	return ops_known >= since && (!rule->until || ops_known <= rule->until);
}

/* Operations whose ioprio means something; these three never took one, but only Linux 5.19 and later look. */
static bool ioprio_is_unused(const struct uring_sqe *sqe, unsigned int ops_known)
{
	enum { OPS_OF_5_19 = 47 };
	const struct abi_op *op = abi_op(sqe->opcode);

	switch (sqe->opcode) {
	case URING_OP_NOP:
	case URING_OP_SPLICE:
	case URING_OP_TEE:
		return ops_known >= OPS_OF_5_19;
	case URING_OP_ACCEPT:
		return false;
	case URING_OP_READ_MULTISHOT:
		return true;
	default:
		return !(op->traits & (ABI_READS_FILE | ABI_WRITES_FILE)) &&
		       (!ops_known || ops_known >= OPS_OF_BASELINE);
	}
}

static bool nop_wants_big_cqe(const struct uring_sqe *sqe, unsigned int setup_flags)
{
	return sqe->opcode == URING_OP_NOP && sqe->op_flags & URING_NOP_CQE32 &&
	       !(setup_flags & (URING_SETUP_CQE32 | URING_SETUP_CQE_MIXED));
}

/* What the kernel looks at before it asks the operation, up to where only the operation can tell. */
static int refused_by_all(const struct uring_sqe *sqe, unsigned int setup_flags, unsigned int ops_known,
			  const char **ret_field)
{
	enum { SQE_FLAGS = 0x7f, SKIP_AND_DRAIN = URING_SQE_CQE_SKIP_SUCCESS | URING_SQE_IO_DRAIN };
	enum { OPS_OF_5_18 = 41, OPS_OF_6_11 = 58 };
	uint32_t traits = abi_op(sqe->opcode)->traits;
	const struct {
		bool refused;
		int error;
		const char *field;
	} checks[] = {
		{ sqe->opcode >= (ops_known ? ops_known : OPS_NEVER_KNOWN), EINVAL, "opcode" },
		{ sqe->flags & ~SQE_FLAGS, EINVAL, "flags" },
		{ sqe->flags & URING_SQE_BUFFER_SELECT && !(traits & ABI_BUFFER_SELECT), EOPNOTSUPP, "flags" },
		{ (sqe->flags & SKIP_AND_DRAIN) == SKIP_AND_DRAIN && ops_known >= OPS_OF_5_18, EOPNOTSUPP, "flags" },
		{ sqe->ioprio && ioprio_is_unused(sqe, ops_known), EINVAL, "ioprio" },
		{ setup_flags & URING_SETUP_IOPOLL && !(traits & ABI_IOPOLL), EINVAL, "opcode" },
		{ nop_wants_big_cqe(sqe, setup_flags) && ops_known >= OPS_OF_6_11, EINVAL, "nop_flags" },
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].refused && (i < 2 || sqe->opcode < URING_OP_LAST)) {
			*ret_field = checks[i].field;
			return -checks[i].error;
		}
	return 0;
}

int abi_sqe_refused(const struct uring_sqe *sqe, unsigned int setup_flags, unsigned int ops_known,
		    const char **ret_field)
{
	const char *ignored;
	int r;

	if (!ret_field)
		ret_field = &ignored;
	r = refused_by_all(sqe, setup_flags, ops_known, ret_field);
	if (r || sqe->opcode >= URING_OP_LAST)
		return r;
	for (const struct rule *rule = rules[sqe->opcode]; rule->name; rule++) {
		if (!rule_counts(rule, ops_known) || sqe->flags & rule->unless || !condition_holds(&rule->first, sqe) ||
		    !condition_holds(&rule->second, sqe))
			continue;
		*ret_field = rule->name;
		return -(rule->error ? rule->error : EINVAL);
	}
	return 0;
}
