/* SPDX-License-Identifier: MIT */
/*
 * Glances in passing. Nothing tells when a function returns whose frame a request still uses; and a program that reads
 * completions from memory may make no call for long. So the calls of libc by which a program lets something happen
 * (writes, sends, sleeps, polls) are a chance to look: whether a request uses the stack near where the thread is now,
 * and whether the kernel keeps completions back from a program that has taken all it can see.
 *
 * Almost always one byte says that there is nothing to look for. A glance that finds something tells only that: the
 * reader has the stack, and judges.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/inner.h"

/* How far from the stack pointer frames that may be gone are looked for. */
enum { NEAR = 65536 };

/* So often, and so long, must completions have been kept back before it is plain that nobody fetches them. */
enum { IDLE_GLANCES = 8 };
#define IDLE_NS UINT64_C(500000000)

uint32_t glance_overflows;

static uint32_t word(const uint8_t *base, uint32_t offset)
{
	return __atomic_load_n((const uint32_t *)(base + offset), __ATOMIC_ACQUIRE);
}

/* The stack pointer must be the thread's own: a coroutine's says nothing of it. */
static bool stack_in_use(uint64_t sp)
{
	uint64_t low, high;

	if (!shim_self.stack_claims || sp <= shim_self.stack_low || sp >= shim_self.stack_high)
		return false;
	low = sp - shim_self.stack_low < NEAR ? shim_self.stack_low : sp - NEAR;
	high = shim_self.stack_high - sp < NEAR ? shim_self.stack_high : sp + NEAR;
	return filter_hit(low, high - low);
}

static void look_at_frames(struct emit *emit, uint64_t sp)
{
	rings_sync(emit);
	if (!stack_in_use(sp))
		return;
	emit->stack = stack_take(emit, NULL);
	emit_add(emit, EVENT_GLANCE, 0, sizeof(struct event));
	shim_self.stack_claims--;
}

static bool holds_back(const struct ring *ring)
{
	return ring->sq && ring->cq && word(ring->sq, ring->sq_off.flags) & URING_SQ_CQ_OVERFLOW &&
	       word(ring->cq, ring->cq_off.head) == word(ring->cq, ring->cq_off.tail);
}

static void tell_stalled(struct emit *emit, struct ring *ring)
{
	struct event_ring_state state = { 0 };

	ring->stall_told = 1;
	complete_sync(emit, ring);
	rings_state(ring, &state);
	emit_event(emit, EVENT_STALLED, ring->number, &state, sizeof(state));
}

static void look_at_ring(struct emit *emit, struct ring *ring)
{
	if (!ring->idle_glances++)
		ring->idle_since = emit->time;
	if (ring->idle_glances < IDLE_GLANCES || emit->time - ring->idle_since < IDLE_NS || ring->stall_told)
		return;
	emit->stack = stack_take(emit, NULL);
	tell_stalled(emit, ring);
}

/* Without `emit` only whether any ring holds something back. */
static bool look_at_rings(struct emit *emit)
{
	uint32_t high = __atomic_load_n(&rings_high, __ATOMIC_ACQUIRE);
	bool any = false, any_overflow = false;

	for (uint32_t i = 0; i < high; i++) {
		struct ring *ring = &rings_table[i];
		bool holds;

		if (!ring->number || !ring->overflow_told || !rings_hold(ring))
			continue;
		any_overflow = true;
		holds = holds_back(ring);
		any |= holds;
		if (!holds)
			ring->idle_glances = 0;
		else if (emit)
			look_at_ring(emit, ring);
		rings_let_go(ring);
	}
	if (!any_overflow)
		__atomic_store_n(&glance_overflows, 0, __ATOMIC_RELAXED);
	return any;
}

