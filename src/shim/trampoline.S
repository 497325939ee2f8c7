/* SPDX-License-Identifier: MIT */
/*
 * What a trapped system call does instead of trapping again: dispatch.c's handler lets the thread resume here, on the program's own stack, with rsp at a
 * struct frame (16-byte aligned, below the red zone). Afterwards all is as a syscall instruction leaves it: rax has the result, rcx the address after the
 * instruction, r11 the flags, the rest is untouched.
 */
#include "shim/frame.h"

/* For unwinding: a register that lies in the frame. The offsets need one or two bytes of SLEB128; two always do. */
#define SAVED(number, offset) .cfi_escape 0x10, number, 0x03, 0x77, ((offset) & 0x7f) | 0x80, (offset) >> 7

	.text
	.globl trampoline_run
	.hidden trampoline_run
	.type trampoline_run, @function
	.cfi_startproc
	.cfi_signal_frame
	/* CFA: the program's rsp */
	.cfi_escape 0x0f, 0x04, 0x77, (FRAME_RSP & 0x7f) | 0x80, FRAME_RSP >> 7, 0x06
	SAVED(8, FRAME_R8)
	SAVED(9, FRAME_R9)
	SAVED(10, FRAME_R10)
	SAVED(12, FRAME_R12)
	SAVED(13, FRAME_R13)
	SAVED(14, FRAME_R14)
	SAVED(15, FRAME_R15)
	SAVED(5, FRAME_RDI)
	SAVED(4, FRAME_RSI)
	SAVED(6, FRAME_RBP)
	SAVED(3, FRAME_RBX)
	SAVED(1, FRAME_RDX)
	SAVED(7, FRAME_RSP)
	SAVED(16, FRAME_RIP)
	nop
trampoline_run:
	cld
	mov %rsp, %rdi
	call dispatch_run
	mov FRAME_R8(%rsp), %r8
	mov FRAME_R9(%rsp), %r9
	mov FRAME_R10(%rsp), %r10
	mov FRAME_R12(%rsp), %r12
	mov FRAME_R13(%rsp), %r13
	mov FRAME_R14(%rsp), %r14
	mov FRAME_R15(%rsp), %r15
	mov FRAME_RDI(%rsp), %rdi
	mov FRAME_RSI(%rsp), %rsi
	mov FRAME_RBP(%rsp), %rbp
	mov FRAME_RBX(%rsp), %rbx
	mov FRAME_RDX(%rsp), %rdx
	mov FRAME_RESULT(%rsp), %rax
	mov FRAME_RIP(%rsp), %rcx
	pushq FRAME_FLAGS(%rsp)
	popfq
	mov FRAME_FLAGS(%rsp), %r11
	mov FRAME_RSP(%rsp), %rsp
	jmp *%rcx
	.cfi_endproc
	.size trampoline_run, . - trampoline_run

	.globl trampoline_new_stack
	.hidden trampoline_new_stack
	.type trampoline_new_stack, @function
/* clone with a stack of its own: both come back at the address that the handler left below either stack pointer (the parent's below its red zone). */
trampoline_new_stack:
	syscall
	test %rax, %rax
	jz 1f
	mov shim_self@gottpoff(%rip), %rcx
	movb $1, %fs:(%rcx)
	mov -136(%rsp), %rcx
	jmp *%rcx
1:	mov -8(%rsp), %rcx
	jmp *%rcx
	.size trampoline_new_stack, . - trampoline_new_stack

	.globl trampoline_same_stack
	.hidden trampoline_same_stack
	.type trampoline_same_stack, @function
/* fork and vfork: the child may write over all of our frame before the parent goes on, so the address lies with the thread. */
trampoline_same_stack:
	syscall
	mov dispatch_return@gottpoff(%rip), %r11
	mov %fs:(%r11), %rcx
	test %rax, %rax
	jz 2f
	mov shim_self@gottpoff(%rip), %r11
	movb $1, %fs:(%r11)
2:	jmp *%rcx
	.size trampoline_same_stack, . - trampoline_same_stack

	.globl syscall
	.type syscall, @function
	.cfi_startproc
syscall:
	cmp $56, %rdi
	jb 3f
	cmp $58, %rdi
	jbe 4f
	cmp $435, %rdi
	je 4f
3:	jmp call_syscall
	/* clone, fork, vfork, clone3: no frame of ours may lie between */
4:	mov real_syscall(%rip), %r11
	test %r11, %r11
	jz 3b
	jmp *%r11
	.cfi_endproc
	.size syscall, . - syscall

	.globl vfork
	.type vfork, @function
	.cfi_startproc
/* The child runs on our stack and in our memory: until it is gone this thread's hooks are off. The return address lies with the thread. */
vfork:
	pop %rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rcx
	mov dispatch_return@gottpoff(%rip), %r11
	mov %rcx, %fs:(%r11)
	mov shim_self@gottpoff(%rip), %r11
	movb $1, %fs:2(%r11)
	call *real_vfork(%rip)
	mov dispatch_return@gottpoff(%rip), %r11
	mov %fs:(%r11), %rcx
	test %eax, %eax
	jz 5f
	mov shim_self@gottpoff(%rip), %r11
	movb $0, %fs:2(%r11)
5:	jmp *%rcx
	.cfi_endproc
	.size vfork, . - vfork

	.section .note.GNU-stack, "", @progbits
