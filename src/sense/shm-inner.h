/* SPDX-License-Identifier: MIT */
/* What the parts of the shim's reader share: programs and how they start, the door, processes, slots. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/map.h"
#include "event/event.h"
#include "event/shared.h"

struct err;
struct sense_shm_options;
struct shm;
struct shm_door;
struct source;

/* ---- programs (shm-program.c) ---- */

enum { SHM_RUNTIME_BYTES = 256 };

struct shm_program {
	char path[PATH_MAX];
	char runtime[SHM_RUNTIME_BYTES]; /* a sanitizer's runtime that must be preloaded before the shim, or "" */
};

/* Finds `name` as execvp(3) does: 0, -ENOENT or -EACCES with a text. */
int shm_program_find(const char *name, char ret_path[PATH_MAX], struct err *err);

/* 0 when the file at `path` (for a script: its interpreter) can be watched; -ENOTSUP, -ENOENT, -EACCES with a text. */
int shm_program_inspect(const char *path, char ret_runtime[SHM_RUNTIME_BYTES], struct err *err);

/* ---- starting (shm-start.c) ---- */

/* The path of the shim's object. */
int shm_start_find_shim(char ret_path[PATH_MAX], struct err *err);

/* Runs the program with the shim preloaded and `socket_name` in its environment. */
int shm_start(const struct shm_program *program, char *const *argv, const char *shim, const char *socket_name,
	      pid_t *ret_pid, struct err *err);

/* ---- the door (shm-door.c): a thread that answers processes which start, and notices when processes are gone ---- */

enum shm_call_kind { SHM_HELLO, SHM_GONE };

struct shm_call {
	enum shm_call_kind kind;
	uint32_t pid;
	int pidfd;       /* of a hello: the taker's from now on, or -1 */
	bool namespaced; /* the process knows itself by another pid */
};

int shm_door_new(struct shared_header *header, int memory, struct shm_door **ret_door, struct err *err);
const char *shm_door_name(const struct shm_door *door);
int shm_door_start(struct shm_door *door, struct err *err);
bool shm_door_pending(const struct shm_door *door);
bool shm_door_take(struct shm_door *door, struct shm_call *ret_call);
/* From now on a SHM_GONE comes when the process is gone. The descriptor stays the caller's until then. */
int shm_door_watch(struct shm_door *door, uint32_t pid, int pidfd);
struct shm_door *shm_door_free(struct shm_door *door);

/* ---- processes (shm-process.c) ---- */

struct shm_process {
	uint32_t pid;
	int pidfd;
	uint32_t n_slots;
	bool proper;        /* the program itself, our child */
	bool gone;          /* no thread of it runs any more */
	bool seen;          /* events of it were yielded */
	bool exited;        /* among them its exit */
	bool greeted;       /* its shim has called */
	bool namespaced;    /* tids of its slots are those of another namespace */
	bool stranger;      /* cannot be followed: not waited for */
	bool misbehaved;    /* that was told */
	uint64_t exec_time; /* it was about to execute another program then; 0 = was not, or that one has called */
	char exec_path[128];
	struct shm_process *next;
};

struct shm_processes {
	struct map by_pid;
	struct shm_process *first;
	struct shm_door *door;
	uint64_t oldest;        /* start time of the program proper, in the kernel's ticks; 0 = not known */
	uint64_t device, inode; /* of the shared memory */
};

/* The process, made when new; NULL when out of memory. */
struct shm_process *shm_process_get(struct shm_processes *processes, uint32_t pid);
void shm_process_hello(struct shm_processes *processes, const struct shm_call *call);
void shm_process_forget(struct shm_processes *processes, struct shm_process *process);
void shm_process_deinit(struct shm_processes *processes);
/* 0 when it cannot be told. */
uint32_t shm_process_parent(uint32_t pid);
bool shm_process_is_gone(const struct shm_process *process);
/* False when the thread has certainly ended. */
bool shm_process_has_thread(const struct shm_process *process, uint32_t tid);
bool shm_process_is_stopped(const struct shm_process *process, uint32_t tid);
/* 1 when the shared memory is mapped there, 0 when not, -errno when it cannot be told. */
int shm_process_maps_memory(const struct shm_processes *processes, const struct shm_process *process);
/* Finds processes that have the memory and have not written yet: children that were just forked. */
void shm_process_search(struct shm_processes *processes);

