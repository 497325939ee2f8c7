/* SPDX-License-Identifier: MIT */
/* The allocator's symbols: the sizes that are asked for go into shadow.c, releases go to memory.c. The real work is
 * done by whoever comes next, libc or another allocator. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "shim/inner.h"
#include "shim/shadow.h"

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

enum { EARLY_BYTES = 16384, STACKS = 65536 };
enum { WATCH = 1, WATCH_STACKS = 2 };

static struct {
	void *(*malloc)(size_t bytes);
	void (*free)(void *block);
	void *(*calloc)(size_t n, size_t bytes);
	void *(*realloc)(void *block, size_t bytes);
	int (*posix_memalign)(void **ret_block, size_t alignment, size_t bytes);
	void *(*aligned_alloc)(size_t alignment, size_t bytes);
	void *(*memalign)(size_t alignment, size_t bytes);
	size_t (*usable)(void *block);
} real;

static uint8_t watching;

/* Where blocks were allocated: the newest of those that share an entry. */
static struct origin {
	uint64_t block;
	uint32_t stack;
} * origins;

/* ---- before the real functions are known: looking them up may itself allocate ---- */

static uint8_t early[EARLY_BYTES] __attribute__((aligned(16)));
static size_t early_used;
static __thread __attribute__((tls_model("initial-exec"))) uint8_t resolving;

static bool resolve(void)
{
	if (resolving)
		return false;
	resolving = 1;
	real.free = dlsym(RTLD_NEXT, "free");
	real.calloc = dlsym(RTLD_NEXT, "calloc");
	real.realloc = dlsym(RTLD_NEXT, "realloc");
	real.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
	real.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
	real.memalign = dlsym(RTLD_NEXT, "memalign");
	real.usable = dlsym(RTLD_NEXT, "malloc_usable_size");
	__atomic_store_n(&real.malloc, dlsym(RTLD_NEXT, "malloc"), __ATOMIC_RELEASE);
	resolving = 0;
	return real.malloc != NULL;
}

static bool ready(void)
{
	return __atomic_load_n(&real.malloc, __ATOMIC_ACQUIRE) || resolve();
}

/* Zeroed, never given back. */
static void *early_block(size_t bytes)
{
	size_t room = (bytes + 15) & ~(size_t)15, at = __atomic_fetch_add(&early_used, room, __ATOMIC_RELAXED);

	if (room < bytes || at > EARLY_BYTES || room > EARLY_BYTES - at) {
		errno = ENOMEM;
		return NULL;
	}
	return early + at;
}

static bool is_early(const void *block)
{
	return (uint64_t)block - (uint64_t)early < EARLY_BYTES;
}

/* ---- noting ---- */

static struct origin *origin_of(uint64_t block)
{
	return &origins[block * UINT64_C(0x9e3779b97f4a7c15) >> 48 & (STACKS - 1)];
}

static void note_stack(uint64_t block)
{
	struct origin *origin = origin_of(block);
	struct emit emit;

	if (!emit_open(&emit))
		return;
	origin->stack = stack_take(&emit, NULL);
	__atomic_store_n(&origin->block, block, __ATOMIC_RELEASE);
	emit_close(&emit);
}

uint32_t allocate_stack(uint64_t block)
{
	const struct origin *origin = origins ? origin_of(block) : NULL;

	return origin && origin->block == block ? origin->stack : 0;
}

static void note(void *block, size_t bytes)
{
	shadow_put((uint64_t)block, bytes);
	if (UNLIKELY(watching & WATCH_STACKS))
		note_stack((uint64_t)block);
}

static void *noted(void *block, size_t bytes)
{
	if (LIKELY(watching && block))
		note(block, bytes);
	return block;
}

static uint64_t length_of(void *block, bool known, uint64_t asked)
{
	return known ? asked : real.usable ? real.usable(block) : 1;
}

/* The allocator's own size lies where it will look at once; the shadow's byte is only written: no time is lost waiting
 * for it. */
static void forget(void *block)
{
	uint64_t asked = 0, length;
	const uint8_t *at;

	if (filter_in_use()) {
		length = length_of(block, false, 0);
		if (UNLIKELY(filter_may_hit((uint64_t)block, length))) {
			at = shadow_at((uint64_t)block);
			asked = at ? shadow_size(at) : 0;
			memory_freed((uint64_t)block, at && asked ? asked : length, asked);
		}
	}
	shadow_clear((uint64_t)block);
}

/* ---- the symbols ---- */

