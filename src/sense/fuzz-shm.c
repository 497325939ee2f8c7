/* SPDX-License-Identifier: MIT */
/*
 * Feeds the reader of shared memory with a writer whose every store comes from the input. Eight bytes are one step:
 * what to do, in which slot, where, and a value. Whatever it does, the reader yields well-formed events in order.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "event/file.h"
#include "event/source.h"
#include "sense/shm-inner.h"

enum { SLOTS = 4, STEPS = 4096, READS = 64 };

struct step {
	uint8_t what, slot;
	uint16_t where;
	uint32_t value;
};

struct fuzz {
	struct shared_header *header;
	struct source *source;
	uint64_t seq;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The last slot's ring ends where nothing is mapped. */
static const uint32_t slot_numbers[SLOTS] = { 0, 1, 2, SHARED_SLOTS - 1 };

static struct shared_slot *slot_of(const struct fuzz *fuzz, const struct step *step)
{
	return shm_shared_slot(fuzz->header, slot_numbers[step->slot % SLOTS]);
}

static uint8_t *ring_of(const struct fuzz *fuzz, const struct step *step)
{
	return shm_shared_ring(fuzz->header, slot_numbers[step->slot % SLOTS]);
}

static void *map(void)
{
	uint8_t *mapped =
		mmap(NULL, shared_bytes() + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mapped == MAP_FAILED || mprotect(mapped, shared_bytes(), PROT_READ | PROT_WRITE) < 0)
		abort();
	return mapped;
}

static struct shared_header *memory(void)
{
	static struct shared_header *header;

	header = header ? header : map();
	memset(header, 0, sizeof(*header));
	header->reader_alive = 1;
	header->seq = 1;
	for (uint32_t i = 0; i < SLOTS; i++) {
		memset(shm_shared_slot(header, slot_numbers[i]), 0, sizeof(struct shared_slot));
		memset(shm_shared_ring(header, slot_numbers[i]), 0, 4096);
	}
	return header;
}

/* As an honest writer does it, but for the kind and the size. */
static void append(struct fuzz *fuzz, const struct step *step)
{
	struct shared_slot *slot = slot_of(fuzz, step);
	uint64_t offset = slot->tail & (SHARED_RING_BYTES - 8);
	struct event *event = (struct event *)(ring_of(fuzz, step) + offset);

	if (offset > SHARED_RING_BYTES - sizeof(*event))
		return;
	event->kind = step->where % (EVENT_KIND_COUNT + 1);
	event->size = (uint16_t)step->value;
	event->seq = fuzz->header->seq++;
	slot->tail += event->size;
}

static void set_slot(struct fuzz *fuzz, const struct step *step)
{
	uint32_t *words = (uint32_t *)slot_of(fuzz, step);

	words[step->where % (sizeof(struct shared_slot) / 4)] = step->value;
}

static void set_ring(struct fuzz *fuzz, const struct step *step)
{
	uint32_t *words = (uint32_t *)ring_of(fuzz, step);

	words[step->where % 1024] = step->value;
}

static void set_seq(struct fuzz *fuzz, const struct step *step)
{
	fuzz->header->seq = step->where % 2 ? step->value : (uint64_t)step->value << 32;
}

static void claim(struct fuzz *fuzz, const struct step *step)
{
	struct shared_slot *slot = slot_of(fuzz, step);

	slot->pid = slot->tid = step->value;
	slot->state = SHARED_USED;
}

static void leave(struct fuzz *fuzz, const struct step *step)
{
	slot_of(fuzz, step)->state = SHARED_LEAVING;
}

static void look(struct fuzz *fuzz, const struct step *step)
{
	for (unsigned i = 0; i < READS; i++) {
		const struct event *event;
		int r = fuzz->source->next(fuzz->source, 0, &event, NULL);

		if (r == SOURCE_AGAIN)
			return;
		if (r != SOURCE_EVENT || event_check(event, event->size, NULL) < 0 || event->seq < fuzz->seq)
			abort();
		fuzz->seq = event->seq;
	}
}

static void (*const acts[])(struct fuzz *fuzz, const struct step *step) = { append,  append, set_slot, set_ring,
									    set_seq, claim,  leave,    look };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { .header = memory() };
	struct step step;

	fuzz.source = shm_new_alone(fuzz.header);
	if (!fuzz.source)
		abort();
	for (size_t i = 0; i < STEPS && size - i * sizeof(step) >= sizeof(step) && i * sizeof(step) < size; i++) {
		memcpy(&step, data + i * sizeof(step), sizeof(step));
		acts[step.what % (sizeof(acts) / sizeof(*acts))](&fuzz, &step);
	}
	look(&fuzz, &step);
	fuzz.source->destroy(fuzz.source);
	return 0;
}
