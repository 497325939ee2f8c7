/* SPDX-License-Identifier: MIT */
#include "kernel/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "base/err.h"
#include "kernel/cbpf.h"
#include "kernel/child.h"

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

/* Where in it things went wrong, for the text. */
enum stage { STAGE_ATTACH, STAGE_STOP, STAGE_FILTER, STAGE_RUN };

struct question {
	pid_t pid;
	size_t n_calls;
	struct seccomp_call calls[SECCOMP_CALLS_MAX];
};

struct reply {
	int error;
	enum stage stage;
	unsigned int n_filters;
	struct seccomp_answer answers[SECCOMP_CALLS_MAX];
};

/* One filter on every call. Oldest first, so a newer one wins a draw. */
static int apply(const struct question *q, const struct cbpf_insn *program, size_t n, struct reply *reply)
{
	for (size_t i = 0; i < q->n_calls; i++) {
		const struct cbpf_call call = { .nr = q->calls[i].nr, .arch = q->calls[i].arch };
		struct cbpf_result result;

		if (cbpf_run(program, n, &call, &result) < 0)
			return -EINVAL;
		reply->answers[i].action = cbpf_stronger(result.action, reply->answers[i].action);
		reply->answers[i].depends |= result.looked_at_args || result.looked_at_ip;
	}
	return 0;
}

static int read_filters(const struct question *q, struct reply *reply)
{
	static struct cbpf_insn program[CBPF_MAX];

	for (unsigned int i = 0; i < SECCOMP_FILTERS_MAX; i++) {
		long n = ptrace(PTRACE_SECCOMP_GET_FILTER, q->pid, (void *)(uintptr_t)i, NULL);

		if (n < 0)
			return errno == ENOENT ? 0 : -errno;
		if (n > CBPF_MAX)
			return -E2BIG;
		n = ptrace(PTRACE_SECCOMP_GET_FILTER, q->pid, (void *)(uintptr_t)i, program);
		if (n < 0)
			return -errno;
		reply->stage = STAGE_RUN;
		if (apply(q, program, (size_t)n, reply) < 0)
			return -EINVAL;
		reply->stage = STAGE_FILTER;
		reply->n_filters = i + 1;
	}
	return -E2BIG;
}

/* In a child: should the process not stop, the child is killed, and with it the attachment goes. */
static void ask(void *answer, const void *argument)
{
	const struct question *q = argument;
	struct reply *reply = answer;
	int status;

	for (size_t i = 0; i < q->n_calls; i++)
		reply->answers[i].action = SECCOMP_RET_ALLOW;
	reply->stage = STAGE_ATTACH;
	if (ptrace(PTRACE_SEIZE, q->pid, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, q->pid, NULL, NULL) < 0) {
		reply->error = errno;
		return;
	}
	reply->stage = STAGE_STOP;
	if (waitpid(q->pid, &status, __WALL) != q->pid || !WIFSTOPPED(status)) {
		reply->error = ESRCH;
		return;
	}
	reply->stage = STAGE_FILTER;
	reply->error = -read_filters(q, reply);
	ptrace(PTRACE_DETACH, q->pid, NULL, NULL);
}

static int explain(const struct question *q, const struct reply *reply, struct err *err)
{
	static const char *const whats[] = {
		[STAGE_ATTACH] = "cannot be attached to",
		[STAGE_STOP] = "ended",
		[STAGE_FILTER] = "its filters cannot be read",
		[STAGE_RUN] = "a filter does what none may do",
	};
	const char *hint = "";

	if (reply->stage == STAGE_ATTACH && reply->error == EPERM)
		hint = " (it needs CAP_SYS_PTRACE, and nobody else tracing it)";
	else if (reply->stage == STAGE_FILTER && (reply->error == EACCES || reply->error == EPERM))
		hint = " (it needs CAP_SYS_ADMIN, and no filter on whoever asks)";
	else if (reply->stage == STAGE_FILTER && (reply->error == EIO || reply->error == EINVAL))
		hint = " (the kernel was built without CONFIG_CHECKPOINT_RESTORE)";
	return err_set(err, -reply->error, "process %d: %s: %s%s", q->pid, whats[reply->stage], strerror(reply->error),
		       hint);
}

int seccomp_ask(pid_t pid, const struct seccomp_call *calls, size_t n_calls, struct seccomp_answer *ret_answers,
		unsigned int *ret_n_filters, struct err *err)
{
	struct question q = { .pid = pid, .n_calls = n_calls };
	struct reply reply;
	int r;

	if (n_calls > SECCOMP_CALLS_MAX)
		return err_set(err, -E2BIG, "too many calls to ask for");
	memcpy(q.calls, calls, n_calls * sizeof(*calls));
	r = child_run(ask, &q, &reply, sizeof(reply), NULL);
	if (r < 0)
		return err_set(err, r, "no process could be made to ask in: %s", strerror(-r));
	if (r != CHILD_ANSWERED)
		return err_set(err, -ETIMEDOUT, "process %d: it does not stop, so its filters cannot be read", pid);
	if (reply.error)
		return explain(&q, &reply, err);
	memcpy(ret_answers, reply.answers, n_calls * sizeof(*ret_answers));
	*ret_n_filters = reply.n_filters;
	return 0;
}

const char *seccomp_action_text(uint32_t action, char *buf, size_t size)
{
	static const struct {
		uint32_t action;
		const char *name;
	} names[] = {
		{ SECCOMP_RET_KILL_PROCESS, "KILL_PROCESS" },
		{ SECCOMP_RET_KILL_THREAD, "KILL_THREAD" },
		{ SECCOMP_RET_TRAP, "TRAP" },
		{ SECCOMP_RET_ERRNO, "ERRNO" },
		{ SECCOMP_RET_USER_NOTIF, "NOTIFY" },
		{ SECCOMP_RET_TRACE, "TRACE" },
		{ SECCOMP_RET_LOG, "LOG" },
		{ SECCOMP_RET_ALLOW, "ALLOW" },
	};
	const char *name = NULL, *error = strerrorname_np((int)(action & SECCOMP_RET_DATA));

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].action == (action & SECCOMP_RET_ACTION_FULL))
			name = names[i].name;
	if (!name)
		snprintf(buf, size, "%#x", action);
	else if ((action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO && error)
		snprintf(buf, size, "%s(%s)", name, error);
	else
		snprintf(buf, size, "%s", name);
	return buf;
}
