/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the shim share. The shim is preloaded into unmodified programs and writes events into shared
 *memory, nothing else.
 *
 * Every system call of interest, whether it trapped as an instruction, went through libc's syscall() or through an
 *interposed symbol, becomes a struct call: call_before(), the real call, call_after(). These two consult one table
 *(call.c), which asks rings.c, memory.c and fds.c. An interposed symbol is thus
 *
 *	int close(int fd)
 *	{
 *		struct call c = CALL(SYS_close, fd);
 *
 *		call_before(&c);
 *		return call_return(&c, real.close(fd));	// call_after() inside; errno as the real call left it
 *	}
 *
 * Rules for all code here. No heap, no locks, no stdio. Compiled for general registers only, with our own memcpy and
 *memset (string.c). Hooks run with all signals blocked or in the SIGSYS handler, possibly on a coroutine's small stack:
 *at most about 1 KiB of locals. Memory of the program is only read with shim_peek(), except ring memory that the kernel
 *mapped. shim_off() says that nothing may be emitted (not armed, in a vfork child, inert).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "abi/uring.h"
#include "event/event.h"
#include "event/shared.h"

#define SHIM_EXPORT __attribute__((visibility("default")))
#define SHIM_TLS __thread __attribute__((tls_model("initial-exec"), visibility("hidden")))

struct ring;

/* ---- the thread (thread.c) ---- */

struct thread {
	uint8_t selector;   /* of the dispatch: 1 = calls outside libc trap */
	uint8_t armed;      /* has a slot and may emit */
	uint8_t vforked;    /* > 0: a vfork child is running on our memory */
	uint8_t in_shim;    /* > 0: our own code is at work: hooks pass through */
	uint8_t in_handler; /* in our SIGSYS handler: signals are blocked, the selector is off */
	uint8_t leaving;
	uint8_t sigsys_blocked; /* as the program believes */
	uint8_t stack_claims;   /* a request of this thread may use its stack: how often that is still looked at */
	uint32_t slot;
	uint32_t tid;
	uint64_t stack_low, stack_high;
	struct thread_more *more; /* what is too large for static TLS: inner.h */
};

extern SHIM_TLS struct thread shim_self;

/* True when hooks have nothing to do. Also notices a forked child that was not announced. */
bool shim_off(void);

/* ---- emitting (emit.c) ---- */

/*
 * emit_open() blocks signals (unless we are in our SIGSYS handler) and makes this thread's slot ready; false: say
 * nothing. Then any number of emit_add(), and emit_close(). Records become visible at emit_close() at the latest.
 * Sequence numbers are taken by emit_add(). Nesting is not allowed: `in_shim` is set meanwhile, so interposed functions
 * that are called inside pass through.
 */
struct emit {
	uint64_t time;
	uint64_t mask;     /* signal mask to restore */
	uint64_t position; /* in the ring */
	uint32_t flags;    /* enum event_flag for all that follows */
	uint32_t stack;    /* stack id for all that follows */
	int saved_errno;
	bool restore_mask;
	uint8_t selector;
};

bool emit_open(struct emit *emit);
void emit_close(struct emit *emit);

/* A record of `bytes` (rounded up to 8) with its header filled in (ring number `ring`, `emit`'s stack and flags) and
 * the rest zero. Waits while the ring is full. Never NULL. */
void *emit_add(struct emit *emit, uint32_t kind, uint32_t ring, size_t bytes);

/* Shortcuts: a whole struct (its header is overwritten), and a struct with a tail. */
void emit_event(struct emit *emit, uint32_t kind, uint32_t ring, const void *event, size_t bytes);
void emit_tailed(struct emit *emit, uint32_t kind, uint32_t ring, const void *event, size_t bytes, const void *tail,
		 size_t tail_bytes);

/* Shortens the record that was added last. */
void emit_trim(struct emit *emit, void *record, size_t bytes);

/* This thread's slot. */
bool emit_slot_take(void);
void emit_slot_leave(void);

/* EVENT_NOTICE, at most once per topic and process. */
void emit_notice(uint32_t topic, const char *text);

extern struct shared_header *shim_shared; /* NULL: inert */
extern uint32_t shim_options;             /* enum shared_option, read once */

/* ---- calls (call.c) ---- */

struct call {
	long number;
	uint64_t args[6];          /* the before-hook may change them */
	long result;               /* for the after-hook: as the kernel answers, -errno on failure */
	const uint64_t *registers; /* 17, DWARF order (event.h); NULL: taken where they are needed */
	struct ring *ring; /* below: what a before-hook leaves for its after-hook */
	uint64_t state[6];
	uint64_t scratch[4]; /* memory that arguments may be pointed to */
	uint32_t stack;
	uint8_t skip;    /* the before-hook answered itself: `result` is the answer, make no call */
	uint8_t off;     /* nothing to do afterwards */
	uint8_t trapped; /* came as an instruction */
	uint8_t replaced;
};

#define CALL(nr, ...)                                                                                                  \
	{                                                                                                              \
		.number = (nr), .args = { __VA_ARGS__ }                                                                \
	}

void call_before(struct call *call);
void call_after(struct call *call);

/* Ends an interposed symbol: -1 with errno or the result, after call_after(). */
long call_return(struct call *call, long result);

/* ---- rings (rings.c, complete.c) ---- */

/* Reads all rings' completion queues now and emits what is new: to be called between emit_open() and a release event.
 * Sets EVENT_UNCERTAIN in emit->flags where another thread is amid the same. */
void rings_sync(struct emit *emit);

/* The ring behind a descriptor, or NULL; its number for events. */
struct ring *rings_by_fd(int fd);
uint32_t rings_number(const struct ring *ring);

/* ---- stacks (stack.c) ---- */

