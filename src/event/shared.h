/* SPDX-License-Identifier: MIT */
/*
 * The shared memory between the observed processes (writers, src/shim) and `circlip` (reader, src/sense/shm.c).
 *
 * One memfd, made by the reader: a header, then `n_slots` slots; a slot is one thread's byte ring with one writer. The fd travels over an abstract
 * UNIX socket named in the environment (SHARED_ENV): a process that starts connects, sends a struct shared_hello, gets the fd with SCM_RIGHTS (and a struct shared_welcome),
 * maps it and closes both, so that nothing stays open in the program. Forked children inherit the mapping.
 *
 * Publishing. Before taking sequence numbers a writer stores `busy` = current `seq` (never 0; seq starts at 1), full fence, then takes a block with one fetch-add,
 * copies its events into the ring (a record never wraps: the rest of the ring is skipped with a record of kind NONE), stores `tail` (release) and
 * moves `busy` to the next number it has taken and not yet published; 0 when done. Everything below the smallest non-zero `busy` (and below `seq` where all are 0) is complete: the reader yields
 * events in order up to there. A writer that died busy is recognised by its tid being gone.
 *
 * A full ring: the writer waits on `head` with futex, in slices, as long as `reader_alive`. When the reader is gone it goes silent for ever.
 * Reading latency: the reader polls every few milliseconds; a writer wakes it through `reader_sleeping` only when its ring is over a quarter full.
 *
 * Both sides treat the other's fields as hostile: read once, bound, then use. head and tail are free-running byte counts, multiples of 8.
 */
#pragma once

#include <stdint.h>

#define SHARED_ENV "CIRCLIP_SHIM_SOCKET"	/* abstract socket name, without the leading NUL */
#define SHARED_MAGIC UINT64_C(0x3170696c63726963)
#define SHARED_VERSION 1u

enum {
	SHARED_SLOTS = 4096,
	SHARED_RING_BYTES = 256 * 1024, /* a power of two */
};

enum shared_option {
	SHARED_SQPOLL_KEEP = 1u << 0,
	SHARED_ALLOC_STACKS = 1u << 1,
	SHARED_VERIFY_BUFFERS = 1u << 2,
	SHARED_NO_STACKS = 1u << 3,
};

struct shared_hello {
	uint64_t magic;
	uint32_t version;
	uint32_t pid;
};

struct shared_welcome {
	uint64_t magic;
	uint32_t version;
	uint32_t pid;		/* the process's pid as the reader sees it: goes into events */
};

struct shared_header {
	uint64_t magic;
	uint32_t version;
	uint32_t n_slots, ring_bytes;
	uint32_t options;	/* enum shared_option */
	uint32_t stack_bytes;
	uint32_t reader_alive;	/* 1 while the reader lives; also cleared by a writer that waited in vain for long */
	uint32_t reader_sleeping; /* futex: the reader waits here */
	uint32_t next_ring;	/* fetch-add: ring numbers, from 1 */
	_Alignas(64) uint64_t seq;	/* fetch-add: the next sequence number, from 1 */
	_Alignas(64) uint8_t pad[64];
};

enum shared_slot_state { SHARED_FREE, SHARED_CLAIMED /* being set up */, SHARED_USED, SHARED_LEAVING /* writer is done; reader frees it when drained */ };

struct shared_slot {
	uint32_t state;		/* enum shared_slot_state; FREE -> CLAIMED by compare-and-swap */
	uint32_t pid, tid;	/* of the writer, as in its events */
	uint32_t ns_tid;	/* of the writer, in its own namespace */
	_Alignas(64) uint64_t tail;	/* writer */
	uint64_t busy;
	_Alignas(64) uint64_t head;	/* reader */
	uint32_t head_futex;	/* reader bumps it after moving head when a writer waits */
	uint32_t writer_waits;
	_Alignas(64) uint8_t pad[64];
};

static inline uint64_t shared_slots_offset(void)
{
	return 4096;
}

static inline uint64_t shared_rings_offset(void)
{
	return shared_slots_offset() + (uint64_t)SHARED_SLOTS * sizeof(struct shared_slot);
}

static inline uint64_t shared_bytes(void)
{
	return shared_rings_offset() + (uint64_t)SHARED_SLOTS * SHARED_RING_BYTES;
}
