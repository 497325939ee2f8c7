/* SPDX-License-Identifier: MIT */
/*
 * Attacks on the supervisor itself: its descriptors, its memory, its life. Only what descends from the process named by
 * HOSTILE_TOP is touched, so that nothing else on the machine can be hit.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

/*
 * Circlip's own patience with what it asks is three seconds. A death is waited for ten times a second; what is known to
 * go on need not be waited for as long.
 */
enum { STOPPED_SECONDS = 10, CONTROL_STOPPED_SECONDS = 4, DEATH_LOOKS = 300, CONTROL_DEATH_LOOKS = 20 };

static int parent_of(int pid)
{
	char path[64], text[512], *end;
	int fd, parent = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	end = strrchr(text, ')');
	return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* Below the top, and not one of us. */
static bool is_target(int pid, int top)
{
	for (int i = 0; pid > 1 && i < 64; i++) {
		if (pid == result->main)
			return false;
		pid = parent_of(pid);
		if (pid == top)
			return true;
	}
	return false;
}

int targets_find(int *ret_pids)
{
	const char *text = getenv("HOSTILE_TOP");
	int top = text ? atoi(text) : 0, n = 0;
	DIR *dir = top > 1 ? opendir("/proc") : NULL;
	struct dirent *entry;

	while (dir && n < MAX_TARGETS && (entry = readdir(dir))) {
		int pid = atoi(entry->d_name);

		if (pid > 1 && pid != top && pid != result->main && is_target(pid, top))
			ret_pids[n++] = pid;
	}
	if (dir)
		closedir(dir);
	if (!n)
		attack_impossible("no supervisor can be seen from here");
	return n;
}

/* --- what it holds */

static bool is_prize(int fd)
{
	char path[64], target[128];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	return strstr(target, "io_uring") || strstr(target, "seccomp");
}

static void take_descriptors(int pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	for (int fd = 0; pidfd >= 0 && fd < 256; fd++) {
		int mine = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

		result->tried++;
		if (mine >= 0 && is_prize(mine))
			attack_breach("pidfd_getfd took descriptor %d of process %d: a ring or a listener", fd, pid);
		if (mine >= 0)
			close(mine);
	}
	if (pidfd >= 0)
		close(pidfd);
}

static void open_by_proc(int pid)
{
	static const char *const files[] = { "mem", "fd/3", "fd/4", "fd/5", "fd/6", "fd/7" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		result->tried++;
		if (fd >= 0)
			attack_breach("%s could be opened", path);
		if (fd >= 0)
			close(fd);
	}
}

static void read_memory(int pid)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)(uintptr_t)&result, 1 };

	result->tried++;
	/* EFAULT too is an answer that only a permitted reader gets. */
	if (syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT)
		attack_breach("the memory of process %d can be read", pid);
}

static void seize(int pid)
{
	result->tried++;
	if (ptrace(PTRACE_SEIZE, pid, 0, 0))
		return;
	attack_breach("process %d can be traced", pid);
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	waitpid(pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, pid, 0, 0);
}

static void steal(uint32_t rounds)
{
	int pids[MAX_TARGETS];

	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		int n = targets_find(pids);

		result->rounds++;
		for (int k = 0; k < n; k++) {
			take_descriptors(pids[k]);
			open_by_proc(pids[k]);
			read_memory(pids[k]);
			seize(pids[k]);
		}
		works_here();
	}
}

/* --- somebody else's, who is not under the policy */

static void outsider(uint32_t rounds)
{
	const char *text = getenv("HOSTILE_OUTSIDER");
	int pid = text ? atoi(text) : 0, pidfd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (pidfd < 0) {
		attack_impossible("no other program is there (hostile --outsider)");
		return;
	}
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++)
		for (int fd = 0; fd < 16; fd++) {
			int mine = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

			result->tried++;
			if (mine >= 0 && ring_is(mine))
				judge_ring(mine, 0);
			if (mine >= 0)
				close(mine);
		}
	result->rounds += rounds;
	close(pidfd);
}

/* --- its life */