/* ---- slots (shm-slots.c): the merge ---- */

struct shm_slot {
	uint32_t pid, tid;
	struct shm_process *process;
	uint64_t head; /* ours; what lies in shared memory is never read back */
	uint64_t told; /* the head that the writer knows */
	uint64_t tail;
	uint64_t removed; /* memory before this place was given back */
	uint64_t busy, busy_since;
	uint64_t seq; /* of the record at head, when has_record */
	uint32_t size;
	uint16_t kind;
	bool listed, has_record;
	bool over;    /* its writer will write no more */
	bool dropped; /* its writer broke the rules: what it writes is thrown away */
};

struct shm_slots {
	struct shared_header *header;
	struct shm *shm;
	struct shm_slot *views;  /* SHARED_SLOTS */
	uint16_t *listed, *heap; /* indices; `heap` orders those with a record below the horizon by its number */
	uint32_t n_listed, n_heap, n_dropped;
	uint64_t seen_seq;     /* the header's, when it was last looked at */
	uint64_t horizon;      /* everything below is complete, as far as the listed slots go */
	uint64_t full_horizon; /* ... as far as all slots go */
	uint64_t next_seq;     /* the number that should come next */
	uint64_t excused;      /* numbers below may be missing: that was told already */
	uint64_t now;
	bool want_scan; /* slots that are not listed may matter */
	bool told_full;
	uint64_t *record; /* the copy of the record yielded last */
};

int shm_slots_init(struct shm_slots *slots, struct shared_header *header, struct shm *shm);
void shm_slots_deinit(struct shm_slots *slots);
/* Looks at shared memory anew. */
void shm_slots_refresh(struct shm_slots *slots);
/* The next event that is complete, or NULL. */
struct event *shm_slots_next(struct shm_slots *slots);
/* All slots of a process that is gone. */
void shm_slots_over(struct shm_slots *slots, const struct shm_process *process);
/* Takes action against writers that hold up the others. */
void shm_slots_unblock(struct shm_slots *slots, uint64_t patience_ns);
/* Finds slots whose threads ended without leaving. */
void shm_slots_reap(struct shm_slots *slots);
/* Wakes all writers that wait for room. */
void shm_slots_wake_all(struct shm_slots *slots);

/* ---- the source itself (shm.c) ---- */

struct shm_made {
	union {
		struct event h;
		struct event_exit exit;
		struct event_lost lost;
		struct event_notice notice;
	} event;
	char text[256];
};

/* Events that the reader itself has to tell come before the next one from shared memory. */
void shm_tell_lost(struct shm *shm, uint32_t pid, uint64_t count);
void shm_tell_notice(struct shm *shm, uint32_t pid, uint32_t topic, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
struct shm_processes *shm_processes(struct shm *shm);

/* A reader of memory that the caller has filled and keeps, for fuzzing: nobody calls, nobody is followed. */
struct source *shm_new_alone(struct shared_header *header);

/* For tests, which cannot wait as long. */
void shm_set_patience(struct source *source, uint64_t ns);

uint64_t shm_now(void);
void shm_wake(uint32_t *word);

static inline struct shared_slot *shm_shared_slot(struct shared_header *header, uint32_t index)
{
	return (struct shared_slot *)((uint8_t *)header + shared_slots_offset()) + index;
}

static inline uint8_t *shm_shared_ring(struct shared_header *header, uint32_t index)
{
	return (uint8_t *)header + shared_rings_offset() + (uint64_t)index * SHARED_RING_BYTES;
}
