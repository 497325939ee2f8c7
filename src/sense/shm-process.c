/* SPDX-License-Identifier: MIT */
/* The processes under observation: the program, and whatever it starts that calls or writes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sense/shm-inner.h"

/* Reads a small file of /proc; false when it is not there. */
static bool read_small(const char *path, char *to, size_t room)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, to, room - 1);

	to[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The fields of /proc/.../stat from the third (the state) on; the second is a name with anything in it. */
static const char *read_stat(uint32_t pid, uint32_t tid, char *text, size_t room)
{
	char path[64];
	const char *end;

	snprintf(path, sizeof(path), "/proc/%u/task/%u/stat", pid, tid);
	if (!read_small(path, text, room))
		return NULL;
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end + 2 : NULL;
}

/* A number among the fields as proc(5) counts them; 0 when it cannot be told. */
static uint64_t stat_field(uint32_t pid, unsigned wanted)
{
	char text[1024];
	const char *at = read_stat(pid, pid, text, sizeof(text));

	for (unsigned field = 3; at && field < wanted; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

static uint64_t start_time(uint32_t pid)
{
	return stat_field(pid, 22);
}

uint32_t shm_process_parent(uint32_t pid)
{
	return (uint32_t)stat_field(pid, 4);
}

bool shm_process_is_gone(const struct shm_process *process)
{
	struct pollfd poll_fd = { .fd = process->pidfd, .events = POLLIN };

	return process->gone || (process->pidfd >= 0 && poll(&poll_fd, 1, 0) == 1);
}

/* A slot may name any number: a process in a namespace of its own knows itself by another than we do, and that one may
 * belong to somebody else here. What is older than the program is none of its children. */
static bool is_stranger(const struct shm_processes *processes, uint32_t pid)
{
	uint64_t start = start_time(pid);

	return start && processes->oldest && start < processes->oldest;
}

static void follow(struct shm_processes *processes, struct shm_process *process, int pidfd)
{
	process->pidfd = pidfd;
	if (pidfd < 0) {
		process->gone = errno == ESRCH;
		process->stranger = !process->gone;
		return;
	}
	if (shm_door_watch(processes->door, process->pid, pidfd) < 0)
		process->stranger = true;
}

struct shm_process *shm_process_get(struct shm_processes *processes, uint32_t pid)
{
	struct shm_process *process = map_get(&processes->by_pid, pid);

	if (process)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process || map_put(&processes->by_pid, pid, process) < 0) {
		free(process);
		return NULL;
	}
	process->pid = pid;
	process->next = processes->first;
	processes->first = process;
	if (!processes->door || is_stranger(processes, pid)) {
		process->pidfd = -1;
		process->stranger = true;
		return process;
	}
	follow(processes, process, (int)syscall(SYS_pidfd_open, pid, 0));
	if (!processes->oldest)
		processes->oldest = start_time(pid);
	return process;
}

void shm_process_hello(struct shm_processes *processes, const struct shm_call *call)
{
	struct shm_process *process = shm_process_get(processes, call->pid);

	if (call->pidfd >= 0)
		close(call->pidfd);
	if (!process)
		return;
	process->greeted = true;
	process->namespaced = call->namespaced;
	process->exec_time = 0;
}

void shm_process_forget(struct shm_processes *processes, struct shm_process *process)
{
	struct shm_process **at = &processes->first;

	while (*at != process)
		at = &(*at)->next;
	*at = process->next;
	map_remove(&processes->by_pid, process->pid);
	cleanup_fd(&process->pidfd);
	free(process);
}

void shm_process_deinit(struct shm_processes *processes)
{
	while (processes->first)
		shm_process_forget(processes, processes->first);
	map_deinit(&processes->by_pid);
}

/* The thread's number in its own namespace, for one that has another number here. */
static bool has_inner_number(uint32_t pid, const char *task, uint32_t tid)
{
	char path[300], text[4096];
	const char *line, *last;

	snprintf(path, sizeof(path), "/proc/%u/task/%s/status", pid, task);
	if (!read_small(path, text, sizeof(text)) || !(line = strstr(text, "\nNSpid:")))
		return false;
	line++;
	last = line + strcspn(line, "\n");
	while (last > line && last[-1] != '\t')
		last--;
	return strtoul(last, NULL, 10) == tid;
}

static bool find_inner(uint32_t pid, uint32_t tid)
{
	struct dirent *entry;
	bool found = false;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return errno != ENOENT;
	while (!found && (entry = readdir(tasks)))
		found = entry->d_name[0] != '.' && has_inner_number(pid, entry->d_name, tid);
	closedir(tasks);
	return found;
}

bool shm_process_has_thread(const struct shm_process *process, uint32_t tid)
{
	if (process->gone)
		return false;
	if (process->stranger)
		return true;
	if (process->namespaced)
		return find_inner(process->pid, tid);
	return syscall(SYS_tgkill, process->pid, tid, 0) == 0 || errno != ESRCH;
}

bool shm_process_is_stopped(const struct shm_process *process, uint32_t tid)
{
	char text[1024];
	const char *state = read_stat(process->pid, process->namespaced ? process->pid : tid, text, sizeof(text));

	return state && (*state == 'T' || *state == 't');
}

static int maps_memory(const struct shm_processes *processes, uint32_t pid)
{
	CLEANUP(cleanup_file) FILE *maps = NULL;
	CLEANUP(cleanup_free) char *line = NULL;
	size_t room = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return -errno;
	while (getline(&line, &room, maps) > 0) {
		unsigned device_major, device_minor;
		unsigned long long inode;

		if (sscanf(line, "%*s %*s %*s %x:%x %llu", &device_major, &device_minor, &inode) == 3 &&
		    inode == processes->inode && makedev(device_major, device_minor) == processes->device)
			return 1;
	}
	return ferror(maps) ? -EIO : 0;
}

int shm_process_maps_memory(const struct shm_processes *processes, const struct shm_process *process)
{
	return maps_memory(processes, process->pid);
}

void shm_process_search(struct shm_processes *processes)
{
	uint32_t own = (uint32_t)getpid();
	struct dirent *entry;
	DIR *all = opendir("/proc");

	while (all && (entry = readdir(all))) {
		uint32_t pid = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (pid && pid != own && start_time(pid) >= processes->oldest && maps_memory(processes, pid) == 1)
			shm_process_get(processes, pid);
	}
	if (all)
		closedir(all);
}
