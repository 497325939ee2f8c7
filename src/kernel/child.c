/* SPDX-License-Identifier: MIT */
#include "kernel/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Nothing that is probed waits for anybody, so silence means that somebody else holds the call (a supervisor, a
 * tracer). */
enum { PATIENCE_MS = 10000, ANSWER_MAX = 4096 };

static void in_child(int to, child_function *function, const void *argument, size_t size)
{
	char answer[ANSWER_MAX] = { 0 };
	const struct rlimit no_core = { 0, 0 };
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	function(answer, argument);
	_exit(write(to, answer, size) == (ssize_t)size ? 0 : 1);
}

static bool heard_all(int from, char *answer, size_t size)
{
	struct pollfd waiting = { .fd = from, .events = POLLIN };
	size_t have = 0;

	while (have < size) {
		ssize_t n;
		int r = poll(&waiting, 1, PATIENCE_MS);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		n = read(from, answer + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

static int ended(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int child_run(child_function *function, const void *argument, void *answer, size_t size, int *ret_signal)
{
	CLEANUP(cleanup_fd) int from = -1;
	char heard[ANSWER_MAX];
	int ends[2], status;
	bool whole;
	pid_t pid;

	if (size > ANSWER_MAX)
		return -E2BIG;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	from = ends[0];
	pid = fork();
	if (pid == 0)
		in_child(ends[1], function, argument, size);
	(void)close(ends[1]);
	if (pid < 0)
		return -errno;
	whole = heard_all(from, heard, size);
	if (!whole)
		kill(pid, SIGKILL); /* for when it hangs; one that has ended keeps its status */
	status = ended(pid);
	if (whole) {
		memcpy(answer, heard, size);
		return CHILD_ANSWERED;
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL)
		return CHILD_SILENT;
	if (ret_signal)
		*ret_signal = WTERMSIG(status);
	return CHILD_KILLED;
}
