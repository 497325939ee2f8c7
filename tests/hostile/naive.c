/* SPDX-License-Identifier: MIT */
/*
 * The control: a supervisor that restricts a program's rings as one would at first think of, with one well-known
 * mistake each. An attack that does not get through where its mistake is made proves nothing where it is not.
 *
 * usage: naive WEAKNESS PROG ARGS...
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

enum weakness {
	PLAIN,              /* dumpable, one thread that waits for the program's memory, outlived by the program */
	SQPOLL,             /* grants pollers, which then are the supervisor's */
	TOCTOU,             /* checks the parameters, then reads them again */
	LATE_RESTRICT,      /* hands the ring over, then restricts it */
	NO_REGISTER_FILTER, /* relies on the ring's own restrictions, which do not hold before ENABLE */
	LOOSE_COMPARE,      /* compares register opcodes as 64-bit numbers */
	NO_ARCH,            /* lets other architectures' calls pass */
	ADDFD_SEND,         /* hands over and answers in one step, while signals arrive */
	RET_TRACE,          /* a tracer instead of a listener */
	N_WEAKNESSES,
};

static const char *const names[N_WEAKNESSES] = {
	[PLAIN] = "plain",
	[SQPOLL] = "sqpoll",
	[TOCTOU] = "toctou",
	[LATE_RESTRICT] = "late-restrict",
	[NO_REGISTER_FILTER] = "no-register-filter",
	[LOOSE_COMPARE] = "loose-compare",
	[NO_ARCH] = "no-arch",
	[ADDFD_SEND] = "addfd-send",
	[RET_TRACE] = "ret-trace",
};

static enum weakness weakness;

/* --- the filter */

enum { CODE_MAX = 64 };

static unsigned short compare_registers(struct sock_filter *code)
{
	static const uint32_t denied[] = { REG_PERSONALITY, REG_RESTRICTIONS, REG_IOWQ_MAX_WORKERS, REG_SEND_MSG_RING,
					   REG_RESIZE_RINGS };
	const uint32_t low = offsetof(struct seccomp_data, args[1]), high = low + 4;
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_REGISTER, 0, 14);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, high);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 12);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low);
	for (int i = 0; i < 5; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return n;
}

static int install(void)
{
	uint32_t action = weakness == RET_TRACE ? SECCOMP_RET_TRACE : SECCOMP_RET_USER_NOTIF;
	unsigned int flags = weakness == RET_TRACE ? 0 : SECCOMP_FILTER_FLAG_NEW_LISTENER;
	struct sock_filter code[CODE_MAX];
	struct sock_fprog program = { .filter = code };
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						 weakness == NO_ARCH ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_SETUP, 0, 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	if (weakness == LOOSE_COMPARE)
		n = (unsigned short)(n + compare_registers(code + n));
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* --- rings */

static bool copy(pid_t pid, uint64_t address, struct params *params, bool out)
{
	struct iovec here = { params, sizeof(*params) }, there = { (void *)(uintptr_t)address, sizeof(*params) };
	long nr = out ? SYS_process_vm_writev : SYS_process_vm_readv;

	return syscall(nr, pid, &here, 1, &there, 1, 0) == sizeof(*params);
}

static int restrict_ring(int fd)
{
	struct {
		uint16_t kind;
		uint8_t what, resv;
		uint32_t more[3];
	} list[] = { { 1, OP_NOP, 0, { 0 } },      { 1, OP_READ, 0, { 0 } },          { 2, 0x15, 0, { 0 } },
		     { 0, REG_BUFFERS, 0, { 0 } }, { 0, REG_ENABLE_RINGS, 0, { 0 } }, { 0, REG_RING_FDS, 0, { 0 } } };

	return (int)sys_register((unsigned int)fd, REG_RESTRICTIONS, list, sizeof(list) / sizeof(list[0]));
}

static bool allowed(const struct params *params)
{
	uint32_t odd = F_ATTACH_WQ | F_NO_MMAP | F_REGISTERED_FD_ONLY | F_IOPOLL |
		       (weakness == SQPOLL ? 0 : F_SQPOLL | F_SQ_AFF);

	return !(params->flags & odd) && (!(params->flags & F_CQSIZE) || params->cq_entries <= CAP_CQ);
}

static int make_ring(pid_t pid, uint64_t entries, uint64_t address, struct params *params, bool *ret_disabled)
{
	if (!copy(pid, address, params, false))
		return -EFAULT;
	if (!allowed(params) || entries > CAP_SQ)
		return -EPERM;
	if (weakness == TOCTOU && !copy(pid, address, params, false))
		return -EFAULT;
	*ret_disabled = params->flags & F_R_DISABLED;
	params->flags &= ~(uint32_t)(F_SINGLE_ISSUER | F_DEFER_TASKRUN);
	params->flags |= F_R_DISABLED;
	return (int)sys_setup(entries, params);
}

static void finish_ring(int fd, bool enable)
{
	restrict_ring(fd);
	if (enable)
		sys_register((unsigned int)fd, REG_ENABLE_RINGS, NULL, 0);
}

static int hand_over(int listener, uint64_t id, int fd)
{
	struct seccomp_notif_addfd add = { .id = id, .srcfd = (uint32_t)fd, .newfd_flags = O_CLOEXEC };

	if (weakness == ADDFD_SEND)
		add.flags = SECCOMP_ADDFD_FLAG_SEND;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
}

static void answer(int listener, uint64_t id, long value)
{
	struct seccomp_notif_resp reply = { .id = id };

	if (value < 0)
		reply.error = (int)value;
	else
		reply.val = value;
	while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply) && errno == EINTR)
		;
}

