/* SPDX-License-Identifier: MIT */
#include "enforce/act.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/uring.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/cgroup.h"
#include "enforce/guard.h"
#include "enforce/plan.h"
#include "enforce/restrictions.h"
#include "kernel/call.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1u << 5)
#endif

enum { CGROUP_PATIENCE_MS = 1000 };

/* ---- in the program, before it is executed ---- */

struct child {
	const struct plan *plan;
	const char *folder; /* of the cgroup made for it */
	const struct restrictions_kernel *kernel;
	pid_t parent;
	int listener;
	int closed_rings;
};

static int die_with(struct child *child)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return getppid() == child->parent ? 0 : -ESRCH;
}

static int join(struct child *child)
{
	return cgroup_enter(child->folder);
}

static bool is_ring(int folder, const char *name)
{
	static const char ring[] = "anon_inode:[io_uring]";
	char target[sizeof(ring)];

	return readlinkat(folder, name, target, sizeof(target)) == sizeof(ring) - 1 &&
	       memcmp(target, ring, sizeof(ring) - 1) == 0;
}

static int close_rings(struct child *child)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (is_ring(dirfd(dir), entry->d_name)) {
			close(atoi(entry->d_name));
			child->closed_rings++;
		}
	closedir(dir);
	return 0;
}

/* Bounding set first: it needs CAP_SETPCAP, without which execution would give the capability back. */
static int drop_capability(unsigned int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint32_t keep = ~(1u << capability % 32);

	if (prctl(PR_CAPBSET_READ, capability) == 1 && geteuid() == 0 && prctl(PR_CAPBSET_DROP, capability) < 0)
		return -errno;
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[capability / 32].effective &= keep;
	data[capability / 32].permitted &= keep;
	data[capability / 32].inheritable &= keep;
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int drop_trace(struct child *child)
{
	return drop_capability(CAP_SYS_PTRACE);
}

/* Who has CAP_SYS_RESOURCE raises what we lower. */
static int lower_limit(__rlimit_resource_t resource, rlim_t most)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return -errno;
	if (limit.rlim_cur > most)
		limit.rlim_cur = most;
	if (limit.rlim_max > most)
		limit.rlim_max = most;
	return setrlimit(resource, &limit) < 0 ? -errno : drop_capability(CAP_SYS_RESOURCE);
}

static int limit_files(struct child *child)
{
	return lower_limit(RLIMIT_NOFILE, child->plan->files_limit);
}

/* The limit is not asked about with CAP_IPC_LOCK. */
static int limit_lock(struct child *child)
{
	int r = lower_limit(RLIMIT_MEMLOCK, child->plan->lock_limit);

	return r < 0 ? r : drop_capability(CAP_IPC_LOCK);
}

static int no_new_privs(struct child *child)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int task_restrict(struct child *child)
{
	struct restrictions restrictions;

	restrictions_of(&child->plan->policy, child->kernel, &restrictions);
	return kernel_register(-1, URING_REG_RESTRICTIONS, &restrictions.task, 1);
}

static int task_families(struct child *child)
{
	struct restrictions_filter filter;

	restrictions_filter_families(&child->plan->policy, &filter);
	return kernel_register(-1, URING_REG_BPF_FILTER, &filter.call, 1);
}

static int seccomp(struct child *child)
{
	const struct plan *plan = child->plan;
	const struct sock_fprog program = { plan->filter.length, plan->filter.program };
	unsigned int flags = 0;
	int r;

	if (plan_has(plan, PLAN_SERVE))
		flags = SECCOMP_FILTER_FLAG_NEW_LISTENER |
			(plan->wait_killable ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0);
	r = kernel_seccomp(SECCOMP_SET_MODE_FILTER, flags, &program);
	if (r >= 0 && flags)
		child->listener = r;
	return r < 0 ? r : 0;
}

typedef int child_step(struct child *child);

