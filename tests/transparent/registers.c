/* SPDX-License-Identifier: MIT */
/*
 * No liburing: system calls as instructions. A `syscall` instruction keeps every register but rax, rcx and r11, the
 * vector registers, the direction flag's state and the 128 bytes below the stack pointer; a program may rely on all of
 * that.
 */
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long raw(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

struct state {
	uint64_t result, rbx, rbp, r12, r13, r14, r15, rdi, rsi, rdx, r10, r8, r9, zone[16];
	uint64_t vectors[16][2];
};

static uint64_t vectors_in[16][2];

/* Enters the ring with telling values everywhere and writes down what is there afterwards. */
__attribute__((noinline)) static void enter_with_values(long fd, struct state *out)
{
	__asm__ volatile(
		"lea -128(%%rsp), %%rsp\n push %%rbx\n push %%rbp\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n"
		"push %[out]\n"
		"movdqu 0(%[in]), %%xmm0\n movdqu 16(%[in]), %%xmm1\n movdqu 32(%[in]), %%xmm2\n movdqu 48(%[in]), "
		"%%xmm3\n"
		"movdqu 64(%[in]), %%xmm4\n movdqu 80(%[in]), %%xmm5\n movdqu 96(%[in]), %%xmm6\n movdqu 112(%[in]), "
		"%%xmm7\n"
		"movdqu 128(%[in]), %%xmm8\n movdqu 144(%[in]), %%xmm9\n movdqu 160(%[in]), %%xmm10\n movdqu "
		"176(%[in]), %%xmm11\n"
		"movdqu 192(%[in]), %%xmm12\n movdqu 208(%[in]), %%xmm13\n movdqu 224(%[in]), %%xmm14\n movdqu "
		"240(%[in]), %%xmm15\n"
		"mov $0x1111, %%ebx\n mov $0x2222, %%ebp\n mov $0x3333, %%r12d\n mov $0x4444, %%r13d\n mov $0x5555, "
		"%%r14d\n"
		"mov $0x6666, %%r15d\n"
		/* sixteen words below the stack pointer */
		"movq $0x70, -8(%%rsp)\n movq $0x71, -16(%%rsp)\n movq $0x72, -24(%%rsp)\n movq $0x73, -32(%%rsp)\n"
		"movq $0x74, -40(%%rsp)\n movq $0x75, -48(%%rsp)\n movq $0x76, -56(%%rsp)\n movq $0x77, -64(%%rsp)\n"
		"movq $0x78, -72(%%rsp)\n movq $0x79, -80(%%rsp)\n movq $0x7a, -88(%%rsp)\n movq $0x7b, -96(%%rsp)\n"
		"movq $0x7c, -104(%%rsp)\n movq $0x7d, -112(%%rsp)\n movq $0x7e, -120(%%rsp)\n movq $0x7f, "
		"-128(%%rsp)\n"
		"mov $1, %%esi\n mov $1, %%edx\n mov $1, %%r10d\n xor %%r8d, %%r8d\n xor %%r9d, %%r9d\n"
		"mov $426, %%eax\n"
		"syscall\n"
		"mov (%%rsp), %%rcx\n"
		"mov %%rax, 0(%%rcx)\n mov %%rbx, 8(%%rcx)\n mov %%rbp, 16(%%rcx)\n mov %%r12, 24(%%rcx)\n mov %%r13, "
		"32(%%rcx)\n"
		"mov %%r14, 40(%%rcx)\n mov %%r15, 48(%%rcx)\n mov %%rdi, 56(%%rcx)\n mov %%rsi, 64(%%rcx)\n mov "
		"%%rdx, 72(%%rcx)\n"
		"mov %%r10, 80(%%rcx)\n mov %%r8, 88(%%rcx)\n mov %%r9, 96(%%rcx)\n"
		"mov -8(%%rsp), %%rax\n mov %%rax, 104(%%rcx)\n mov -16(%%rsp), %%rax\n mov %%rax, 112(%%rcx)\n"
		"mov -24(%%rsp), %%rax\n mov %%rax, 120(%%rcx)\n mov -32(%%rsp), %%rax\n mov %%rax, 128(%%rcx)\n"
		"mov -40(%%rsp), %%rax\n mov %%rax, 136(%%rcx)\n mov -48(%%rsp), %%rax\n mov %%rax, 144(%%rcx)\n"
		"mov -56(%%rsp), %%rax\n mov %%rax, 152(%%rcx)\n mov -64(%%rsp), %%rax\n mov %%rax, 160(%%rcx)\n"
		"mov -72(%%rsp), %%rax\n mov %%rax, 168(%%rcx)\n mov -80(%%rsp), %%rax\n mov %%rax, 176(%%rcx)\n"
		"mov -88(%%rsp), %%rax\n mov %%rax, 184(%%rcx)\n mov -96(%%rsp), %%rax\n mov %%rax, 192(%%rcx)\n"
		"mov -104(%%rsp), %%rax\n mov %%rax, 200(%%rcx)\n mov -112(%%rsp), %%rax\n mov %%rax, 208(%%rcx)\n"
		"mov -120(%%rsp), %%rax\n mov %%rax, 216(%%rcx)\n mov -128(%%rsp), %%rax\n mov %%rax, 224(%%rcx)\n"
		"movdqu %%xmm0, 232(%%rcx)\n movdqu %%xmm1, 248(%%rcx)\n movdqu %%xmm2, 264(%%rcx)\n movdqu %%xmm3, "
		"280(%%rcx)\n"
		"movdqu %%xmm4, 296(%%rcx)\n movdqu %%xmm5, 312(%%rcx)\n movdqu %%xmm6, 328(%%rcx)\n movdqu %%xmm7, "
		"344(%%rcx)\n"
		"movdqu %%xmm8, 360(%%rcx)\n movdqu %%xmm9, 376(%%rcx)\n movdqu %%xmm10, 392(%%rcx)\n movdqu %%xmm11, "
		"408(%%rcx)\n"
		"movdqu %%xmm12, 424(%%rcx)\n movdqu %%xmm13, 440(%%rcx)\n movdqu %%xmm14, 456(%%rcx)\n movdqu "
		"%%xmm15, 472(%%rcx)\n"
		"add $8, %%rsp\n"
		"pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbp\n pop %%rbx\n lea 128(%%rsp), %%rsp\n"
		: "+D"(fd)
		: [out] "r"(out), [in] "r"(vectors_in)
		: "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
		  "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static int check(const struct state *s, long fd)
{
	const uint64_t wanted[] = { 1, 0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, (uint64_t)fd, 1, 1, 1, 0, 0 };
	int bad = 0;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if ((&s->result)[i] != wanted[i] && ++bad)
			printf("value %zu is %#llx\n", i, (unsigned long long)(&s->result)[i]);
	for (size_t i = 0; i < 16; i++)
		if (s->zone[i] != 0x70 + i && ++bad)
			printf("red zone word %zu is %#llx\n", i, (unsigned long long)s->zone[i]);
	if (memcmp(s->vectors, vectors_in, sizeof(vectors_in)) && ++bad)
		printf("vector registers changed\n");
	return bad;
}

int main(void)
{
	struct io_uring_params params = { 0 };
	struct io_uring_sqe *sqes;
	struct state state;
	unsigned *sq, *cq;
	char *rings;
	long fd;
	int bad = 0;

	fd = raw(SYS_io_uring_setup, 8, (long)&params, 0, 0, 0, 0);
	if (fd < 0)
		return 1;
	rings = (char *)raw(SYS_mmap, 0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	sqes = (void *)raw(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	for (size_t i = 0; i < 32; i++)
		(&vectors_in[0][0])[i] = 0x0123456789abcdef * (i + 1);
	sq = (unsigned *)(rings + params.sq_off.tail);
	cq = (unsigned *)(rings + params.cq_off.tail);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned slot = i & 7;

		memset(&sqes[slot], 0, sizeof(sqes[slot]));
		sqes[slot].opcode = IORING_OP_NOP;
		sqes[slot].user_data = i + 1;
		((unsigned *)(rings + params.sq_off.array))[slot] = slot;
		__atomic_store_n(sq, i + 1, __ATOMIC_RELEASE);
		memset(&state, 0, sizeof(state));
		enter_with_values(fd, &state);
		bad += check(&state, fd);
		if (__atomic_load_n(cq, __ATOMIC_ACQUIRE) != i + 1 && ++bad)
			printf("completion %u is missing\n", i);
		__atomic_store_n((unsigned *)(rings + params.cq_off.head), i + 1, __ATOMIC_RELEASE);
	}
	printf("enter of nothing: %ld\n", raw(SYS_io_uring_enter, 12345, 0, 0, 0, 0, 0));
	params.flags = 1u << 30; /* which no kernel knows: that may be tried, so nothing is reported */
	printf("setup of nonsense: %ld\n", raw(SYS_io_uring_setup, 8, (long)&params, 0, 0, 0, 0));
	printf("setup at a bad address: %ld\n", raw(SYS_io_uring_setup, 8, 8, 0, 0, 0, 0));
	printf("something else: %ld\n", raw(SYS_lseek, 12345, 0, 0, 0, 0, 0));
	printf("%d differences\n", bad);
	return bad != 0;
}
