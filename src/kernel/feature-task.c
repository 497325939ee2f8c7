/* SPDX-License-Identifier: MIT */
/* Features: what one process may do to another that it started, as supervisors need it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/call.h"
#include "kernel/feature-inner.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* ---- filters ---- */

/* A call that nothing else in these children makes. */
enum { WATCHED_CALL = SYS_getpgrp };

static int install(unsigned int flags, unsigned int action_on_watched)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WATCHED_CALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action_on_watched),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return kernel_seccomp(SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void say_installed(struct kernel_answer *answer, int r)
{
	if (r >= 0)
		answer->state = KERNEL_YES;
	else if (r == -EBUSY)
		feature_say(answer, KERNEL_NO, EBUSY, "EBUSY: this process has a supervisor already");
	else
		feature_say(answer, r == -EINVAL || r == -ENOSYS ? KERNEL_NO : KERNEL_UNKNOWN, -r, "%s",
			    feature_errno(-r));
}

static void try_filter(void *answer, const void *argument)
{
	int r = install(0, SECCOMP_RET_ERRNO | EXDEV);

	if (r == 0 && (syscall(WATCHED_CALL) != -1 || errno != EXDEV))
		feature_say(answer, KERNEL_NO, 0, "a filter was installed, and was not heeded");
	else
		say_installed(answer, r);
}

void feature_task_seccomp(struct kernel_answer *answer)
{
	feature_in_child(answer, try_filter, NULL);
}

static void try_listener(void *answer, const void *argument)
{
	const unsigned int *more = argument;

	say_installed(answer, install(SECCOMP_FILTER_FLAG_NEW_LISTENER | *more, SECCOMP_RET_USER_NOTIF));
}

void feature_task_notify(struct kernel_answer *answer)
{
	static const unsigned int nothing_more = 0;

	feature_in_child(answer, try_listener, &nothing_more);
}

void feature_task_killable(struct kernel_answer *answer)
{
	static const unsigned int killable = SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

	feature_in_child(answer, try_listener, &killable);
}

/* The child's child asks; the answer is the number of a descriptor that it did not have. 0 or -errno. */
static int serve_descriptor(int listener)
{
	struct seccomp_notif request = { 0 };
	struct seccomp_notif_resp response = { 0 };
	struct seccomp_notif_addfd add = { 0 };
	int r;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return -errno;
	add.id = response.id = request.id;
	add.srcfd = (uint32_t)listener;
	r = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	if (r < 0)
		response.error = r = -errno;
	else
		response.val = r;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0)
		return -errno;
	return r < 0 ? r : 0;
}

static void try_addfd(void *answer, const void *argument)
{
	CLEANUP(cleanup_fd) int listener = install(SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_RET_USER_NOTIF);
	int status = 0, r;
	pid_t pid;

	if (listener < 0) {
		feature_say(answer, KERNEL_UNKNOWN, -listener, "no supervisor can be set up: %s",
			    feature_errno(-listener));
		return;
	}
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		r = (int)syscall(WATCHED_CALL);
		_exit(r > listener && fcntl(r, F_GETFD) >= 0 ? 0 : 1);
	}
	r = pid < 0 ? -EAGAIN : serve_descriptor(listener);
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (r < 0)
		feature_say(answer, r == -EINVAL || r == -ENOTTY ? KERNEL_NO : KERNEL_UNKNOWN, -r, "%s",
			    feature_errno(-r));
	else
		feature_say(answer, status == 0 ? KERNEL_YES : KERNEL_NO, 0, "%s",
			    status == 0 ? "" : "the descriptor did not arrive");
}

void feature_task_addfd(struct kernel_answer *answer)
{
	feature_in_child(answer, try_addfd, NULL);
}

/* ---- a child's descriptors, registers and memory ---- */

static int take_descriptor(int pid)
{
	CLEANUP(cleanup_fd) int pidfd = kernel_pidfd_open(pid, 0);
	CLEANUP(cleanup_fd) int taken = -1;

	if (pidfd < 0)
		return pidfd;
	/* Any descriptor will do; that of the pipe to the prober is always there. */
	for (int fd = 0; fd < 1024 && taken < 0; fd++) {
		taken = kernel_pidfd_getfd(pidfd, fd, 0);
		if (taken < 0 && taken != -EBADF)
			break;
	}
	return taken < 0 ? taken : 0;
}

static int trace(int pid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
		return -errno;
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -ECHILD;
	return ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0 ? -errno : 0;
}

static int read_memory(int pid)
{
	static const char there[] = "in both, since one was forked from the other";
	char here[sizeof(there)];
	const struct iovec local = { here, sizeof(here) }, remote = { (void *)(uintptr_t)there, sizeof(there) };
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(there) && memcmp(here, there, sizeof(there)) == 0 ? 0 : -EIO;
}

static void try_on_sleeper(void *answer, const void *argument)
{
	int (*const *attempt)(int) = argument;
	int pid = feature_sleeper(), r = pid < 0 ? pid : (*attempt)(pid);

	if (pid > 0)
		feature_sleeper_end(pid);
	if (r == 0)
		feature_say(answer, KERNEL_YES, 0, "%s", "");
	else
		feature_say(answer, r == -ENOSYS || r == -EPERM || r == -EACCES ? KERNEL_NO : KERNEL_UNKNOWN, -r,
			    "%s%s", feature_errno(-r),
			    r == -EPERM ? ": a security module (Yama's ptrace_scope) or a filter forbids it" : "");
}

void feature_task_getfd(struct kernel_answer *answer)
{
	static int (*const attempt)(int) = take_descriptor;

	feature_in_child(answer, try_on_sleeper, &attempt);
}

void feature_task_ptrace(struct kernel_answer *answer)
{
	static int (*const attempt)(int) = trace;

	feature_in_child(answer, try_on_sleeper, &attempt);
}

void feature_task_read(struct kernel_answer *answer)
{
	static int (*const attempt)(int) = read_memory;

	feature_in_child(answer, try_on_sleeper, &attempt);
}

/* ---- other ways into the kernel ---- */

enum { X32_BIT = 0x40000000, I386_GETPID = 20 };

static void say_called(struct kernel_answer *answer, long r, int error)
{
	if (r == getpid())
		answer->state = KERNEL_YES;
	else
		feature_say(answer, error == ENOSYS ? KERNEL_NO : KERNEL_UNKNOWN, error, "%s", feature_errno(error));
}

static void try_x32(void *answer, const void *argument)
{
	long r = syscall(SYS_getpid | X32_BIT);

	say_called(answer, r, r < 0 ? errno : 0);
}

void feature_task_x32(struct kernel_answer *answer)
{
	feature_in_child(answer, try_x32, NULL);
}

static void try_i386(void *answer, const void *argument)
{
	int r = I386_GETPID;

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	say_called(answer, r, r < 0 ? -r : 0);
}

/* Without 32-bit support the instruction itself is refused. */
void feature_task_i386(struct kernel_answer *answer)
{
	int sig = 0, r = child_run(try_i386, NULL, answer, sizeof(*answer), &sig);

	if (r == CHILD_KILLED)
		feature_say(answer, KERNEL_NO, 0, "SIG%s", sigabbrev_np(sig));
	else if (r != CHILD_ANSWERED)
		feature_say(answer, KERNEL_UNKNOWN, r < 0 ? -r : 0, "it could not be tried");
}