static child_step *const child_steps[PLAN_N_KINDS] = {
	[PLAN_JOIN] = join,
	[PLAN_DIE_WITH] = die_with,
	[PLAN_CLOSE_RINGS] = close_rings,
	[PLAN_DROP_TRACE] = drop_trace,
	[PLAN_LOCK_LIMIT] = limit_lock,
	[PLAN_FILES_LIMIT] = limit_files,
	[PLAN_NO_NEW_PRIVS] = no_new_privs,
	[PLAN_TASK_RESTRICT] = task_restrict,
	[PLAN_TASK_FAMILIES] = task_families,
	[PLAN_SECCOMP] = seccomp,
};

/* ---- between the two ---- */

struct message {
	int result;
	int step; /* enum plan_kind */
	int closed_rings;
};

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static int send_message(int channel, struct message *message, int fd)
{
	union control control = { .bytes = { 0 } };
	struct iovec part = { message, sizeof(*message) };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *head;

	if (fd >= 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		head = CMSG_FIRSTHDR(&header);
		*head = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	}
	return sendmsg(channel, &header, MSG_NOSIGNAL) == sizeof(*message) ? 0 : -errno;
}

/* 0, 1 = the other end is closed, -errno */
static int receive_message(int channel, struct message *message, int *ret_fd)
{
	union control control;
	struct iovec part = { message, sizeof(*message) };
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	struct cmsghdr *head;
	ssize_t n;

	do
		n = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n == 0 || errno == ECONNRESET ? 1 : -errno;
	head = CMSG_FIRSTHDR(&header);
	if (ret_fd && head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(head), sizeof(*ret_fd));
	return n == sizeof(*message) ? 0 : -EPROTO;
}

static void __attribute__((noreturn)) give_up(int channel, int step, int error)
{
	struct message message = { .result = error, .step = step };

	(void)send_message(channel, &message, -1);
	_exit(125);
}

static void __attribute__((noreturn))
child_main(struct child *child, int channel, char *const argv[], const sigset_t *mask)
{
	struct message message = { .step = PLAN_EXECUTE };

	for (size_t i = 0; i < child->plan->n_steps; i++) {
		child_step *step = child_steps[child->plan->steps[i].kind];
		int r = step ? step(child) : 0;

		if (r < 0)
			give_up(channel, child->plan->steps[i].kind, r);
	}
	message.closed_rings = child->closed_rings;
	if (send_message(channel, &message, child->listener) < 0)
		_exit(125);
	/* Nothing of the program runs before there is somebody to answer it. */
	if (receive_message(channel, &message, NULL) != 0)
		_exit(125);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	give_up(channel, PLAN_EXECUTE, -errno);
}

/* ---- in the supervisor ---- */

static void end(struct act_program *program)
{
	if (program->pid > 0) {
		kill(program->pid, SIGKILL);
		while (waitpid(program->pid, NULL, 0) < 0 && errno == EINTR)
			;
		program->pid = -1;
	}
}

static const char *text_of(const struct plan *plan, int kind)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if ((int)plan->steps[i].kind == kind)
			return plan->steps[i].text;
	return "the program is started";
}

static int await_prepared(const struct plan *plan, struct act_program *program, struct err *err)
{
	struct message message;
	int r = receive_message(program->channel, &message, &program->listener);

	if (r)
		return err_set(err, r < 0 ? r : -ECHILD, "the program ended before it could be restricted");
	if (message.result < 0)
		return err_set(err, message.result == -ENOENT || message.result == -EACCES ? -EIO : message.result,
			       "a step failed: %s: %s", text_of(plan, message.step), strerror(-message.result));
	program->closed_rings = message.closed_rings;
	return 0;
}

