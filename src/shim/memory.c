/* SPDX-License-Identifier: MIT */
/*
 * Memory that goes away. free() is told before it happens; what may fail, or may leave the memory where it is, when the
 * outcome is known: whether the memory was in use is looked up before the call, and where another request took it in
 * between, the event says that it is not certain.
 */
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "shim/inner.h"

enum { ATTACHMENTS = 64, PAGE = 4096 };

/* What is noted before a call for after it. */
enum { SEEN = 1, SEEN_TARGET = 2 };
enum { STATE_SEEN, STATE_SINCE, STATE_LENGTH };

static struct attachment {
	uint64_t address, length;
} attachments[ATTACHMENTS];

/* Completions that can be seen count before anything else. */
static bool in_use(struct emit *emit, uint64_t address, uint64_t length)
{
	if (!filter_hit(address, length))
		return false;
	rings_sync(emit);
	return filter_hit(address, length);
}

static struct event_release *tell(struct emit *emit, uint64_t address, uint64_t length, uint32_t how)
{
	struct event_release *event = emit_add(emit, EVENT_RELEASE, 0, sizeof(*event));

	event->address = address;
	event->length = length;
	event->how = how;
	return event;
}

/* For a release that has happened already. */
static struct event_release *tell_late(struct emit *emit, uint64_t address, uint64_t length, uint32_t how,
				       uint64_t since)
{
	struct event_release *event = tell(emit, address, length, how);

	/* A request that another thread submits is noted before its event has a number. */
	if (filter_hit_since(address, length, (uint32_t)since))
		event->h.flags |= EVENT_UNCERTAIN;
	return event;
}

/* ---- the heap (allocate.c) ---- */

void memory_freed(uint64_t address, uint64_t length, uint64_t asked)
{
	struct event_release *event;
	struct emit emit;

	if (!filter_hit(address, length) || !emit_open(&emit))
		return;
	if (in_use(&emit, address, length)) {
		emit.stack = stack_take(&emit, NULL);
		event = tell(&emit, address, length, EVENT_FREE);
		event->asked = asked;
		event->alloc_stack = allocate_stack(address);
	}
	emit_close(&emit);
}

bool memory_resizes(struct memory_resize *resize)
{
	struct emit emit;
	bool seen;

	if (!filter_hit(resize->address, resize->length) || !emit_open(&emit))
		return false;
	seen = in_use(&emit, resize->address, resize->length);
	resize->since = __atomic_load_n(&shim_shared->seq, __ATOMIC_SEQ_CST);
	resize->alloc_stack = allocate_stack(resize->address);
	emit_close(&emit);
	return seen;
}

/* `now` is where the block is, 0: nowhere. */
void memory_resized(const struct memory_resize *resize, uint64_t now, uint64_t asked)
{
	uint64_t kept = now == resize->address ? asked : 0;
	struct event_release *event;
	struct emit emit;

	if (kept >= resize->length || !emit_open(&emit))
		return;
	emit.stack = stack_take(&emit, NULL);
	event = tell_late(&emit, resize->address + kept, resize->length - kept, EVENT_REALLOC, resize->since);
	event->asked = resize->asked;
	event->alloc_stack = resize->alloc_stack;
	emit_close(&emit);
}

/* ---- mappings ---- */

