/* SPDX-License-Identifier: MIT */
/* Processes: how they begin, fork, execute another program and end; children stay observed. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/inner.h"

extern char **environ;

static bool exit_told;
static uint32_t parent_process_pid, parent_tid;
static char preload_entry[4096], socket_entry[160], own_path[2048];

static size_t copy_text(char *to, size_t room, const char *from)
{
	size_t n = strlen(from);

	n = n < room - 1 ? n : room - 1;
	memcpy(to, from, n);
	to[n] = '\0';
	return n;
}

static void fill(struct event_process *event, const char *path)
{
	event->parent = (uint32_t)SYS0(SYS_getppid);
	event->uid = (uint32_t)SYS0(SYS_geteuid);
	event->gid = (uint32_t)SYS0(SYS_getegid);
	event->page_size = 4096;
	event->length = (uint32_t)strlen(path);
}

void process_start_event(void)
{
	struct event_process event = { 0 };
	char path[512];
	struct emit emit;
	long n = SYS3(SYS_readlink, "/proc/self/exe", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	if (!emit_open(&emit))
		return;
	fill(&event, path);
	emit_tailed(&emit, EVENT_PROCESS_START, 0, &event, sizeof(event), path, event.length);
	stack_modules(&emit);
	emit_close(&emit);
}

static bool can_execute(const char *path)
{
	return SYS3(SYS_faccessat, -100 /* AT_FDCWD */, path, X_OK) == 0;
}

/* A call that fails leaves everything as it is, so only one that is likely to succeed is told. */
static bool in_path(const char *file)
{
	const char *list = getenv("PATH");
	char path[1024];
	size_t n;

	for (n = 0; file[n]; n++)
		if (file[n] == '/')
			return can_execute(file);
	while (list && *list) {
		size_t part = 0;

		while (list[part] && list[part] != ':')
			part++;
		if (part + n + 2 < sizeof(path)) {
			memcpy(path, list, part);
			path[part] = '/';
			memcpy(path + part + 1, file, n + 1);
			if (can_execute(path))
				return true;
		}
		list += list[part] ? part + 1 : part;
	}
	return false;
}

void process_exec_event(const char *path)
{
	struct event_process event = { 0 };
	char copy[512];
	size_t n = shim_peek(copy, (uint64_t)path, sizeof(copy) - 1);
	struct emit emit;

	copy[n] = '\0';
	if (!emit_open(&emit))
		return;
	fill(&event, copy);
	event.child = shim_process_pid;
	rings_sync(&emit);
	emit_tailed(&emit, EVENT_EXEC, 0, &event, sizeof(event), copy, event.length);
	emit_close(&emit);
}

/* status as wait(2) tells it, or -1. */
void process_exit_event(int status)
{
	struct event_exit event = { .status = status, .clean = 1 };
	struct emit emit;

	if (exit_told || !emit_open(&emit))
		return;
	exit_told = true;
	rings_sync(&emit);
	for (uint32_t i = 0; i < rings_high; i++)
		if (rings_table[i].number && rings_table[i].more)
			verify_slots(&emit, &rings_table[i]);
	if (glance_overflows)
		glance_at_exit(&emit);
	if (stack_modules_stale)
		stack_modules(&emit);
	emit_event(&emit, EVENT_PROCESS_EXIT, 0, &event, sizeof(event));
	emit_close(&emit);
}

/* Registered before everything else, so it runs after all other handlers and destructors. */
static void at_end(int status, void *data)
{
	process_exit_event((status & 0xff) << 8);
}

static void quickly(void)
{
	process_exit_event(-1);
}

SHIM_EXPORT __attribute__((noreturn)) void _exit(int status)
{
	if (!shim_off())
		process_exit_event((status & 0xff) << 8);
	for (;;)
		SYS1(SYS_exit_group, status);
}

SHIM_EXPORT __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}

/* ---- forked children ---- */