/* The kernel's limits are asked for before the task is restricted, and in a process that makes rings for it. */
static int ask_kernel(const struct plan *plan, struct restrictions_kernel *kernel, struct err *err)
{
	int pipes[2], r = -EIO;
	pid_t pid;

	if (!plan_has(plan, PLAN_TASK_RESTRICT))
		return 0;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_set(err, -errno, "cannot ask the kernel: %m");
	pid = fork();
	if (pid == 0)
		_exit(restrictions_probe(kernel) < 0 || write(pipes[1], kernel, sizeof(*kernel)) != sizeof(*kernel));
	close(pipes[1]);
	if (pid > 0 && read(pipes[0], kernel, sizeof(*kernel)) == sizeof(*kernel))
		r = 0;
	close(pipes[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? err_set(err, r, "the kernel does not say which operations it knows") : 0;
}

/* ---- the guard ---- */

/* The rule before anybody is in it. */
static int guard(const struct plan *plan, struct act_program *program, struct err *err)
{
	struct guard_rule rule;
	char name[32];
	int r;

	if (!plan_has(plan, PLAN_GUARD))
		return 0;
	snprintf(name, sizeof(name), "circlip-run-%d", (int)getpid());
	r = cgroup_make(name, program->folder, sizeof(program->folder));
	if (r < 0)
		return err_set(err, r, "no cgroup can be made for the program, as the BPF guard needs: %s",
			       strerror(-r));
	r = guard_cgroup(program->folder, &program->cgroup, err);
	if (r < 0)
		return r;
	plan_guard_rule(plan, &rule);
	program->guard = plan->guard;
	return guard_set_rule(plan->guard, program->cgroup, &rule, err);
}

static void unguard(struct act_program *program)
{
	if (!*program->folder)
		return;
	if (cgroup_remove(program->folder, CGROUP_PATIENCE_MS) == 0 && program->guard)
		(void)guard_remove_rule(program->guard, program->cgroup, NULL);
	*program->folder = '\0';
}

int act_prepare(const struct plan *plan, char *const argv[], const sigset_t *mask, struct act_program *ret_program,
		struct err *err)
{
	struct act_program program = { .pid = -1, .pidfd = -1, .listener = -1, .channel = -1 };
	struct restrictions_kernel kernel = { 0 };
	struct child child = { .plan = plan, .kernel = &kernel, .parent = getpid(), .listener = -1 };
	int channel[2], r = ask_kernel(plan, &kernel, err);

	if (r == 0)
		r = guard(plan, &program, err);
	if (r < 0) {
		act_done(&program);
		return r;
	}
	child.folder = program.folder;
	/* What the program leaves behind becomes ours: it stays below us, where it can be found. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0) {
		r = err_set(err, -errno, "the program cannot be prepared: %m");
		act_done(&program);
		return r;
	}
	program.channel = channel[0];
	program.pid = fork();
	if (program.pid == 0) {
		close(channel[0]);
		child_main(&child, channel[1], argv, mask);
	}
	close(channel[1]);
	r = program.pid < 0 ? err_set(err, -errno, "cannot fork: %m") : await_prepared(plan, &program, err);
	if (r == 0) {
		program.pidfd = kernel_pidfd_open(program.pid, 0);
		r = program.pidfd < 0
			    ? err_set(err, program.pidfd, "the program cannot be watched: %s", strerror(-program.pidfd))
			    : 0;
	}
	if (r < 0) {
		act_done(&program);
		return r;
	}
	*ret_program = program;
	return 0;
}

int act_execute(struct act_program *program, struct err *err)
{
	struct message message = { 0 };
	int r = send_message(program->channel, &message, -1);

	if (r == 0)
		r = receive_message(program->channel, &message, NULL);
	if (r == 1) { /* the descriptor closed itself on execution */
		cleanup_fd(&program->channel);
		program->channel = -1;
		return 0;
	}
	r = r < 0 ? r : message.result;
	end(program);
	return err_set(err, r, "the program cannot be executed: %s", strerror(-r));
}

void act_done(struct act_program *program)
{
	if (program->channel >= 0)
		end(program);
	cleanup_fd(&program->pidfd);
	cleanup_fd(&program->listener);
	cleanup_fd(&program->channel);
	program->pidfd = program->listener = program->channel = -1;
	unguard(program);
}