static void *setups(void *unused)
{
	(void)unused;
	for (;;) {
		struct params params = { 0 };
		long fd = attack_setup(8, &params);

		if (fd >= 0) {
			judge_ring((int)fd, params.flags);
			close((int)fd);
		}
	}
	return NULL;
}

static bool is_above_us(int pid)
{
	for (int above = getppid(), i = 0; above > 1 && i < 64; i++, above = parent_of(above))
		if (above == pid)
			return true;
	return false;
}

/* Whether one of them was somebody from whom we descend. */
static bool signal_all(const int *pids, int n, int signal)
{
	bool above = false;

	for (int i = 0; i < n; i++) {
		bool is_above = is_above_us(pids[i]); /* while it lives */

		if (kill(pids[i], signal))
			continue;
		result->tried++;
		above |= is_above;
	}
	return above;
}

/*
 * Kills everything between the test and this program while threads make rings. Whoever still runs then runs on without
 * a supervisor: that may be (nothing can be made any more), but a run that promised to end with it must have ended. A
 * supervisor that is another user's cannot be killed by us.
 */
static void kill_it(uint32_t rounds)
{
	int pids[MAX_TARGETS], n = targets_find(pids);
	pthread_t threads[2];
	(void)rounds;

	if (!n)
		return;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, setups, NULL);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	result->rounds++;
	if (!signal_all(pids, n, SIGKILL))
		return;
	/* Long enough for a death that is on its way, also on a machine that has other things to do. */
	for (int i = result->is_control ? CONTROL_DEATH_LOOKS : DEATH_LOOKS; i && !result->breaches; i--)
		poll(NULL, 0, 100);
	attack_breach("the program runs on long after its supervisor was killed");
}

static void one_setup_exit(void *unused)
{
	struct params params = { 0 };
	long fd = attack_setup(8, &params);
	(void)unused;

	if (fd >= 0)
		judge_ring((int)fd, params.flags);
}

/*
 * A stopped supervisor may cost a set-up its answer or the program its life, or keep it waiting where that was said
 * before; what nobody may become is unkillable.
 */
static void stop_it(uint32_t rounds)
{
	int pids[MAX_TARGETS], n = targets_find(pids);
	(void)rounds;

	if (!n)
		return;
	result->rounds++;
	signal_all(pids, n, SIGSTOP);
	if (!in_child_within(result->is_control ? CONTROL_STOPPED_SECONDS : STOPPED_SECONDS, one_setup_exit, NULL,
			     NULL))
		attack_waits("a set-up waited for a supervisor that was stopped, until it was killed");
	signal_all(pids, n, SIGCONT);
}

static void *stop_and_go(void *arg)
{
	int pids[MAX_TARGETS], n = targets_find(pids);
	_Atomic bool *stop = arg;

	while (!*stop) {
		signal_all(pids, n, SIGSTOP);
		sched_yield();
		signal_all(pids, n, SIGCONT);
		for (int i = 0; i < 50; i++)
			sched_yield();
	}
	return NULL;
}

static void hiccups(uint32_t rounds)
{
	static _Atomic bool stop;
	pthread_t thread;

	if (result->impossible || pthread_create(&thread, NULL, stop_and_go, (void *)&stop))
		return;
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		struct params params = { .flags = i % 2 ? F_R_DISABLED : 0 };
		long fd = attack_setup(8, &params);

		judge_answer(fd, params.flags);
	}
	stop = true;
	pthread_join(thread, NULL);
	judge_all(0);
}

const struct attack attacks_supervisor[] = {
	{ "steal", "pidfd_getfd, /proc/PID, process_vm_readv, ptrace: the supervisor's listener and rings", "plain", 3,
	  ATTACK_ALONE, steal },
	{ "outsider", "a ring taken from another program of the same user", "bare", 1, ATTACK_OUTSIDER, outsider },
	{ "kill", "the supervisor is killed during set-ups", "plain", 1, ATTACK_ALONE, kill_it },
	{ "stop", "the supervisor is stopped before a set-up", "plain", 1, ATTACK_ALONE, stop_it },
	{ "hiccups", "the supervisor is stopped and continued all the time", "bare", 500, ATTACK_ALONE, hiccups },
	{ 0 },
};
