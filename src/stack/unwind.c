/* SPDX-License-Identifier: MIT */
#include "stack/unwind.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { RSP = 7, RIP = 16, N_REGISTERS = 17, MAX_DEPTH = 16, MAX_STEPS = 96 };

struct state {
	const struct unwind_slice *slice;
	uint64_t registers[N_REGISTERS];
	uint32_t known; /* bit per register */
	uint64_t cfa;
	bool exact; /* rip is the next instruction to run, not one behind a call */
};

struct expression {
	uint64_t stack[MAX_DEPTH];
	size_t n;
	bool is_value; /* the result is the value itself, not where it lies */
};

static bool read_word(const struct unwind_slice *slice, uint64_t address, uint64_t *ret)
{
	uint64_t offset = address - slice->sp;

	if (address < slice->sp || slice->bytes < sizeof *ret || offset > slice->bytes - sizeof *ret)
		return false;
	memcpy(ret, slice->data + offset, sizeof *ret);
	return true;
}

static bool push(struct expression *e, uint64_t value)
{
	if (e->n >= MAX_DEPTH)
		return false;
	e->stack[e->n++] = value;
	return true;
}

static bool push_register(struct expression *e, const struct state *s, uint64_t number, uint64_t offset)
{
	return number < N_REGISTERS && s->known & 1u << number && push(e, s->registers[number] + offset);
}

static bool binary(struct expression *e, uint8_t atom)
{
	uint64_t b, *a;

	if (e->n < 2)
		return false;
	b = e->stack[--e->n];
	a = &e->stack[e->n - 1];
	switch (atom) {
	case DW_OP_plus:
		*a += b;
		return true;
	case DW_OP_minus:
		*a -= b;
		return true;
	case DW_OP_mul:
		*a *= b;
		return true;
	case DW_OP_and:
		*a &= b;
		return true;
	case DW_OP_or:
		*a |= b;
		return true;
	case DW_OP_xor:
		*a ^= b;
		return true;
	case DW_OP_shl:
		*a = b < 64 ? *a << b : 0;
		return true;
	case DW_OP_shr:
		*a = b < 64 ? *a >> b : 0;
		return true;
	case DW_OP_eq:
		*a = *a == b;
		return true;
	case DW_OP_ne:
		*a = *a != b;
		return true;
	case DW_OP_ge:
		*a = (int64_t)*a >= (int64_t)b;
		return true;
	case DW_OP_gt:
		*a = (int64_t)*a > (int64_t)b;
		return true;
	case DW_OP_le:
		*a = (int64_t)*a <= (int64_t)b;
		return true;
	case DW_OP_lt:
		*a = (int64_t)*a < (int64_t)b;
		return true;
	}
	return false;
}

static bool stack_operation(struct expression *e, const struct state *s, uint8_t atom)
{
	if (!e->n)
		return false;
	if (atom == DW_OP_deref)
		return read_word(s->slice, e->stack[e->n - 1], &e->stack[e->n - 1]);
	if (atom == DW_OP_dup)
		return push(e, e->stack[e->n - 1]);
	if (atom == DW_OP_drop)
		return e->n--, true;
	return binary(e, atom);
}

static bool operation(struct expression *e, const struct state *s, const Dwarf_Op *op)
{
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31)
		return push_register(e, s, op->atom - DW_OP_breg0, op->number);
	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31)
		return push(e, op->atom - DW_OP_lit0);
	if (op->atom >= DW_OP_reg0 && op->atom <= DW_OP_reg31)
		return e->is_value = true, push_register(e, s, op->atom - DW_OP_reg0, 0);
	switch (op->atom) {
	case DW_OP_bregx:
		return push_register(e, s, op->number, op->number2);
	case DW_OP_regx:
		return e->is_value = true, push_register(e, s, op->number, 0);
	case DW_OP_call_frame_cfa:
		return push(e, s->cfa);
	case DW_OP_const1u:
	case DW_OP_const1s:
	case DW_OP_const2u:
	case DW_OP_const2s:
	case DW_OP_const4u:
	case DW_OP_const4s:
	case DW_OP_const8u:
	case DW_OP_const8s:
	case DW_OP_constu:
	case DW_OP_consts:
		return push(e, op->number);
	case DW_OP_plus_uconst:
		return e->n ? e->stack[e->n - 1] += op->number, true : false;
	case DW_OP_stack_value:
		return e->is_value = true;
	case DW_OP_nop:
		return true;
	}
	return stack_operation(e, s, op->atom);
}

/* False where the expression needs what is not known: that register is then unknown as well. */
static bool evaluate(const struct state *s, const Dwarf_Op *ops, size_t n_ops, struct expression *ret)
{
	*ret = (struct expression){ 0 };
	for (size_t i = 0; i < n_ops; i++)
		if (!operation(ret, s, &ops[i]))
			return false;
	return ret->n > 0;
}

static bool frame_cfa(struct state *s, Dwarf_Frame *frame)
{
	struct expression e;
	Dwarf_Op *ops;
	size_t n_ops;

	if (dwarf_frame_cfa(frame, &ops, &n_ops) != 0 || !evaluate(s, ops, n_ops, &e))
		return false;
	s->cfa = e.stack[e.n - 1];
	return true;
}

