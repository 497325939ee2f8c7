/* SPDX-License-Identifier: MIT */
/* What a worker that was killed leaves unanswered, with a real listener and a child that asks. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "enforce/agent-pass.h"
#include "enforce/serve-inner.h"
#include "kernel/call.h"

struct asker {
	pid_t pid;
	int listener, socket;
};

/* Has all its set-ups asked about. A listener, or -1. */
static int filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof code / sizeof *code, code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return kernel_seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* Sends its listener, then the errno of each of its set-ups. */
static void __attribute__((noreturn)) ask(int socket)
{
	int listener = filter(), error = 0;

	if (listener < 0 || agent_pass(socket, &error, sizeof error, listener) < 0)
		_exit(1);
	close(listener);
	do {
		error = -kernel_setup(1, NULL);
	} while (send(socket, &error, sizeof error, MSG_NOSIGNAL) == sizeof error);
	_exit(0);
}

/* Skips the test where a process has no filter of its own, or one that has a listener already. */
static struct asker start(void)
{
	struct asker asker = { .listener = -1 };
	int pair[2], hello, status;
	size_t n = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	asker.pid = fork();
	if (asker.pid == 0) {
		close(pair[0]);
		ask(pair[1]);
	}
	close(pair[1]);
	asker.socket = pair[0];
	while (agent_pass_receive(pair[0], &hello, sizeof hello, &asker.listener, 1, &n) == -EAGAIN)
		;
	if (asker.listener < 0) {
		waitpid(asker.pid, &status, 0);
		skip();
	}
	return asker;
}

static void end(const struct asker *asker)
{
	kill(asker->pid, SIGKILL);
	waitpid(asker->pid, NULL, 0);
	close(asker->listener);
	close(asker->socket);
}

static uint64_t receive(const struct asker *asker)
{
	struct seccomp_notif asked = { 0 };

	assert_int_equal(ioctl(asker->listener, SECCOMP_IOCTL_NOTIF_RECV, &asked), 0);
	return asked.id;
}

static int heard(const struct asker *asker)
{
	int error = 0;

	assert_int_equal(recv(asker->socket, &error, sizeof error, 0), sizeof error);
	return error;
}

static void refuses_what_is_known(void **state)
{
	struct asker asker = start();
	struct serve_shared shared = { .failed = 0 };
	_Atomic bool astray = false;

	shared.held[7] = receive(&asker);
	assert_false(serve_recover(asker.listener, &shared, &astray, EACCES));
	assert_int_equal(heard(&asker), EACCES);
	assert_false(astray);
	shared.notification = receive(&asker);
	assert_true(serve_recover(asker.listener, &shared, &astray, ENOSYS));
	assert_int_equal(heard(&asker), ENOSYS);
	assert_true(astray);
	assert_int_equal(shared.failed, 2);
	assert_int_equal(shared.held[7] | shared.notification, 0);
	end(&asker);
}

/* Killed between receiving and writing it down. */
static void refuses_what_was_lost(void **state)
{
	struct asker asker = start();
	struct serve_shared shared = { .last = receive(&asker) };
	_Atomic bool astray = false;

	serve_refuse(asker.listener, shared.last, EPERM);
	assert_int_equal(heard(&asker), EPERM);
	assert_int_equal(receive(&asker), shared.last + 1);
	assert_false(serve_recover(asker.listener, &shared, &astray, EACCES));
	assert_int_equal(heard(&asker), EACCES);
	assert_int_equal(shared.failed, 1);
	shared.last = receive(&asker); /* or between that and making it known what it is */
	assert_false(serve_recover(asker.listener, &shared, &astray, ENOSYS));
	assert_int_equal(heard(&asker), ENOSYS);
	end(&asker);
}

/* One that nobody received waits for the next worker. */
static void leaves_what_is_unread(void **state)
{
	struct asker asker = start();
	struct serve_shared shared = { .last = receive(&asker) };
	struct seccomp_notif_resp answer = { .error = -EPERM };
	_Atomic bool astray = false;

	serve_refuse(asker.listener, shared.last, EPERM);
	assert_int_equal(heard(&asker), EPERM);
	answer.id = shared.last + 1;
	while (ioctl(asker.listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno == ENOENT)
		; /* until it has asked again */
	assert_int_equal(errno, EINPROGRESS);
	assert_false(serve_recover(asker.listener, &shared, &astray, EACCES));
	assert_int_equal(receive(&asker), shared.last + 1);
	assert_int_equal(shared.failed, 0);
	end(&asker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_known),
		cmocka_unit_test(refuses_what_was_lost),
		cmocka_unit_test(leaves_what_is_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