static void __attribute__((noinline)) glance(uint64_t sp)
{
	bool frames, rings;
	struct emit emit;

	if (shim_off() || shim_self.in_shim)
		return;
	frames = stack_in_use(sp);
	rings = glance_overflows && look_at_rings(NULL);
	if ((!frames && !rings) || !emit_open(&emit))
		return;
	if (frames)
		look_at_frames(&emit, sp);
	if (rings)
		look_at_rings(&emit);
	emit_close(&emit);
}

/* What the caller of an interposed function has on its stack begins at the function's own CFA. */
#define GLANCE()                                                                                                       \
	do {                                                                                                           \
		if (shim_self.stack_claims || __atomic_load_n(&glance_overflows, __ATOMIC_RELAXED))                    \
			glance((uint64_t)__builtin_dwarf_cfa());                                                       \
	} while (0)

#define GLANCED(type, name, parameters, arguments)                                                                     \
	static void *real_##name;                                                                                      \
                                                                                                                       \
	SHIM_EXPORT type name parameters                                                                               \
	{                                                                                                              \
		GLANCE();                                                                                              \
		return ((__typeof__(&name))real_find(&real_##name, #name))arguments;                                   \
	}

GLANCED(ssize_t, write, (int fd, const void *from, size_t bytes), (fd, from, bytes))
GLANCED(ssize_t, writev, (int fd, const struct iovec *vectors, int n), (fd, vectors, n))
GLANCED(ssize_t, read, (int fd, void *to, size_t bytes), (fd, to, bytes))
GLANCED(ssize_t, send, (int fd, const void *from, size_t bytes, int flags), (fd, from, bytes, flags))
GLANCED(ssize_t, sendto,
	(int fd, const void *from, size_t bytes, int flags, const struct sockaddr *address, socklen_t length),
	(fd, from, bytes, flags, address, length))
GLANCED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
GLANCED(ssize_t, recv, (int fd, void *to, size_t bytes, int flags), (fd, to, bytes, flags))
GLANCED(int, connect, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
GLANCED(int, shutdown, (int fd, int how), (fd, how))
GLANCED(int, eventfd_write, (int fd, eventfd_t value), (fd, value))
GLANCED(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout))
GLANCED(unsigned int, sleep, (unsigned int seconds), (seconds))
GLANCED(int, usleep, (useconds_t micros), (micros))
GLANCED(int, nanosleep, (const struct timespec *time, struct timespec *rest), (time, rest))
GLANCED(int, clock_nanosleep, (clockid_t clock, int flags, const struct timespec *time, struct timespec *rest),
	(clock, flags, time, rest))
GLANCED(int, sched_yield, (void), ())
GLANCED(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
GLANCED(int, pthread_join, (pthread_t thread, void **result), (thread, result))

void glance_at_thread_start(uint64_t sp)
{
	if (shim_self.stack_claims)
		glance(sp);
}

void glance_at_exit(struct emit *emit)
{
	uint32_t high = __atomic_load_n(&rings_high, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < high; i++) {
		struct ring *ring = &rings_table[i];

		if (!ring->number || !ring->overflow_told || ring->stall_told || !rings_hold(ring))
			continue;
		if (holds_back(ring))
			tell_stalled(emit, ring);
		rings_let_go(ring);
	}
}

/* So that no signal handler is the first to ask for what may be called in it. */
void glance_init(void)
{
	static const struct {
		void **cache;
		const char *name;
	} early[] = {
		{ &real_write, "write" },
		{ &real_read, "read" },
		{ &real_send, "send" },
		{ &real_sendto, "sendto" },
		{ &real_sendmsg, "sendmsg" },
		{ &real_recv, "recv" },
		{ &real_connect, "connect" },
		{ &real_shutdown, "shutdown" },
		{ &real_poll, "poll" },
		{ &real_sleep, "sleep" },
		{ &real_waitpid, "waitpid" },
		{ &real_nanosleep, "nanosleep" },
		{ &real_sched_yield, "sched_yield" },
	};

	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++)
		real_find(early[i].cache, early[i].name);
}
