/* SPDX-License-Identifier: MIT */
/* Threads: each has a slot in the shared memory, an alternate stack for SIGSYS and the dispatch switched on. */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

#include "shim/inner.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

enum { STARTS = 1024, EXIT_ROUNDS = 4 };

SHIM_TLS struct thread shim_self;

static uintptr_t libc_start, libc_bytes;
static pthread_key_t exit_key;
static bool have_key;

/* Arguments of threads that are about to start. */
static struct start {
	void *(*function)(void *);
	int (*c11_function)(void *);
	void *argument;
	uint32_t taken;
} starts[STARTS];

bool shim_off(void)
{
	if (!shim_self.armed || shim_self.vforked || shim_self.leaving)
		return true;
	if (!__atomic_load_n(main_canary, __ATOMIC_RELAXED))
		process_forked();
	return !shim_self.armed || !__atomic_load_n(&shim_shared->reader_alive, __ATOMIC_RELAXED);
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *data)
{
	uintptr_t inside = (uintptr_t)data;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t low = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) || inside < low ||
		    inside >= low + segment->p_memsz)
			continue;
		libc_start = low;
		libc_bytes = segment->p_memsz;
		return 1;
	}
	return 0;
}

static void dispatch_on(void)
{
	shim_self.selector = 0;
	if (!libc_bytes ||
	    SYS6(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, 1, libc_start, libc_bytes, &shim_self.selector, 0) != 0)
		return;
	shim_self.selector = 1;
}

static void dispatch_off(void)
{
	shim_self.selector = 0;
	SYS6(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0, 0);
}

static void learn_stack(void)
{
	pthread_attr_t attributes;
	void *low;
	size_t bytes;

	if (shim_self.stack_high || pthread_getattr_np(pthread_self(), &attributes) != 0)
		return;
	if (pthread_attr_getstack(&attributes, &low, &bytes) == 0) {
		shim_self.stack_low = (uint64_t)low;
		shim_self.stack_high = (uint64_t)low + bytes;
	}
	pthread_attr_destroy(&attributes);
}

static struct thread_more *map_more(void)
{
	size_t head = (sizeof(struct thread_more) + 4095) & ~(size_t)4095;
	long mapped = SYS6(SYS_mmap, 0, head + 4096 + ALT_STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct thread_more *more;

	if (mapped < 0 && mapped > -4096)
		return NULL;
	more = (struct thread_more *)mapped;
	SYS3(SYS_mprotect, mapped + (long)head, 4096, PROT_NONE);
	more->own_stack = (stack_t){ .ss_sp = (void *)(mapped + (long)head + 4096), .ss_size = ALT_STACK_BYTES };
	more->program_stack.ss_flags = SS_DISABLE;
	return more;
}

static void thread_event(uint32_t kind)
{
	struct event_thread event = { .stack_low = shim_self.stack_low, .stack_high = shim_self.stack_high };
	struct emit emit;

	if (!emit_open(&emit))
		return;
	if (kind == EVENT_THREAD_EXIT)
		rings_thread_exit(&emit);
	emit_event(&emit, kind, 0, &event, sizeof(event));
	emit_close(&emit);
}

/* The thread goes on, unobserved, when anything is missing. */
bool thread_arm(void (*first_event)(void))
{
	sigset_t sigsys;

	shim_self.tid = (uint32_t)SYS0(SYS_gettid);
	shim_self.selector = 0;
	if (!shim_self.more)
		shim_self.more = map_more();
	if (!shim_self.more || !emit_slot_take())
		return false;
	shim_self.armed = 1;
	signals_install_stack();
	sigemptyset(&sigsys);
	sigaddset(&sigsys, SIGSYS);
	SYS4(SYS_rt_sigprocmask, SIG_UNBLOCK, &sigsys, 0, 8);
	if (have_key)
		pthread_setspecific(exit_key, (void *)1);
	if (first_event)
		first_event();
	thread_event(EVENT_THREAD_START);
	dispatch_on();
	return true;
}

void thread_disarm(void)
{
	struct thread_more *more = shim_self.more;
	stack_t off = { .ss_flags = SS_DISABLE };
	size_t head = (sizeof(struct thread_more) + 4095) & ~(size_t)4095;

	if (!shim_self.armed)
		return;
	dispatch_off();
	thread_event(EVENT_THREAD_EXIT);
	shim_self.armed = 0;
	shim_self.leaving = 1;
	emit_slot_leave();
	if (more->program_stack.ss_flags & SS_DISABLE && SYS2(SYS_sigaltstack, &off, 0) == 0) {
		shim_self.more = NULL;
		SYS2(SYS_munmap, more, head + 4096 + ALT_STACK_BYTES);
	}
}

/* A key's destructor runs again as long as it sets its value anew: the last round comes after the program's own
 * destructors. */
static void at_exit(void *round)
{
	if ((uintptr_t)round < EXIT_ROUNDS) {
		pthread_setspecific(exit_key, (void *)((uintptr_t)round + 1));
		return;
	}
	thread_disarm();
}

static struct start *take_start(void)
{
	for (unsigned i = 0; i < STARTS; i++) {
		uint32_t free = 0;

		if (!__atomic_load_n(&starts[i].taken, __ATOMIC_RELAXED) &&
		    __atomic_compare_exchange_n(&starts[i].taken, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return &starts[i];
	}
	return NULL;
}

static struct start fetch_start(struct start *start)
{
	struct start copy = *start;

	__atomic_store_n(&start->taken, 0, __ATOMIC_RELEASE);
	learn_stack();
	thread_arm(NULL);
	return copy;
}

static void *begin(void *argument)
{
	struct start start = fetch_start(argument);

	return start.function(start.argument);
}

static int c11_begin(void *argument)
{
	struct start start = fetch_start(argument);

	return start.c11_function(start.argument);
}

SHIM_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
			       void *argument)
{
	struct start *start = shim_off() ? NULL : take_start();
	int r;

	glance_at_thread_start((uint64_t)__builtin_dwarf_cfa());
	if (!start)
		return REAL_FUNCTION(pthread_create)(thread, attributes, function, argument);
	start->function = function;
	start->argument = argument;
	r = REAL_FUNCTION(pthread_create)(thread, attributes, begin, start);
	if (r != 0)
		__atomic_store_n(&start->taken, 0, __ATOMIC_RELEASE);
	return r;
}

SHIM_EXPORT int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
	struct start *start = shim_off() ? NULL : take_start();
	int r;

	if (!start)
		return REAL_FUNCTION(thrd_create)(thread, function, argument);
	start->c11_function = function;
	start->argument = argument;
	r = REAL_FUNCTION(thrd_create)(thread, c11_begin, start);
	if (r != thrd_success)
		__atomic_store_n(&start->taken, 0, __ATOMIC_RELEASE);
	return r;
}

void thread_fork_child(void)
{
	for (unsigned i = 0; i < STARTS; i++)
		starts[i].taken = 0;
	shim_self.armed = 0;
	shim_self.in_shim = 0;
	shim_self.vforked = 0;
	if (shim_self.more)
		memset(shim_self.more->stacks, 0, sizeof(shim_self.more->stacks));
}

void thread_init(void)
{
	void *inside = dlsym(RTLD_NEXT, "syscall");

	dl_iterate_phdr(find_libc, inside);
	have_key = pthread_key_create(&exit_key, at_exit) == 0;
	learn_stack();
}