enum rule { RULE_KNOWN, RULE_UNKNOWN, RULE_UNDEFINED };

static enum rule caller_register(const struct state *s, Dwarf_Frame *frame, int number, uint64_t *ret)
{
	Dwarf_Op memory[3], *ops;
	struct expression e;
	size_t n_ops;

	if (dwarf_frame_register(frame, number, memory, &ops, &n_ops) != 0)
		return RULE_UNKNOWN;
	if (!n_ops && ops == memory)
		return RULE_UNDEFINED;
	if (!n_ops) {
		*ret = s->registers[number];
		return s->known & 1u << number ? RULE_KNOWN : RULE_UNKNOWN;
	}
	if (!evaluate(s, ops, n_ops, &e))
		return RULE_UNKNOWN;
	*ret = e.stack[e.n - 1];
	return e.is_value || read_word(s->slice, *ret, ret) ? RULE_KNOWN : RULE_UNKNOWN;
}

static int find_frame(Dwfl_Module *opened, uint64_t pc, Dwarf_Frame **ret)
{
	Dwarf_Addr bias = 0;
	Dwarf_CFI *cfi = dwfl_module_eh_cfi(opened, &bias);

	if (cfi && dwarf_cfi_addrframe(cfi, pc - bias, ret) == 0)
		return 0;
	cfi = dwfl_module_dwarf_cfi(opened, &bias);
	return cfi ? dwarf_cfi_addrframe(cfi, pc - bias, ret) : -1;
}

enum step { STEP_UP, STEP_OUTERMOST, STEP_BROKEN };

static enum step step(struct state *s, Dwfl_Module *opened, uint64_t pc, bool shim, uint64_t *ret_cfa)
{
	CLEANUP(cleanup_free) Dwarf_Frame *frame = NULL;
	struct state up = { .slice = s->slice };
	uint64_t before = s->cfa;
	bool signal = false;
	enum rule rip;

	*ret_cfa = 0;
	if (find_frame(opened, pc, &frame) != 0 || !frame_cfa(s, frame))
		return STEP_BROKEN;
	/* Stacks grow downwards: a caller that lies lower is another stack, or nonsense. */
	if (s->cfa <= before || s->cfa < s->registers[RSP])
		return STEP_BROKEN;
	*ret_cfa = up.cfa = s->cfa;
	dwarf_frame_info(frame, NULL, NULL, &signal);
	rip = caller_register(s, frame, RIP, &up.registers[RIP]);
	if (rip != RULE_KNOWN)
		return rip == RULE_UNDEFINED ? STEP_OUTERMOST : STEP_BROKEN;
	for (int i = 0; i < RIP; i++)
		if (caller_register(s, frame, i, &up.registers[i]) == RULE_KNOWN)
			up.known |= 1u << i;
	if (!(up.known & 1u << RSP))
		up.registers[RSP] = s->cfa;
	up.known |= 1u << RSP | 1u << RIP;
	/* The shim's own trampoline resumes behind a syscall instruction, which is where the program called. */
	up.exact = signal && !shim;
	*s = up;
	return up.registers[RIP] ? STEP_UP : STEP_OUTERMOST;
}

/* A part of a function that the compiler moved away has its own symbol, but is no function of its own. */
static uint64_t ask_function_start(Dwfl_Module *opened, uint64_t pc)
{
	GElf_Off offset = 0;
	GElf_Sym symbol;
	const char *name = dwfl_module_addrinfo(opened, pc, &offset, &symbol, NULL, NULL, NULL);

	return name && !strstr(name, ".cold") ? pc - offset : 0;
}

static uint64_t function_start(struct modules *modules, Dwfl_Module *opened, uint64_t pc)
{
	struct modules_start *known = &modules->starts[(pc ^ pc >> 12) % MODULES_STARTS];

	if (!opened)
		return 0;
	if (known->pc != pc)
		*known = (struct modules_start){ pc, ask_function_start(opened, pc) };
	return known->start;
}

size_t unwind(struct modules *modules, const struct unwind_slice *slice, struct stack_frame *frames,
	      struct stack *ret_stack)
{
	struct state s = { .slice = slice, .known = (1u << N_REGISTERS) - 1, .exact = true };
	enum step outcome = STEP_UP;
	size_t n = 0;

	memcpy(s.registers, slice->registers, sizeof s.registers);
	for (int i = 0; i < MAX_STEPS && n < UNWIND_FRAMES && outcome == STEP_UP; i++) {
		uint64_t pc = s.registers[RIP] - !s.exact, sp = s.registers[RSP], cfa = 0;
		struct module *module = modules_find(modules, pc);
		Dwfl_Module *opened = module ? modules_open(modules, module) : NULL;

		outcome = opened ? step(&s, opened, pc, module->shim, &cfa) : STEP_BROKEN;
		if (module && module->shim)
			continue;
		if (!n)
			ret_stack->sp = sp;
		frames[n++] = (struct stack_frame){
			.pc = pc,
			.cfa = cfa,
			.function = function_start(modules, opened, pc),
			.module = module ? module->path : "?",
			.offset = module ? pc - module->base : pc,
		};
	}
	ret_stack->truncated = outcome != STEP_OUTERMOST;
	return n;
}
