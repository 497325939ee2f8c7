/* SPDX-License-Identifier: MIT */
/* Attacks by processes: those that share rings, come and go by the thousand, exec, change who they are, and are
 * interrupted. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

static void one_setup(uint32_t flags)
{
	struct params params = { .flags = flags };
	long fd = attack_setup(8, &params);

	if (fd < 0)
		return;
	judge_ring((int)fd, params.flags);
	close((int)fd);
}

/* --- rings in several processes */

static int judge_and_make(void *fd)
{
	judge_ring(*(int *)fd, 0);
	one_setup(0);
	one_setup(F_R_DISABLED);
	return 0;
}

static void child_of_kind(uint32_t kind, int *fd)
{
	static const int how[] = { SIGCHLD, SIGCHLD | CLONE_FILES, SIGCHLD | CLONE_VM | CLONE_VFORK,
				   SIGCHLD | CLONE_VM | CLONE_VFORK | CLONE_FILES };
	static char stack[4][65536] __attribute__((aligned(16)));
	int pid = clone(judge_and_make, stack[kind] + sizeof(stack[kind]), how[kind], fd);

	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void shared_by_fork(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		struct params params = { .flags = i % 2 ? F_R_DISABLED : 0 };
		int fd = (int)attack_setup(8, &params);

		if (fd < 0)
			continue;
		child_of_kind(i % 4, &fd);
		close(fd);
	}
}

/* --- rings sent */

static int send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec vector = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void take_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec vector = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};

	recvmsg(socket, &message, MSG_DONTWAIT);
}

static void sent(uint32_t rounds)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return;
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		struct params params = { .flags = i % 2 ? F_R_DISABLED : 0 };
		long fd = attack_setup(8, &params);

		if (fd < 0)
			continue;
		if (send_fd(pair[0], (int)fd))
			result->refused++;
		judge_ring((int)fd, params.flags);
		close((int)fd);
		take_fd(pair[1]);
		judge_all(0);
	}
}

/* --- exec, again and again, with rings in use, left open, and half made */

static void *setups_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		one_setup(0);
	return NULL;
}

int exec_step(int step, int steps)
{
	struct params params = { 0 };
	char next[16], last[16];
	pthread_t thread;
	long fd;

	result->rounds++;
	judge_all(0);
	if (step >= steps)
		return 0;
	one_setup(0);
	fd = attack_setup(8, &params);
	if (fd >= 0)
		fcntl((int)fd, F_SETFD, 0);
	pthread_create(&thread, NULL, setups_for_ever, NULL);
	snprintf(next, sizeof(next), "%d", step + 1);
	snprintf(last, sizeof(last), "%d", steps);
	execl("/proc/self/exe", "hostile", "--step", next, last, NULL);
	return 3;
}

static void exec_first(void *steps)
{
	exec_step(0, *(int *)steps);
	attack_impossible("exec of /proc/self/exe: %s", strerror(errno));
}

static void exec_loop(uint32_t rounds)
{
	int steps = (int)rounds;

	if (!in_child(exec_first, &steps, NULL))
		attack_hung("a process that execs while it makes rings");
}

/* --- ends in the middle of a set-up */

static void end_soon(void *arg)
{
	uint32_t kind = *(uint32_t *)arg;
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, setups_for_ever, NULL);
	for (uint64_t n = random_next() % 200; n; n--)
		sched_yield();
	if (kind % 3 == 0)
		kill(getpid(), SIGKILL);
	if (kind % 3 == 1)
		syscall(SYS_exit, 0);
	_exit(0);
}

static void ends(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		uint32_t kind = i % 3 == 1 ? 2 : i;

		if (!in_child(end_soon, &kind, NULL))
			attack_hung("a process that ends while it makes rings");
	}
}

/* --- many at once */

static void *many(void *arg)
{
	for (uint32_t i = *(uint32_t *)arg; i; i--)
		one_setup(i % 4 ? 0 : F_R_DISABLED);
	return NULL;
}

static void many_threads(void *arg)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, many, arg);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void flood(uint32_t rounds)
{
	uint32_t each = rounds / 16 + 1;
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			many_threads(&each);
			_exit(0);
		}
	}
	works_elsewhere("while others make rings as fast as they can");
	for (int i = 0; i < 4; i++)
		waitpid(pids[i], NULL, 0);
}

