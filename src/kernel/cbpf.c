/* SPDX-License-Identifier: MIT */
#include "kernel/cbpf.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

enum { MEMORY_WORDS = 16, SHIFT_MASK = 31 };

struct machine {
	uint32_t a, x, memory[MEMORY_WORDS];
	const struct cbpf_call *call;
	struct cbpf_result result;
};

/* A word of the call, as the filter sees struct seccomp_data. */
static int load(struct machine *m, uint32_t offset)
{
	if (offset % sizeof(uint32_t) || offset > sizeof(*m->call) - sizeof(uint32_t))
		return -EINVAL;
	if (offset >= offsetof(struct cbpf_call, args))
		m->result.looked_at_args = true;
	else if (offset >= offsetof(struct cbpf_call, ip))
		m->result.looked_at_ip = true;
	memcpy(&m->a, (const char *)m->call + offset, sizeof(m->a));
	return 0;
}

static int run_load(struct machine *m, const struct cbpf_insn *i)
{
	uint32_t *to = BPF_CLASS(i->code) == BPF_LD ? &m->a : &m->x;

	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return load(m, i->k);
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
		*to = sizeof(struct cbpf_call);
		return 0;
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
		*to = i->k;
		return 0;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
		if (i->k >= MEMORY_WORDS)
			return -EINVAL;
		*to = m->memory[i->k];
		return 0;
	default:
		return -EINVAL;
	}
}

/* 0, -EINVAL, or 1: the program ends with 0, as it does on a division by zero. */
static int run_alu(struct machine *m, const struct cbpf_insn *i)
{
	uint32_t operand = BPF_SRC(i->code) == BPF_X ? m->x : i->k;

	switch (BPF_OP(i->code)) {
	case BPF_ADD:
		m->a += operand;
		break;
	case BPF_SUB:
		m->a -= operand;
		break;
	case BPF_MUL:
		m->a *= operand;
		break;
	case BPF_DIV:
		if (!operand)
			return BPF_SRC(i->code) == BPF_X ? 1 : -EINVAL;
		m->a /= operand;
		break;
	case BPF_AND:
		m->a &= operand;
		break;
	case BPF_OR:
		m->a |= operand;
		break;
	case BPF_XOR:
		m->a ^= operand;
		break;
	case BPF_LSH:
		m->a <<= operand & SHIFT_MASK;
		break;
	case BPF_RSH:
		m->a >>= operand & SHIFT_MASK;
		break;
	case BPF_NEG:
		m->a = -m->a;
		break;
	default:
		return -EINVAL;
	}
	return 0;
}

/* How many instructions to leave out, or -EINVAL. */
static int64_t run_jump(const struct machine *m, const struct cbpf_insn *i)
{
	uint32_t operand = BPF_SRC(i->code) == BPF_X ? m->x : i->k;

	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return i->k;
	case BPF_JEQ:
		return m->a == operand ? i->jt : i->jf;
	case BPF_JGT:
		return m->a > operand ? i->jt : i->jf;
	case BPF_JGE:
		return m->a >= operand ? i->jt : i->jf;
	case BPF_JSET:
		return m->a & operand ? i->jt : i->jf;
	default:
		return -EINVAL;
	}
}

static int run_store(struct machine *m, const struct cbpf_insn *i)
{
	if (i->k >= MEMORY_WORDS)
		return -EINVAL;
	m->memory[i->k] = BPF_CLASS(i->code) == BPF_ST ? m->a : m->x;
	return 0;
}

static int run_misc(struct machine *m, const struct cbpf_insn *i)
{
	if (BPF_MISCOP(i->code) == BPF_TAX)
		m->x = m->a;
	else if (BPF_MISCOP(i->code) == BPF_TXA)
		m->a = m->x;
	else
		return -EINVAL;
	return 0;
}

/* One that is neither a jump nor an end. */
static int run_plain(struct machine *m, const struct cbpf_insn *i)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
	case BPF_LDX:
		return run_load(m, i);
	case BPF_ST:
	case BPF_STX:
		return run_store(m, i);
	case BPF_ALU:
		return run_alu(m, i);
	default:
		return run_misc(m, i);
	}
}

int cbpf_run(const struct cbpf_insn *program, size_t n, const struct cbpf_call *call, struct cbpf_result *ret_result)
{
	struct machine m = { .call = call };
	int64_t step = 0;

	if (n > CBPF_MAX)
		return -EINVAL;
	for (size_t at = 0; at < n; at++) {
		const struct cbpf_insn *i = &program[at];

		if (BPF_CLASS(i->code) == BPF_RET) {
			m.result.action = BPF_RVAL(i->code) == BPF_A ? m.a : i->k;
			*ret_result = m.result;
			return 0;
		}
		step = BPF_CLASS(i->code) == BPF_JMP ? run_jump(&m, i) : run_plain(&m, i);
		if (step < 0)
			return (int)step;
		if (step > 0 && BPF_CLASS(i->code) != BPF_JMP) {
			*ret_result = m.result; /* SECCOMP_RET_KILL_THREAD is 0 */
			return 0;
		}
		if ((uint64_t)step >= n - at)
			return -EINVAL;
		at += (size_t)step;
	}
	return -EINVAL; /* it has no end */
}

/* Lower is stronger, as a signed number: KILL_PROCESS is the lowest. */
uint32_t cbpf_stronger(uint32_t a, uint32_t b)
{
	return (int32_t)(b & SECCOMP_RET_ACTION_FULL) < (int32_t)(a & SECCOMP_RET_ACTION_FULL) ? b : a;
}
