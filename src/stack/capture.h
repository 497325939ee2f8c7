/* SPDX-License-Identifier: MIT */
/* For unit tests: the test program's own stack and modules, as a sensor would send them. */
#pragma once

#include <link.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "event/event.h"
#include "stack/stack.h"

enum { CAPTURE_PID = 7, SLICE = 8192 };

static struct {
	struct event_stack head;
	uint8_t bytes[SLICE];
} captured;

extern void *__libc_stack_end;

static __attribute__((noinline, unused, no_sanitize("address"))) void capture(void)
{
	uint64_t *r = captured.head.registers;

	captured.head.h =
		(struct event){ .kind = EVENT_STACK, .size = sizeof captured, .pid = CAPTURE_PID, .stack = 1 };
	__asm__ volatile("mov %%rbx, 24(%0)\n mov %%rbp, 48(%0)\n mov %%rsp, 56(%0)\n mov %%r12, 96(%0)\n"
			 "mov %%r13, 104(%0)\n mov %%r14, 112(%0)\n mov %%r15, 120(%0)\n lea 0(%%rip), %%rax\n mov "
			 "%%rax, 128(%0)"
			 :
			 : "r"(r)
			 : "rax", "memory");
	captured.head.sp = r[7];
	captured.head.bytes = (uint32_t)((uintptr_t)__libc_stack_end - r[7]);
	captured.head.bytes = captured.head.bytes < SLICE ? captured.head.bytes : SLICE;
	for (size_t i = 0; i < captured.head.bytes; i++)
		captured.bytes[i] = ((volatile uint8_t *)r[7])[i];
}

static __attribute__((unused)) int tell_module(struct dl_phdr_info *info, size_t size, void *data)
{
	struct {
		struct event_module e;
		char path[512];
	} m = { .e = { .h = { .kind = EVENT_MODULE, .size = sizeof m, .pid = CAPTURE_PID }, .base = info->dlpi_addr } };
	ssize_t n;

	if (info->dlpi_name[0])
		strncpy(m.path, info->dlpi_name, sizeof m.path - 1);
	else if ((n = readlink("/proc/self/exe", m.path, sizeof m.path - 1)) > 0)
		m.path[n] = '\0';
	m.e.length = (uint32_t)strlen(m.path);
	m.e.low = UINT64_MAX;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uint64_t low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		m.e.low = low < m.e.low ? low : m.e.low;
		m.e.high = low + info->dlpi_phdr[i].p_memsz;
	}
	return stacks_apply(data, &m.e.h);
}