SHIM_EXPORT void *malloc(size_t bytes)
{
	if (LIKELY(watching))
		return noted(real.malloc(bytes), bytes);
	return ready() ? real.malloc(bytes) : early_block(bytes);
}

SHIM_EXPORT void free(void *block)
{
	if (UNLIKELY(!block || is_early(block)))
		return;
	if (LIKELY(watching))
		forget(block);
	else if (!ready())
		return;
	real.free(block);
}

SHIM_EXPORT void *calloc(size_t n, size_t bytes)
{
	size_t all;

	if (UNLIKELY(!ready()))
		return __builtin_mul_overflow(n, bytes, &all) ? NULL : early_block(all);
	return noted(real.calloc(n, bytes), n * bytes);
}

static void *leave_early(void *block, size_t bytes)
{
	size_t room = EARLY_BYTES - (size_t)((uint8_t *)block - early);
	void *moved = malloc(bytes);

	if (moved)
		memcpy(moved, block, bytes < room ? bytes : room);
	return moved;
}

/* The block is forgotten before the call, after which another thread may have its place. */
static void *watched_realloc(void *block, size_t bytes)
{
	uint64_t asked = 0;
	bool known = shadow_take((uint64_t)block, &asked), seen = false;
	struct memory_resize resize = { .address = (uint64_t)block, .asked = asked };
	void *moved;

	if (UNLIKELY(filter_in_use())) {
		resize.length = length_of(block, known, asked);
		seen = memory_resizes(&resize);
	}
	moved = real.realloc(block, bytes);
	if (moved)
		note(moved, bytes);
	else if (bytes && known)
		shadow_put((uint64_t)block, asked);
	if (UNLIKELY(seen) && (moved || !bytes))
		memory_resized(&resize, (uint64_t)moved, bytes);
	return moved;
}

SHIM_EXPORT void *realloc(void *block, size_t bytes)
{
	if (UNLIKELY(is_early(block)) || UNLIKELY(!ready()))
		return block ? leave_early(block, bytes) : malloc(bytes);
	if (!watching)
		return real.realloc(block, bytes);
	return block ? watched_realloc(block, bytes) : noted(real.realloc(block, bytes), bytes);
}

SHIM_EXPORT int posix_memalign(void **ret_block, size_t alignment, size_t bytes)
{
	int r;

	if (UNLIKELY(!ready()))
		return ENOMEM;
	r = real.posix_memalign(ret_block, alignment, bytes);
	if (r == 0)
		noted(*ret_block, bytes);
	return r;
}

SHIM_EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
	if (UNLIKELY(!ready()))
		return NULL;
	return noted(real.aligned_alloc(alignment, bytes), bytes);
}

void *memalign(size_t alignment, size_t bytes);
SHIM_EXPORT void *memalign(size_t alignment, size_t bytes)
{
	if (UNLIKELY(!ready()))
		return NULL;
	return noted(real.memalign(alignment, bytes), bytes);
}

/* Who asks this may use all of it. */
size_t malloc_usable_size(void *block);
SHIM_EXPORT size_t malloc_usable_size(void *block)
{
	const uint8_t *at;
	size_t usable;

	if (UNLIKELY(!ready()) || !real.usable || is_early(block))
		return 0;
	usable = real.usable(block);
	at = watching ? shadow_at((uint64_t)block) : NULL;
	if (at && usable > shadow_size(at))
		shadow_put((uint64_t)block, usable);
	return usable;
}

/* ---- programs built with a sanitizer: its allocator comes first and tells us ---- */

static void sanitizer_malloc(const volatile void *block, size_t bytes)
{
	noted((void *)block, bytes);
}

static void sanitizer_free(const volatile void *block)
{
	uint64_t asked = 0;

	if (shadow_take((uint64_t)block, &asked))
		memory_freed((uint64_t)block, asked, asked);
}

static void ask_sanitizer(void)
{
	int (*install)(void (*)(const volatile void *, size_t), void (*)(const volatile void *)) =
		dlsym(RTLD_DEFAULT, "__sanitizer_install_malloc_and_free_hooks");

	if (install)
		install(sanitizer_malloc, sanitizer_free);
}

void allocate_init(void)
{
	long table;

	if (!ready() || !shadow_init())
		return;
	watching = WATCH;
	if (shim_options & SHARED_ALLOC_STACKS) {
		table = SYS6(SYS_mmap, 0, STACKS * sizeof(struct origin), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (table > 0 || table < -4095) {
			origins = (struct origin *)table;
			watching |= WATCH_STACKS;
		}
	}
	ask_sanitizer();
}