/* Processes that make rings and keep them; all of them together may have CAP_RINGS. */
static void keep_rings(int *ready, int hold)
{
	uint64_t kept = 0;
	char byte;

	for (int i = 0; i < 20; i++) {
		struct params params = { 0 };

		kept += attack_setup(1, &params) >= 0;
	}
	if (write(ready[1], &kept, sizeof(kept)) == sizeof(kept) && read(hold, &byte, 1) >= 0)
		_exit(0);
	_exit(1);
}

static void bomb_once(void)
{
	enum { PROCESSES = 10 };
	int ready[2], hold[2];
	uint64_t kept, all = 0;

	if (pipe(ready) || pipe(hold))
		return;
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			close(hold[1]);
			keep_rings(ready, hold[0]);
		}
	for (int i = 0; i < PROCESSES && read(ready[0], &kept, sizeof(kept)) == sizeof(kept); i++)
		all += kept;
	result->tried++;
	if (all > CAP_RINGS && !result->open[OPEN_RINGS])
		attack_breach("%lu rings live at once, the policy allows %d", (unsigned long)all, CAP_RINGS);
	close(hold[1]);
	while (wait(NULL) > 0)
		;
	close(hold[0]);
	close(ready[0]);
	close(ready[1]);
}

static void bomb(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		bomb_once();
		works_elsewhere("after many rings were kept");
	}
}

/* --- signals */

static void nothing(int signal)
{
	(void)signal;
}

static void *interrupted(void *arg)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, ._sigev_un._tid = gettid() };
	struct itimerspec often = { { 0, 1000000 }, { 0, 1000000 } };
	timer_t timer;

	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &often, NULL);
	for (uint32_t i = *(uint32_t *)arg; i; i--) {
		struct params params = { .flags = i % 3 ? 0 : F_R_DISABLED };
		long fd = attack_setup(8, &params);

		judge_answer(fd, params.flags);
		if (fd < 0 && fd != -EINTR && fd != -EMFILE)
			attack_broken("io_uring_setup failed with %ld under signals", fd);
	}
	timer_delete(timer);
	return NULL;
}

static void storm(uint32_t rounds)
{
	struct sigaction action = { .sa_handler = nothing },
			 restart = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	uint32_t each = rounds / 4 + 1;
	pthread_t threads[4];

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &restart, NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, interrupted, &each);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	judge_all(0);
}

/* --- being somebody else */

static void other_user_namespace(void)
{
	unshare(CLONE_NEWUSER);
}

static void other_everything(void)
{
	unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
}

static void not_dumpable(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}

static void other_ids(void)
{
	if (setresgid(12345, 12345, 12345) || setresuid(12345, 12345, 12345))
		result->refused++;
}

static void other_session(void)
{
	setsid();
	prctl(PR_SET_NAME, "circlip");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void (*const disguises[])(void) = { other_user_namespace, other_everything, not_dumpable, other_ids,
					   other_session };

static void in_disguise(void *arg)
{
	disguises[*(int *)arg]();
	for (int i = 0; i < 10; i++)
		one_setup(i % 2 ? F_R_DISABLED : 0);
	if (fork() == 0) {
		one_setup(0);
		_exit(0);
	}
	wait(NULL);
	judge_all(0);
}

static void disguised(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		int how = (int)(i % (sizeof(disguises) / sizeof(disguises[0])));

		if (!in_child(in_disguise, &how, NULL))
			attack_hung("a process in disguise %d", how);
	}
}

const struct attack attacks_processes[] = {
	{ "shared-by-fork", "rings used by children of fork, vfork, clone; children's own", "bare", 400,
	  ATTACK_ORDINARY, shared_by_fork },
	{ "sent", "rings sent through SCM_RIGHTS", "bare", 300, ATTACK_ORDINARY, sent },
	{ "exec-loop", "exec with rings in use, left open, and half made", "bare", 40, ATTACK_ORDINARY, exec_loop },
	{ "ends", "killed, exited in the middle of set-ups", "bare", 150, ATTACK_ORDINARY, ends },
	{ "flood", "sixteen threads of four processes make rings as fast as they can", "bare", 3000, ATTACK_ORDINARY,
	  flood },
	{ "bomb", "ten processes make rings and keep them", "bare", 3, ATTACK_ORDINARY, bomb },
	{ "storm", "four thousand signals a second during set-ups", "addfd-send", 3000, ATTACK_ORDINARY, storm },
	{ "disguised", "in user namespaces, undumpable, with other ids", "bare", 50, ATTACK_ORDINARY, disguised },
	{ 0 },
};
