/* SPDX-License-Identifier: MIT */
/* Features: restrictions of rings and of tasks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/uring.h"
#include "base/cleanup.h"
#include "kernel/call.h"
#include "kernel/feature-inner.h"

/* A register opcode that no kernel has: EINVAL or EBADF from the kernel, and something else from a filter on the whole
 * call. */
enum { NO_SUCH_OPCODE = 0x7fff };

/* ---- of a ring ---- */

static const struct uring_restriction only_nop_and_probe[] = {
	{ .opcode = URING_RESTRICT_SQE_OP, .value = URING_OP_NOP },
	{ .opcode = URING_RESTRICT_REGISTER_OP, .value = URING_REG_PROBE },
};
enum { N_RESTRICTIONS = 2 };

static void restrict_ring(void *answer, const void *argument)
{
	CLEANUP(cleanup_fd) int ring = feature_ring(URING_SETUP_R_DISABLED);
	int r;

	if (ring < 0) {
		feature_say(answer, ring == -EINVAL ? KERNEL_NO : KERNEL_UNKNOWN, -ring,
			    "no disabled ring can be made: %s", feature_errno(-ring));
		return;
	}
	r = kernel_register(ring, URING_REG_RESTRICTIONS, only_nop_and_probe, N_RESTRICTIONS);
	if (r < 0) {
		feature_say(answer, KERNEL_NO, -r, "REGISTER_RESTRICTIONS: %s%s", feature_errno(-r),
			    r == -EBUSY ? " (this process is restricted already)" : "");
		return;
	}
	r = kernel_register(ring, URING_REG_ENABLE_RINGS, NULL, 0);
	if (r < 0) {
		feature_say(answer, KERNEL_NO, -r, "ENABLE_RINGS: %s", feature_errno(-r));
		return;
	}
	r = kernel_register(ring, URING_REG_UNREGISTER_FILES, NULL, 0);
	if (r == -EACCES)
		feature_say(answer, KERNEL_YES, 0, "%s", "");
	else
		feature_say(answer, KERNEL_NO, r < 0 ? -r : 0,
			    "a call that the list does not allow gave %s, not EACCES",
			    r < 0 ? feature_errno(-r) : "success");
}

void feature_restrict_ring(struct kernel_answer *answer)
{
	feature_in_child(answer, restrict_ring, NULL);
}

/* ---- of a task ---- */

/* Neither registers anything: with no list behind the pointer the kernel gets as far as reading it. */
static void ask_of_task(void *answer, const void *argument)
{
	const unsigned int *opcode = argument;
	int control, r;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	control = kernel_register(-1, NO_SUCH_OPCODE, NULL, 0);
	r = kernel_register(-1, *opcode, NULL, 1);
	if (control != -EINVAL && control != -EBADF)
		feature_say(answer, KERNEL_UNKNOWN, -control, "io_uring_register itself is refused: %s",
			    feature_errno(-control));
	else if (r == -EFAULT)
		feature_say(answer, KERNEL_YES, 0, "%s", "");
	else if (r == -EPERM)
		feature_say(answer, KERNEL_NO, EPERM, "EPERM: this process is restricted already");
	else if (r == -EINVAL || r == -EBADF)
		feature_say(answer, KERNEL_NO, -r, "%s: this kernel cannot", feature_errno(-r));
	else
		feature_say(answer, KERNEL_UNKNOWN, r < 0 ? -r : 0, "an answer that is not known: %s",
			    r < 0 ? feature_errno(-r) : "success");
}

void feature_restrict_task(struct kernel_answer *answer)
{
	static const unsigned int opcode = URING_REG_RESTRICTIONS;

	feature_in_child(answer, ask_of_task, &opcode);
}

void feature_restrict_filter(struct kernel_answer *answer)
{
	static const unsigned int opcode = URING_REG_BPF_FILTER;

	feature_in_child(answer, ask_of_task, &opcode);
}

/* ---- whether they survive execve ---- */

/* A whole program (feature-exec.S) that asks as ask_of_task() does, and exits with the errno. */
extern const char feature_exec_image[], feature_exec_image_end[];

static int exec_image(void)
{
	size_t size = (size_t)(feature_exec_image_end - feature_exec_image);
	char *none[] = { NULL };
	int fd = memfd_create("circlip-exec", MFD_CLOEXEC);

	if (fd < 0 || write(fd, feature_exec_image, size) != (ssize_t)size)
		return -errno;
	return kernel_execveat(fd, "", none, none, AT_EMPTY_PATH);
}

/* One NOP through a ring that was made under the restrictions, since only a task that used one lost them. */
static int use_ring(void)
{
	CLEANUP(cleanup_fd) int ring = feature_ring(0);

	return ring < 0 ? ring : kernel_enter(ring, 0, 0, 0, NULL, 0);
}

static int restrict_and_exec(void)
{
	/* The head is as large as one of the restrictions behind it. */
	const struct uring_task_restriction head = { .n_restrictions = N_RESTRICTIONS };
	struct uring_restriction list[1 + N_RESTRICTIONS];
	int r;

	memcpy(list, &head, sizeof(head));
	memcpy(list + 1, only_nop_and_probe, sizeof(only_nop_and_probe));
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = kernel_register(-1, URING_REG_RESTRICTIONS, list, 1);
	if (r == 0)
		r = use_ring();
	return r < 0 ? r : exec_image();
}

enum { COULD_NOT_TRY = 255 };

static void try_exec(void *answer, const void *argument)
{
	const bool *restricted = argument;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		/* Without root nobody may restrict a task that could still gain privileges: EACCES. */
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (*restricted)
			restrict_and_exec();
		else
			exec_image();
		_exit(COULD_NOT_TRY);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == COULD_NOT_TRY)
		feature_say(answer, KERNEL_UNKNOWN, 0, "the trial could not be made");
	else if (WEXITSTATUS(status) == EPERM)
		feature_say(answer, KERNEL_YES, 0, "%s", "");
	else if (WEXITSTATUS(status) == EFAULT)
		feature_say(answer, KERNEL_NO, 0,
			    "a program started by a restricted process was not restricted (CVE-2026-80713)");
	else
		feature_say(answer, KERNEL_UNKNOWN, WEXITSTATUS(status), "the program that was started saw %s",
			    feature_errno(WEXITSTATUS(status)));
}

void feature_restrict_exec_control(struct kernel_answer *answer)
{
	static const bool restricted = false;

	feature_in_child(answer, try_exec, &restricted);
}

void feature_restrict_exec(struct kernel_answer *answer)
{
	static const bool restricted = true;
	struct kernel_answer before = { .state = KERNEL_UNKNOWN };

	feature_restrict_task(&before);
	if (before.state != KERNEL_YES) {
		feature_say(answer, KERNEL_UNKNOWN, before.error, "no restrictions to try it with: %.150s", before.why);
		return;
	}
	/* Only where an unrestricted program is told from a restricted one does the answer mean anything. */
	feature_restrict_exec_control(&before);
	if (before.state == KERNEL_NO)
		feature_in_child(answer, try_exec, &restricted);
	else
		feature_say(answer, KERNEL_UNKNOWN, before.error, "the trial does not work here: %.150s", before.why);
}