static uint64_t pages(uint64_t length)
{
	return (length + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static bool discards(uint64_t advice)
{
	return advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE ||
	       advice == 24 /* MADV_DONTNEED_LOCKED */;
}

static void attached(uint64_t id, uint64_t address)
{
	struct shmid_ds about;

	if (SYS3(SYS_shmctl, id, IPC_STAT, &about) < 0)
		return;
	for (unsigned i = 0; i < ATTACHMENTS; i++) {
		uint64_t free = 0;

		if (__atomic_compare_exchange_n(&attachments[i].address, &free, address, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED)) {
			attachments[i].length = pages(about.shm_segsz);
			return;
		}
	}
}

static uint64_t attached_length(uint64_t address)
{
	for (unsigned i = 0; address && i < ATTACHMENTS; i++)
		if (__atomic_load_n(&attachments[i].address, __ATOMIC_ACQUIRE) == address)
			return attachments[i].length;
	return 0;
}

static void detached(uint64_t address)
{
	for (unsigned i = 0; i < ATTACHMENTS; i++)
		if (__atomic_load_n(&attachments[i].address, __ATOMIC_ACQUIRE) == address) {
			__atomic_store_n(&attachments[i].address, 0, __ATOMIC_RELEASE);
			return;
		}
}

/* How many bytes at args[0] the call may release. */
static uint64_t endangered(const struct call *call)
{
	switch (call->number) {
	case SYS_mmap:
		return call->args[3] & MAP_FIXED && !(call->args[3] & MAP_FIXED_NOREPLACE) ? pages(call->args[1]) : 0;
	case SYS_madvise:
		return discards(call->args[2]) ? pages(call->args[1]) : 0;
	case SYS_shmdt:
		return attached_length(call->args[0]);
	case SYS_munmap:
	case SYS_mremap:
		return pages(call->args[1]);
	}
	return 0;
}

void memory_before(struct call *call)
{
	uint64_t length = endangered(call), target = 0;
	struct emit emit;

	call->state[STATE_SEEN] = 0;
	call->state[STATE_LENGTH] = length;
	if (call->number == SYS_mremap && call->args[3] & MREMAP_FIXED)
		target = pages(call->args[2]);
	if (!filter_hit(call->args[0], length) && !(target && filter_hit(call->args[4], target)))
		return;
	if (!emit_open(&emit))
		return;
	if (in_use(&emit, call->args[0], length))
		call->state[STATE_SEEN] |= SEEN;
	if (target && in_use(&emit, call->args[4], target))
		call->state[STATE_SEEN] |= SEEN_TARGET;
	call->state[STATE_SINCE] = __atomic_load_n(&shim_shared->seq, __ATOMIC_SEQ_CST);
	if (call->state[STATE_SEEN])
		call->stack = stack_take(&emit, call->registers);
	emit_close(&emit);
}

static uint32_t how(const struct call *call)
{
	return call->number == SYS_munmap    ? EVENT_MUNMAP
	       : call->number == SYS_mremap  ? EVENT_MREMAP
	       : call->number == SYS_madvise ? EVENT_MADVISE
	       : call->number == SYS_shmdt   ? EVENT_SHMDT
					     : EVENT_MMAP_FIXED;
}

/* What is still there afterwards, from the start of the range on. */
static uint64_t kept(const struct call *call)
{
	if (call->number != SYS_mremap || (uint64_t)call->result != call->args[0])
		return 0;
	return pages(call->args[2]);
}

static void released(const struct call *call)
{
	uint64_t length = call->state[STATE_LENGTH], stays = kept(call);
	struct emit emit;

	if (!emit_open(&emit))
		return;
	emit.stack = call->stack;
	if (call->state[STATE_SEEN] & SEEN && stays < length)
		tell_late(&emit, call->args[0] + stays, length - stays, how(call), call->state[STATE_SINCE]);
	if (call->state[STATE_SEEN] & SEEN_TARGET)
		tell_late(&emit, call->args[4], pages(call->args[2]), EVENT_MREMAP, call->state[STATE_SINCE]);
	emit_close(&emit);
}

void memory_after(struct call *call)
{
	if (call->result < 0 && call->result > -4096)
		return;
	if (call->number == SYS_shmat)
		attached(call->args[0], (uint64_t)call->result);
	else if (call->state[STATE_SEEN])
		released(call);
	if (call->number == SYS_shmdt)
		detached(call->args[0]);
}

/* ---- the symbols ---- */

SHIM_EXPORT void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	struct call call = CALL(SYS_mmap, (uint64_t)at, bytes, (uint64_t)protection, (uint64_t)flags, (uint64_t)fd,
				(uint64_t)offset);

	call_before(&call);
	return (void *)call_return(&call, (long)REAL_FUNCTION(mmap)(at, bytes, protection, flags, fd, offset));
}

SHIM_EXPORT void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return mmap(at, bytes, protection, flags, fd, offset);
}

SHIM_EXPORT int munmap(void *at, size_t bytes)
{
	struct call call = CALL(SYS_munmap, (uint64_t)at, bytes);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(munmap)(at, bytes));
}

SHIM_EXPORT void *mremap(void *at, size_t old_bytes, size_t bytes, int flags, ...)
{
	struct call call = CALL(SYS_mremap, (uint64_t)at, old_bytes, bytes, (uint64_t)flags);
	va_list list;
	void *target;

	va_start(list, flags);
	target = va_arg(list, void *);
	va_end(list);
	call.args[4] = flags & MREMAP_FIXED ? (uint64_t)target : 0;
	call_before(&call);
	return (void *)call_return(&call, (long)REAL_FUNCTION(mremap)(at, old_bytes, bytes, flags, target));
}

SHIM_EXPORT int madvise(void *at, size_t bytes, int advice)
{
	struct call call = CALL(SYS_madvise, (uint64_t)at, bytes, (uint64_t)advice);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(madvise)(at, bytes, advice));
}

SHIM_EXPORT void *shmat(int id, const void *at, int flags)
{
	struct call call = CALL(SYS_shmat, (uint64_t)id, (uint64_t)at, (uint64_t)flags);

	call_before(&call);
	return (void *)call_return(&call, (long)REAL_FUNCTION(shmat)(id, at, flags));
}

SHIM_EXPORT int shmdt(const void *at)
{
	struct call call = CALL(SYS_shmdt, (uint64_t)at);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(shmdt)(at));
}