/* The id of the stack now, emitting EVENT_STACK when it is new; 0 when switched off. `registers` may be NULL: here. */
uint32_t stack_take(struct emit *emit, const uint64_t *registers);

/* ---- memory.c ---- */

void memory_before(struct call *call); /* munmap, mmap (MAP_FIXED), mremap, madvise, shmdt */
void memory_after(struct call *call);

/* The heap: a block is about to go; is about to be resized, and was. */
struct memory_resize {
	uint64_t address, length, asked, since;
	uint32_t alloc_stack;
};

void memory_freed(uint64_t address, uint64_t length, uint64_t asked);
bool memory_resizes(struct memory_resize *resize); /* true: memory_resized() must hear of the outcome */
void memory_resized(const struct memory_resize *resize, uint64_t now, uint64_t asked);

/* ---- allocate.c ---- */

void allocate_init(void);
uint32_t allocate_stack(uint64_t block); /* 0: not recorded */

/* ---- filter.c: which memory requests in flight use; it may say yes too often, never too rarely ---- */

enum { FILTER_RANGES = 32 };

/* The ranges of one request, being noted. */
struct filter_claims {
	uint64_t user_data, hash;
	uint64_t rest_low, rest_end;
	uint32_t ring, first, n;
};

void filter_init(void);
void filter_fork_child(void);

void filter_begin(struct filter_claims *claims, struct ring *ring, uint64_t user_data);
void filter_add(struct filter_claims *claims, uint64_t address, uint64_t length);
void filter_end(struct filter_claims *claims);

/* A request of that user_data has ended; none of the ring's is in flight any more. */
void filter_done(struct ring *ring, uint64_t user_data);
void filter_drop(struct ring *ring);

/* Whether a request in flight uses some of it, or it is registered; whether one does that was noted at this sequence
 * number or later. */
bool filter_hit(uint64_t address, uint64_t length);
bool filter_hit_since(uint64_t address, uint64_t length, uint32_t since);

/* Not zero when filter_hit() can say yes at all; a bit per level of granules. A small range is free where the marks of
 * its granules are 0. */
extern uint32_t filter_used;
extern const uint8_t *filter_marks;
extern uint64_t filter_registered_low, filter_registered_high; /* all that is registered lies in between */

enum { FILTER_PAGE = 1, FILTER_64K = 2, FILTER_2M = 4 };

static inline uint32_t filter_mark(unsigned shift, unsigned bits, uint32_t start, uint64_t address)
{
	return filter_marks[start + (uint32_t)((address >> shift) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits))];
}

static inline bool filter_may_hit(uint64_t address, uint64_t length)
{
	uint32_t used = __atomic_load_n(&filter_used, __ATOMIC_RELAXED), marks = 0;
	uint64_t last = address + length - 1;

	if (address < filter_registered_high && last >= filter_registered_low)
		return true;
	if (!used)
		return false;
	if (used & ~(uint32_t)(FILTER_PAGE | FILTER_64K | FILTER_2M) || length > 4096)
		return true;
	if (used & FILTER_PAGE)
		marks |= filter_mark(12, 12, 0, address) | filter_mark(12, 12, 0, last);
	if (used & FILTER_64K)
		marks |= filter_mark(16, 10, 4096, address) | filter_mark(16, 10, 4096, last);
	if (used & FILTER_2M)
		marks |= filter_mark(21, 8, 5120, address) | filter_mark(21, 8, 5120, last);
	return marks;
}

/* Whether it can say yes at all. */
static inline bool filter_in_use(void)
{
	return __atomic_load_n(&filter_used, __ATOMIC_RELAXED) || filter_registered_high;
}

/* Memory registered with a ring. */
void filter_register(const struct ring *ring, uint64_t address, uint64_t length);
void filter_unregister(const struct ring *ring);

/* ---- fds.c ---- */

void fds_before(struct call *call); /* close, close_range */
void fds_after(struct call *call);  /* close ..., dup ..., fcntl, listen, pipe, socketpair */

/* Emits EVENT_FD unless this descriptor was told and not closed since. Negative descriptors are ignored. */
void fds_describe(struct emit *emit, int fd);

/* A request that closes this descriptor is about to be submitted. */
void fds_ring_closes(int fd);

/* ---- creds.c ---- */

void creds_after(struct call *call); /* set*id */

/* ---- system calls of our own, real symbols (real.c) ---- */

/* libc's own syscall(), in the kernel's manner: the result or -errno; errno untouched. */
long shim_sys(long number, long a, long b, long c, long d, long e, long f);
#define SYS0(n) shim_sys((n), 0, 0, 0, 0, 0, 0)
#define SYS1(n, a) shim_sys((n), (long)(a), 0, 0, 0, 0, 0)
#define SYS2(n, a, b) shim_sys((n), (long)(a), (long)(b), 0, 0, 0, 0)
#define SYS3(n, a, b, c) shim_sys((n), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS4(n, a, b, c, d) shim_sys((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS6(n, a, b, c, d, e, f) shim_sys((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* The next definition of a symbol after ours; looked up on first use and kept in *cache. */
void *real_find(void **cache, const char *name);
/* Declares a static cache and fetches the real function: REAL_FUNCTION(close)(fd). */
#define REAL_FUNCTION(name)                                                                                            \
	({                                                                                                             \
		static void *cache_##name;                                                                             \
		(__typeof__(&name))real_find(&cache_##name, #name);                                                    \
	})

extern int shim_pid;              /* in our own namespace */
extern uint32_t shim_process_pid; /* as events carry it */

/* Copies from the program's memory without faulting: bytes copied (may be fewer), 0 when nothing could be read. */
size_t shim_peek(void *to, uint64_t from, size_t bytes);