static void serve(int listener, const struct seccomp_notif *asked)
{
	struct params params;
	bool disabled = false;
	int fd = make_ring((pid_t)asked->pid, asked->data.args[0], asked->data.args[1], &params, &disabled), theirs;

	if (fd < 0) {
		answer(listener, asked->id, fd);
		return;
	}
	if (!disabled)
		params.flags &= ~(uint32_t)F_R_DISABLED;
	if (weakness != LATE_RESTRICT)
		finish_ring(fd, !disabled);
	copy((pid_t)asked->pid, asked->data.args[1], &params, true);
	theirs = hand_over(listener, asked->id, fd);
	if (weakness == LATE_RESTRICT)
		finish_ring(fd, !disabled);
	if (weakness != ADDFD_SEND)
		answer(listener, asked->id, theirs < 0 ? -EMFILE : theirs);
	close(fd);
}

static void nothing(int signal)
{
	(void)signal;
}

/*
 * Until the last process that could ask has gone. On Linux 6.1 one counts as gone only when its parent has taken note
 * of its end. Returns how the child ended.
 */
static int supervise(int listener, pid_t child)
{
	int status = 0;
	struct itimerval often = { { 0, 100 }, { 0, 100 } };
	struct sigaction action = { .sa_handler = nothing };
	struct pollfd poller = { .fd = listener, .events = POLLIN };

	sigaction(SIGALRM, &action, NULL);
	if (weakness == ADDFD_SEND)
		setitimer(ITIMER_REAL, &often, NULL);
	dup2(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 30); /* what no poller of the program should read */
	while (!(poller.revents & (POLLHUP | POLLERR))) {
		struct seccomp_notif asked = { 0 };

		waitpid(child, &status, WNOHANG);
		if (poll(&poller, 1, 100) > 0 && poller.revents & POLLIN &&
		    !ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked))
			serve(listener, &asked);
	}
	waitpid(child, &status, 0);
	return status;
}

/* --- with a tracer: every set-up is refused */

static int trace(pid_t child)
{
	long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
		       PTRACE_O_EXITKILL;
	int status, signal, end = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (pid == child && !WIFSTOPPED(status))
			end = status;
		if (!WIFSTOPPED(status))
			continue;
		ptrace(PTRACE_SETOPTIONS, pid, 0, options);
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
			struct user_regs_struct registers;

			ptrace(PTRACE_GETREGS, pid, 0, &registers);
			registers.orig_rax = (unsigned long)-1;
			registers.rax = (unsigned long)-EPERM;
			ptrace(PTRACE_SETREGS, pid, 0, &registers);
		}
		signal = WSTOPSIG(status);
		ptrace(PTRACE_CONT, pid, 0, status >> 16 || signal == SIGTRAP || signal == SIGSTOP ? 0 : signal);
	}
	return end;
}

/* --- start */

static int start(int tell, char **command)
{
	int listener;

	if (weakness == RET_TRACE) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
	}
	listener = install();
	if (listener < 0 || write(tell, &listener, sizeof(listener)) != sizeof(listener)) {
		perror("naive: seccomp");
		return 126;
	}
	execvp(command[0], command);
	return 127;
}

int main(int argc, char **argv)
{
	int listener = -1, status = 0, told[2];
	pid_t child;

	while (weakness < N_WEAKNESSES && argc > 2 && strcmp(argv[1], names[weakness]))
		weakness++;
	if (argc < 3 || weakness == N_WEAKNESSES) {
		fprintf(stderr, "usage: naive WEAKNESS PROG ARGS...\n");
		return 2;
	}
	/* Until it execs the child shares the table of descriptors, so its listener is here as well. */
	if (pipe2(told, O_CLOEXEC))
		return 3;
	child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		_exit(start(told[1], argv + 2));
	if (weakness == RET_TRACE)
		status = trace(child);
	else if (read(told[0], &listener, sizeof(listener)) == sizeof(listener))
		status = supervise(listener, child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
