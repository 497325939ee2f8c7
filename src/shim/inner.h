/* SPDX-License-Identifier: MIT */
/* What rings, calls, threads and stacks share among themselves; memory.c and fds.c have no need of it. */
#pragma once

#include <signal.h>

#include "shim/shim.h"

enum {
	RINGS_MAX = 2048,
	RING_FDS = 65536,
	REGISTERED_RINGS = 16, /* per thread, as in the kernel */
	RING_PBUFS = 32,
	RING_SHADOW = 256,
	RING_SUMS = 64,
	STACK_CACHE = 64,
	ALT_STACK_BYTES = 32768,
	SCRATCH_BYTES = 4096,
	STACK_GLANCES = 64,
};

struct stack_seen {
	uint64_t hash;
	uint32_t id;
};

/* Per thread, mapped; the alternate stack follows. */
struct thread_more {
	struct ring *registered[REGISTERED_RINGS];
	struct stack_seen stacks[STACK_CACHE];
	stack_t program_stack; /* the alternate stack that the program set, SS_DISABLE if none */
	stack_t own_stack;
	uint64_t scratch[SCRATCH_BYTES / 8]; /* while emitting */
};

/* Shared by forked children that see the same ring: how far completions were claimed, and how far they have been
 * emitted. */
struct ring_cursor {
	uint32_t claimed, emitted;
};

struct ring_pbuf {
	uint64_t address; /* 0: known by its mmap offset only, not mapped yet */
	uint32_t entries;
	uint16_t group;
	uint16_t tail;
	uint8_t used, by_mmap;
};

struct ring_sum {
	uint64_t address, length, user_data, hash;
	uint8_t used, zero_copy;
};

/* What only few rings need; mapped on demand. */
struct ring_more {
	struct ring_sum sums[RING_SUMS];
	uint32_t n_sums;
	uint32_t shadow_first, shadow_count; /* free-running index of the first entry, how many */
	bool shadow_odd;                     /* the program chooses slots itself */
	uint32_t shadow_slots[RING_SHADOW];
	struct uring_sqe shadow[RING_SHADOW];
};

struct ring {
	uint32_t number;  /* 0 = free */
	uint32_t readers; /* threads that look at its memory now */
	uint32_t going;   /* its memory is being unmapped: nobody begins to look */
	int32_t fd;       /* one descriptor of it, -1 when closed */
	uint32_t n_fds, n_registered;
	uint32_t flags;    /* setup flags as the program sees them */
	uint32_t emulated; /* setup flags taken away */
	uint32_t features;
	uint32_t sq_entries, cq_entries;
	struct uring_sq_offsets sq_off;
	struct uring_cq_offsets cq_off;
	uint8_t *sq, *cq, *sqes; /* NULL while not mapped */
	uint64_t sq_bytes, cq_bytes, sqes_bytes;
	struct ring_cursor *cursor;
	struct ring_more *more;
	uint32_t claims;           /* requests of it were noted in the filter */
	uint32_t left_first, left; /* entries that the last call left in the queue */
	uint32_t next_tail;        /* the queue's tail when the last call returned */
	uint32_t idle_glances;     /* in a row that found completions kept back, and since when */
	uint64_t idle_since;
	uint8_t next_known, stall_told;
	struct uring_sqe next; /* and what lay in the slot that is prepared next */
	uint8_t cursor_ready, overflow_told, closed;
	uint8_t inherited, shared; /* over fork(); and on purpose */
	struct ring_pbuf pbufs[RING_PBUFS];
};

#define RING_WORD(base, offset) ((uint32_t *)((base) + (offset)))

extern struct ring rings_table[RINGS_MAX];
extern uint32_t rings_high; /* table entries ever used */