/* In the child. The event is the parent's, told by the child: nothing of the child's can come before it. */
void process_forked(void)
{
	struct event_process *event;
	struct emit emit;
	bool translated = parent_process_pid != (uint32_t)shim_pid;

	*main_canary = 1;
	thread_fork_child();
	rings_fork_child();
	filter_fork_child();
	parent_process_pid = shim_process_pid;
	parent_tid = shim_self.tid;
	shim_pid = (int)SYS0(SYS_getpid);
	shim_process_pid = (uint32_t)shim_pid;
	exit_told = false;
	if (translated && main_connect() < 0)
		return;
	shim_self.tid = (uint32_t)SYS0(SYS_gettid);
	if (!emit_slot_take())
		return;
	shim_self.armed = 1;
	if (emit_open(&emit)) {
		event = emit_add(&emit, EVENT_FORK, 0, sizeof(*event));
		event->h.pid = parent_process_pid;
		event->h.tid = parent_tid;
		event->parent = parent_process_pid;
		event->child = shim_process_pid;
		event->uid = (uint32_t)SYS0(SYS_geteuid);
		event->gid = (uint32_t)SYS0(SYS_getegid);
		event->page_size = 4096;
		emit_close(&emit);
	}
	emit_slot_leave();
	shim_self.armed = 0;
	parent_process_pid = shim_process_pid;
	thread_arm(NULL);
}

static void in_child(void)
{
	if (shim_self.armed && !*main_canary)
		process_forked();
}

/* ---- other programs ---- */

static bool starts_with(const char *text, const char *start)
{
	while (*start)
		if (*text++ != *start++)
			return false;
	return true;
}

static bool contains(const char *text, const char *part)
{
	for (; *text; text++)
		if (starts_with(text, part))
			return true;
	return !*part;
}

/* The environment for a new image: `from`, with our library preloaded and the way to circlip. `to` has room for two
 * more entries than `from`. */
static void amend(char *const *from, char **to, char *preload, size_t room)
{
	size_t n = 0, used;

	copy_text(preload, room, preload_entry);
	for (; from && *from; from++) {
		if (starts_with(*from, SHARED_ENV "="))
			continue;
		if (!starts_with(*from, "LD_PRELOAD=")) {
			to[n++] = *from;
			continue;
		}
		if (contains(*from, own_path)) {
			copy_text(preload, room, *from);
		} else if ((*from)[11]) {
			used = strlen(preload);
			if (used + strlen(*from) - 10 < room) {
				preload[used++] = ':';
				copy_text(preload + used, room - used, *from + 11);
			}
		}
	}
	to[n++] = preload;
	to[n++] = socket_entry;
	to[n] = NULL;
}

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

enum { MAX_ENTRIES = 65536, PRELOAD_ROOM = 8192 };

/* A vfork child's mapping is its parent's too, and outlives its exec: kept here for the next time. */
struct leftover {
	char **list;
	size_t bytes;
};

static __thread __attribute__((tls_model("initial-exec"))) struct leftover leftover;

/* NULL to leave all as it is. */
static char **amended(char *const *from, size_t *ret_bytes)
{
	size_t n = count(from), bytes = (n + 3) * sizeof(char *) + PRELOAD_ROOM;
	long mapped;

	if (leftover.list)
		SYS2(SYS_munmap, leftover.list, leftover.bytes);
	leftover.list = NULL;

	if (!own_path[0] || !shim_shared || n > MAX_ENTRIES)
		return NULL;
	mapped = SYS6(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mapped < 0 && mapped > -4096)
		return NULL;
	amend(from, (char **)mapped, (char *)mapped + (n + 3) * sizeof(char *), PRELOAD_ROOM);
	*ret_bytes = bytes;
	if (shim_self.vforked) {
		leftover.list = (char **)mapped;
		leftover.bytes = bytes;
	}
	return (char **)mapped;
}

static void give_back(char **list, size_t bytes)
{
	int saved = errno;

	if (list)
		SYS2(SYS_munmap, list, bytes);
	if (list == leftover.list)
		leftover.list = NULL;
	errno = saved;
}

