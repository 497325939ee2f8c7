/* SPDX-License-Identifier: MIT */
/*
 * A whole ELF program as data, for the one question that only a program started by execve can answer: is it restricted? Written out
 * by hand so that it needs no file beside the program, no libc and no loader:
 *
 *	exit(-io_uring_register(-1, IORING_REGISTER_RESTRICTIONS, NULL, 1))
 *
 * EFAULT = it could register restrictions, so it has none; EPERM = it has.
 */
#define BASE 0x400000
#define SYS_IO_URING_REGISTER 427
#define SYS_EXIT 60

	.section .rodata
	.globl feature_exec_image, feature_exec_image_end
	.hidden feature_exec_image, feature_exec_image_end
	.balign 8
feature_exec_image:
	.byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0
	.quad 0
	.short 2, 62		/* an executable, for x86-64 */
	.long 1
	.quad BASE + (entry - feature_exec_image)
	.quad 64, 0		/* program headers, section headers */
	.long 0
	.short 64, 56, 1, 0, 0, 0
	.long 1, 5		/* load, readable and executable */
	.quad 0, BASE, BASE
	.quad feature_exec_image_end - feature_exec_image
	.quad feature_exec_image_end - feature_exec_image
	.quad 0x1000
entry:
	mov $SYS_IO_URING_REGISTER, %eax
	mov $-1, %edi
	mov $11, %esi
	xor %edx, %edx
	mov $1, %r10d
	syscall
	neg %eax
	mov %eax, %edi
	mov $SYS_EXIT, %eax
	syscall
feature_exec_image_end:
	.section .note.GNU-stack, "", @progbits
