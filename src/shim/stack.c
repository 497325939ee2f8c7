/* SPDX-License-Identifier: MIT */
/* Where the program was: registers and a slice of stack, sent once per distinct stack; and which objects are mapped. */
#include <dlfcn.h>
#include <link.h>
#include <sys/syscall.h>

#include "shim/inner.h"

enum { MAX_SLICE = 16384, DEFAULT_SLICE = 4096, RESEND_AFTER = 1000, RSP = 7, RIP = 16 };

uint32_t stack_modules_stale;

static uint32_t last_id;
static uint64_t exe_low, exe_high, libraries_low, libraries_high;

/* Our own frames on top are left to the unwinder, which has our module too. */
static inline __attribute__((always_inline)) void registers_here(uint64_t registers[17])
{
	for (int i = 0; i < 17; i++)
		registers[i] = 0;
	__asm__ volatile("mov %%rbx, 24(%0)\n mov %%rbp, 48(%0)\n mov %%rsp, 56(%0)\n mov %%r12, 96(%0)\n"
			 "mov %%r13, 104(%0)\n mov %%r14, 112(%0)\n mov %%r15, 120(%0)\n"
			 "lea 0(%%rip), %%rax\n mov %%rax, 128(%0)"
			 :
			 : "r"(registers)
			 : "rax", "memory");
}

static uint32_t slice_bytes(void)
{
	uint32_t asked = shim_shared->stack_bytes;

	asked = asked ? asked : DEFAULT_SLICE;
	return (asked < MAX_SLICE ? asked : MAX_SLICE) & ~7u;
}

/* Bytes that can be read from sp upwards: known for the thread's own stack, tried for others. */
static size_t readable(uint64_t sp, size_t wanted)
{
	uint8_t probe;
	size_t page = 4096 - (sp & 4095);

	if (sp >= shim_self.stack_low && sp < shim_self.stack_high)
		return shim_self.stack_high - sp < wanted ? shim_self.stack_high - sp : wanted;
	if (shim_self.more && sp >= (uint64_t)shim_self.more->own_stack.ss_sp &&
	    sp < (uint64_t)shim_self.more->own_stack.ss_sp + ALT_STACK_BYTES)
		return 0;
	while (page < wanted && shim_peek(&probe, sp + page, 1) == 1)
		page += 4096;
	return page < wanted ? page : wanted;
}

static bool is_code(uint64_t word)
{
	return (word >= exe_low && word < exe_high) || (word >= libraries_low && word < libraries_high);
}

static uint64_t hash_stack(const uint64_t *registers, const volatile uint64_t *words, size_t n)
{
	uint64_t hash = registers[RIP] * UINT64_C(0x9e3779b97f4a7c15) ^ registers[RSP];

	for (size_t i = 0; i < n; i++)
		if (is_code(words[i]))
			hash = (hash ^ (words[i] + i)) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ? hash : 1;
}

static uint32_t send(struct emit *emit, const uint64_t *registers, const volatile uint64_t *words, size_t n)
{
	struct event_stack *event = emit_add(emit, EVENT_STACK, 0, sizeof(*event) + n * 8);
	uint64_t *to = (uint64_t *)(event + 1);
	uint32_t id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);

	event->h.stack = id;
	memcpy(event->registers, registers, sizeof(event->registers));
	event->sp = registers[RSP];
	event->bytes = (uint32_t)(n * 8);
	for (size_t i = 0; i < n; i++)
		to[i] = words[i];
	return id;
}

uint32_t stack_take(struct emit *emit, const uint64_t *registers)
{
	uint64_t here[17], hash;
	struct stack_seen *seen;
	size_t n;

	if (shim_options & SHARED_NO_STACKS || !shim_self.more)
		return 0;
	if (!registers) {
		registers_here(here);
		registers = here;
	}
	n = readable(registers[RSP], slice_bytes()) / 8;
	hash = hash_stack(registers, (const uint64_t *)registers[RSP], n);
	seen = &shim_self.more->stacks[hash >> 32 & (STACK_CACHE - 1)];
	if (seen->hash == hash && seen->id && last_id - seen->id < RESEND_AFTER)
		return seen->id;
	seen->id = send(emit, registers, (const uint64_t *)registers[RSP], n);
	seen->hash = hash;
	return seen->id;
}

static void widen(uint64_t *low, uint64_t *high, uint64_t from, uint64_t to)
{
	if (!*low || from < *low)
		*low = from;
	if (to > *high)
		*high = to;
}

struct walk {
	struct emit *emit;
	unsigned n;
};

static int tell_module(struct dl_phdr_info *info, size_t size, void *data)
{
	struct walk *walk = data;
	struct event_module module = { .base = info->dlpi_addr };
	char own_path[512];
	const char *path = info->dlpi_name;
	long n;

	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			widen(&module.low, &module.high, info->dlpi_addr + info->dlpi_phdr[i].p_vaddr,
			      info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz);
	if (walk->n++ == 0) {
		n = SYS3(SYS_readlink, "/proc/self/exe", own_path, sizeof(own_path) - 1);
		own_path[n > 0 ? n : 0] = '\0';
		path = own_path;
		widen(&exe_low, &exe_high, module.low, module.high);
	} else {
		widen(&libraries_low, &libraries_high, module.low, module.high);
	}
	module.length = (uint32_t)strlen(path);
	emit_tailed(walk->emit, EVENT_MODULE, 0, &module, sizeof(module), path, module.length);
	return 0;
}

void stack_modules(struct emit *emit)
{
	struct walk walk = { emit, 0 };

	__atomic_store_n(&stack_modules_stale, 0, __ATOMIC_RELAXED);
	dl_iterate_phdr(tell_module, &walk);
}