/* rings.c */
void rings_before(struct call *call);
void rings_after(struct call *call);
void rings_fork_child(void);
void rings_thread_exit(struct emit *emit);
struct ring *rings_by_call(uint32_t fd, bool registered);
bool rings_hold(struct ring *ring);
void rings_let_go(struct ring *ring);
void rings_state(struct ring *ring, struct event_ring_state *state);
struct ring *rings_new(void); /* NULL when the table is full */
void rings_bind(int fd, struct ring *ring);
void rings_registered(struct ring *ring, uint32_t index);
void rings_user_memory(struct ring *ring, uint64_t sqes, uint64_t cq);
struct ring_more *rings_more(struct ring *ring);

/* register.c */
void stray_setup(long result);
void stray_before(struct call *call);
void stray_after(struct call *call);

void register_before(struct call *call);
void register_after(struct call *call);

/* setup.c */
void setup_before(struct call *call);
void setup_after(struct call *call);

/* complete.c */
void complete_sync(struct emit *emit, struct ring *ring);
void complete_buffers(struct emit *emit, struct ring *ring);

/* enter.c */
void enter_before(struct call *call);
void enter_after(struct call *call);

/* args.c: room that an entry's indirect arguments may take at most (0: has none), and writing them after the record's
 * first `offset` bytes. Returns bytes written. */
size_t args_room(const struct uring_sqe *sqe);
size_t args_write(const struct uring_sqe *sqe, uint8_t *to, size_t room, uint16_t *ret_count);
/* Notes the memory that the entry uses until it completes, and tells of ranges that leave their allocation. */
void args_claim(struct emit *emit, struct ring *ring, const struct uring_sqe *sqe, uint32_t position);

/* The same for an entry that was left in the queue, of which everything will yet be read. Ends with
 * filter_done(ring, key). */
void args_claim_queued(struct ring *ring, const struct uring_sqe *sqe, uint64_t key);

/* sharing.c: it came over fork(), and what is in it is meant for several processes. Looks into the ring: hold it. */
bool sharing_meant(struct ring *ring);

/* glance.c */
extern uint32_t glance_overflows; /* some ring's completions have not fitted */
void glance_init(void);
void glance_at_thread_start(uint64_t sp); /* in the thread that starts it */
void glance_at_exit(struct emit *emit);

/* verify.c */
void verify_submit(struct ring *ring, const struct uring_sqe *sqe);
void verify_look(struct emit *emit, struct ring *ring);
void verify_complete(struct emit *emit, struct ring *ring, const struct uring_cqe *cqe, bool taken);
void verify_shadow(struct ring *ring, uint32_t index, uint32_t slot, const struct uring_sqe *sqe, bool first);
void verify_slots(struct emit *emit, struct ring *ring);
void verify_next(struct emit *emit, struct ring *ring, uint32_t tail);
void verify_remember_next(struct ring *ring, uint32_t tail);

/* stack.c */
void stack_modules(struct emit *emit);
extern uint32_t stack_modules_stale; /* an object was mapped since */

/* thread.c */
bool thread_arm(void (*first_event)(void)); /* slot, alternate stack, dispatch: for the calling thread */
void thread_disarm(void);
void thread_init(void);
void thread_fork_child(void);

/* signals.c */
void signals_init(void);
void signals_before(struct call *call);
void signals_after(struct call *call);
void signals_install_stack(void);
void signals_foreign_sigsys(int number, siginfo_t *info, void *context);

/* dispatch.c */
void dispatch_handler(int number, siginfo_t *info, void *context);
extern uint64_t dispatch_restorer; /* libc's own */

/* process.c */
void process_init(void);
void process_start_event(void);
void process_forked(void); /* in the child */
void process_exit_event(int status);
void process_exec_event(const char *path);

/* real.c: libc's syscall(), once known; trampoline.S jumps there */
extern long (*real_syscall)(long number, ...);
extern pid_t (*real_vfork)(void);
void real_init(void);

/* main.c */
int main_connect(void);
extern uint8_t *main_canary;  /* 1; a fork makes it 0 */
extern char main_socket[108]; /* abstract name, without the leading NUL */