#define WITH_ENVIRONMENT(from, call)                                                                                   \
	({                                                                                                             \
		size_t amended_bytes = 0;                                                                              \
		char **list = amended(from, &amended_bytes);                                                           \
		char *const *env = list ? list : (char *const *)(from);                                                \
		__typeof__(call) answer = (call);                                                                      \
		give_back(list, amended_bytes);                                                                        \
		answer;                                                                                                \
	})

SHIM_EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
	if (!shim_off() && can_execute(path))
		process_exec_event(path);
	return WITH_ENVIRONMENT(environment, REAL_FUNCTION(execve)(path, arguments, env));
}

SHIM_EXPORT int execv(const char *path, char *const arguments[])
{
	return execve(path, arguments, environ);
}

SHIM_EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[])
{
	if (!shim_off() && in_path(file))
		process_exec_event(file);
	return WITH_ENVIRONMENT(environment, REAL_FUNCTION(execvpe)(file, arguments, env));
}

SHIM_EXPORT int execvp(const char *file, char *const arguments[])
{
	return execvpe(file, arguments, environ);
}

SHIM_EXPORT int fexecve(int fd, char *const arguments[], char *const environment[])
{
	if (!shim_off())
		process_exec_event("");
	return WITH_ENVIRONMENT(environment, REAL_FUNCTION(fexecve)(fd, arguments, env));
}

SHIM_EXPORT int execveat(int fd, const char *path, char *const arguments[], char *const environment[], int flags)
{
	if (!shim_off())
		process_exec_event(path);
	return WITH_ENVIRONMENT(environment, REAL_FUNCTION(execveat)(fd, path, arguments, env, flags));
}

/* The list of execl and its kin becomes an array on the stack: they may run in a vfork child or a signal handler. */
#define LIST_TO_ARRAY(first, list, array)                                                                              \
	va_list list, counting;                                                                                        \
	size_t n_arguments = 1;                                                                                        \
	va_start(list, first);                                                                                         \
	va_copy(counting, list);                                                                                       \
	while (va_arg(counting, char *))                                                                               \
		n_arguments++;                                                                                         \
	va_end(counting);                                                                                              \
	char **array = __builtin_alloca((n_arguments + 1) * sizeof(char *));                                           \
	array[0] = (char *)(first);                                                                                    \
	for (size_t at = 1; at <= n_arguments; at++)                                                                   \
	array[at] = va_arg(list, char *)

SHIM_EXPORT int execl(const char *path, const char *first, ...)
{
	LIST_TO_ARRAY(first, list, array);
	va_end(list);
	return execve(path, array, environ);
}

SHIM_EXPORT int execlp(const char *file, const char *first, ...)
{
	LIST_TO_ARRAY(first, list, array);
	va_end(list);
	return execvpe(file, array, environ);
}

SHIM_EXPORT int execle(const char *path, const char *first, ...)
{
	LIST_TO_ARRAY(first, list, array);
	char *const *environment = va_arg(list, char *const *);
	va_end(list);
	return execve(path, array, environment);
}

SHIM_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			    const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
	return WITH_ENVIRONMENT(environment,
				REAL_FUNCTION(posix_spawn)(pid, path, actions, attributes, arguments, env));
}

SHIM_EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			     const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
	return WITH_ENVIRONMENT(environment,
				REAL_FUNCTION(posix_spawnp)(pid, file, actions, attributes, arguments, env));
}

void process_init(void)
{
	const char *preload = getenv("LD_PRELOAD");
	Dl_info info;

	parent_process_pid = shim_process_pid;
	if (dladdr((void *)process_init, &info) && info.dli_fname)
		copy_text(own_path, sizeof(own_path), info.dli_fname);
	copy_text(preload_entry, sizeof(preload_entry), "LD_PRELOAD=");
	copy_text(preload_entry + 11, sizeof(preload_entry) - 11,
		  preload && contains(preload, own_path) ? preload : own_path);
	copy_text(socket_entry, sizeof(socket_entry), SHARED_ENV "=");
	copy_text(socket_entry + strlen(socket_entry), sizeof(socket_entry) - strlen(socket_entry), main_socket);
	pthread_atfork(NULL, NULL, in_child);
	on_exit(at_end, NULL);
	at_quick_exit(quickly);
}
