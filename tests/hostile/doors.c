/* SPDX-License-Identifier: MIT */
/*
 * Attacks that enter the kernel by another door: the i386 and x32 calls, filters of one's own in front of the
 * supervisor's, a tracer that turns another call into this one.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

enum { X32_BIT = 0x40000000 };

/* --- foreign architectures */

static long int80(long nr, long a, long b, long c, long d)
{
	long answer;

	__asm__ volatile("int $0x80"
			 : "=a"(answer)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)answer;
}

enum { NO_SUCH_DOOR = 77 };

static void no_such_door(int signal)
{
	(void)signal;
	_exit(NO_SUCH_DOOR);
}

/* In a process of its own: the answer to a foreign call may be SIGSYS, or SIGSEGV where the CPU has no such gate. */
static void foreign_setup(void *arg)
{
	struct params *params =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long fd;

	signal(SIGSEGV, no_such_door);
	if (*(int *)arg == 0)
		fd = int80(NR_SETUP, 8, (long)params, 0, 0);
	else
		fd = syscall(X32_BIT + NR_SETUP, 8, params) < 0 ? -errno : 3;
	if (fd == -ENOSYS)
		_exit(NO_SUCH_DOOR);
	result->rounds++;
	judge_all(0);
	if (fd < 0)
		result->refused++;
}

/* An enter or register call from there, on a ring that was made properly. */
static void foreign_register(void *unused)
{
	uint32_t *limits = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct params params = { .flags = F_R_DISABLED };
	long fd = attack_setup(8, &params);
	(void)unused;

	if (fd < 0)
		return;
	signal(SIGSEGV, no_such_door);
	limits[0] = limits[1] = 64;
	result->tried += 2;
	if (int80(NR_REGISTER, fd, REG_IOWQ_MAX_WORKERS, (long)limits, 2) >= 0 && !result->open[OPEN_WORKERS])
		attack_breach("IOWQ_MAX_WORKERS was executed through int 0x80");
	if (int80(NR_REGISTER, fd, REG_PERSONALITY, 0, 0) >= 0 && !result->open[OPEN_REGISTER])
		attack_breach("REGISTER_PERSONALITY was executed through int 0x80");
	judge_all(0);
}

/* Whether there was a door. */
static bool knock(void (*how)(void *), void *arg)
{
	int status = 0;

	if (!in_child(how, arg, &status))
		attack_hung("a foreign call");
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		result->refused++;
	else if (WIFSIGNALED(status))
		attack_broken("a foreign call ended with signal %d", WTERMSIG(status));
	return !WIFEXITED(status) || WEXITSTATUS(status) != NO_SUCH_DOOR;
}

static void foreign(uint32_t rounds)
{
	bool door = false;

	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		int how = (int)(i % 2);

		door |= knock(foreign_setup, &how);
		door |= knock(foreign_register, NULL);
	}
	if (!door)
		attack_impossible("this machine has no int 0x80 and no x32");
}

/* --- filters of the program's own */

static int install(const struct sock_filter *code, unsigned short n, unsigned int flags)
{
	struct sock_fprog program = { .len = n, .filter = (struct sock_filter *)(uintptr_t)code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* `action` for io_uring_setup, everything else passes. */
static int install_for_setup(uint32_t action, unsigned int flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_SETUP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(code, sizeof(code) / sizeof(code[0]), flags);
}

/* Lets every set-up go on as if nobody had been asked. */
static void *wave_through(void *arg)
{
	int listener = *(int *)arg;
	struct pollfd poller = { .fd = listener, .events = POLLIN };

	while (poll(&poller, 1, 1000) > 0 && !(poller.revents & (POLLHUP | POLLERR))) {
		struct seccomp_notif asked = { 0 };
		struct seccomp_notif_resp answer = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked))
			continue;
		answer.id = asked.id;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
	return NULL;
}

static void some_setups(void)
{
	for (int i = 0; i < 20; i++) {
		struct params params = { .flags = i % 2 ? F_R_DISABLED : 0 };
		long fd = attack_setup(8, &params);

		if (fd >= 0)
			judge_ring((int)fd, params.flags);
		if (fd >= 0)
			close((int)fd);
	}
}

/* The thread that waves through was there before: the filter is not its own. */
static void own_listener(void)
{
	static int listener;
	pthread_t thread;

	listener = install_for_setup(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	if (listener < 0) {
		result->refused++;
		return;
	}
	pthread_create(&thread, NULL, wave_through, &listener);
	some_setups();
	close(listener);
}

static void allowing(void)
{
	install_for_setup(SECCOMP_RET_ALLOW, 0);
	some_setups();
}

static void tracing(void)
{
	install_for_setup(SECCOMP_RET_TRACE, 0);
	some_setups();
}

static void logging(void)
{
	install_for_setup(SECCOMP_RET_LOG, SECCOMP_FILTER_FLAG_TSYNC);
	some_setups();
}

static void (*const own_filters[])(void) = { own_listener, allowing, tracing, logging };

static void own_filter(void *arg)
{
	own_filters[*(int *)arg % 4]();
	judge_all(0);
}

static void filters(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		int how = (int)i;

		if (!in_child(own_filter, &how, NULL))
			attack_hung("a process with a filter of its own (kind %u)", i % 4);
	}
}

/* --- a tracer that makes one call out of another */

static void traced(void *arg)
{
	struct params *params = arg;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (int i = 0; i < 50; i++) {
		long fd = syscall(SYS_getppid, 8, params);

		if (fd >= 0 && ring_is((int)fd))
			judge_all(0);
	}
	_exit(0);
}

static void rewrite(pid_t pid)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, pid, 0, &registers) || registers.orig_rax != SYS_getppid)
		return;
	registers.orig_rax = NR_SETUP;
	ptrace(PTRACE_SETREGS, pid, 0, &registers);
	result->rounds++;
}

static void as_tracer(void *unused)
{
	struct params *params = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	int status;
	(void)unused;

	if (pid == 0)
		traced(params);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		rewrite(pid);
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
	}
}

static void tracer(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++)
		if (!in_child(as_tracer, NULL, NULL))
			attack_hung("a traced process");
	if (!result->rounds)
		attack_impossible("ptrace is refused here");
}

const struct attack attacks_doors[] = {
	{ "foreign-calls", "io_uring_setup and io_uring_register through int 0x80 and x32", "no-arch", 40,
	  ATTACK_ORDINARY, foreign },
	{ "own-filters", "seccomp filters of my own, one answering CONTINUE", "ret-trace", 40, ATTACK_ORDINARY,
	  filters },
	{ "rewritten-call", "a tracer turns getppid into io_uring_setup", "bare", 20, ATTACK_ORDINARY, tracer },
	{ 0 },
};
