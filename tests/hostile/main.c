/* SPDX-License-Identifier: MIT */
/*
 * Attacks on a program's io_uring policy, from inside. Started where the policy is in force it tries to get forbidden
 * operations executed, each attack some thousand rounds, and prints TAP:
 *
 *   ok      HELD: the attack was made and nothing forbidden happened    ok # SKIP: it cannot be made here, and why
 *   not ok  BREACH: something forbidden happened; HUNG, BROKEN: something allowed did not come back, or was refused
 *
 * usage: hostile [--open FIELD]... [--percent N] [ATTACK...]    all ordinary attacks, or those named
 *        hostile --control bare|WEAKNESS [ATTACK...]            where nothing protects: each attack must breach
 *        hostile --list | --policy
 *        hostile --leak PROG ARGS...                            runs PROG with an unrestricted ring left open
 *        hostile --nobody PROG ARGS...                          runs PROG without root, as user HOSTILE_NOBODY
 *        hostile --outsider                                     makes a ring, says its own pid, waits to be ended
 *
 * Nothing is asserted about time, but what has not come back after HANG_SECONDS is called hung. Some mistakes show only
 * when the scheduler wills, so a control is made up to CONTROL_TRIES times.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

/* What is known to hang, with the naive supervisor, need not be waited for as long. */
enum { HANG_SECONDS = 60, CONTROL_HANG_SECONDS = 4, OUTER = 6, CONTROL_TRIES = 100 };

static const struct attack *const tables[] = { attacks_rings, attacks_params,    attacks_calls,     attacks_births,
					       attacks_doors, attacks_processes, attacks_supervisor };
enum { N_TABLES = sizeof(tables) / sizeof(tables[0]) };

#define FOR_EACH_ATTACK(attack)                                                                                        \
	for (unsigned int table = 0; table < N_TABLES; table++)                                                        \
		for (const struct attack *attack = tables[table]; attack->name; attack++)

static const char *const open_names[OPEN_N] = {
	[OPEN_SQ] = "sqEntries",
	[OPEN_CQ] = "cqEntries",
	[OPEN_WORKERS] = "workers.bounded",
	[OPEN_RINGS] = "ringsPerContainer",
	[OPEN_REGISTER] = "registerOps",
	[OPEN_SETUP_FLAGS] = "setupFlags",
	[OPEN_SQPOLL] = "sqpoll",
	[OPEN_SQE_FLAGS] = "sqeFlags",
};

static struct {
	const char *control; /* NULL = this is no control */
	unsigned int percent;
	unsigned int n, failed;
} run = { .percent = 100 };

/* --- processes with an end */

static bool ended_within(pid_t pid, int seconds, int *ret_status)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };
	int ended;

	do
		ended = pidfd < 0 ? 1 : poll(&poller, 1, seconds * 1000);
	while (ended < 0 && errno == EINTR);
	if (pidfd >= 0)
		close(pidfd);
	if (ended > 0)
		waitpid(pid, ret_status, 0);
	return ended > 0;
}

static int hang_seconds(void)
{
	return run.control ? CONTROL_HANG_SECONDS : HANG_SECONDS;
}

bool in_child_within(int seconds, void (*body)(void *), void *arg, int *ret_status)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body(arg);
		_exit(0);
	}
	if (pid < 0)
		return true;
	setpgid(pid, pid);
	if (!ended_within(pid, seconds, &status)) {
		kill(-pid, SIGKILL);
		if (!ended_within(pid, seconds, &status))
			attack_hung("process %d cannot even be killed", pid);
		return false;
	}
	kill(-pid, SIGKILL); /* what it left behind */
	if (ret_status)
		*ret_status = status;
	return true;
}

bool in_child(void (*body)(void *), void *arg, int *ret_status)
{
	return in_child_within(hang_seconds(), body, arg, ret_status);
}

/* --- what must go on working */

static bool no_good(const char *step, long answer)
{
	snprintf(result->trouble, sizeof(result->trouble), "%s gave %ld", step, answer);
	return false;
}

bool works_here(void)
{
	struct params params = { 0 };
	long fd = sys_setup(8, &params);
	struct cqe cqe = { 0 };
	struct ring ring;
	char byte = 0;
	int ends[2];
	bool good;

	if (fd < 0)
		return no_good("io_uring_setup", fd);
	if (!ring_adopt((int)fd, params.flags, &ring) || pipe(ends))
		return no_good("using it", -errno);
	ring.patience = 40;
	good = write(ends[1], "z", 1) == 1 && !ring_run(&ring, &(struct sqe){ .opcode = OP_NOP }, &cqe) && !cqe.res;
	good = good && !ring_run(&ring,
				 &(struct sqe){ .opcode = OP_READ,
						.fd = ends[0],
						.addr = (uintptr_t)&byte,
						.len = 1,
						.off = UINT64_MAX },
				 &cqe);
	good = (good && cqe.res == 1 && byte == 'z') || no_good("NOP or READ", cqe.res);
	ring_unmap(&ring);
	close((int)fd);
	close(ends[0]);
	close(ends[1]);
	return good;
}

static void exit_if_it_works(void *unused)
{
	(void)unused;
	_exit(works_here() ? 0 : 1);
}

void works_elsewhere(const char *when)
{
	int status = 0;

	if (!in_child(exit_if_it_works, NULL, &status))
		attack_hung("a plain ring never came %s", when);
	else if (status)
		attack_broken("a plain ring does not work %s: %s", when, result->trouble);
}

/* --- one attack */

static void make_it(void *arg)
{
	const struct attack *attack = arg;
	uint32_t rounds = (uint32_t)((uint64_t)attack->rounds * run.percent / 100);

	attack->make(rounds ? rounds : 1);
}

static void reset(void)
{
	struct result fresh = { .main = result->main, .is_control = run.control != NULL };

	memcpy(fresh.open, result->open, sizeof(fresh.open));
	memcpy(result, &fresh, sizeof(fresh));
}

static void counts(char *text, size_t size)
{
	snprintf(text, size, "%lu rounds, %lu rings, %lu refused; %lu forbidden tried, %lu executed",
		 (unsigned long)result->rounds, (unsigned long)result->rings, (unsigned long)result->refused,
		 (unsigned long)result->tried, (unsigned long)result->breaches);
}

static const char *verdict(void)
{
	return result->breaches     ? "BREACH"
	       : result->hung       ? "HUNG"
	       : result->broken     ? "BROKEN"
	       : result->impossible ? "NOT-POSSIBLE"
				    : "HELD";
}

static void print_line(const struct attack *attack)
{
	const char *what = verdict();
	bool breached = result->breaches || result->hung || result->waits, skipped = !strcmp(what, "NOT-POSSIBLE");
	bool good = run.control ? breached || skipped : skipped || !strcmp(what, "HELD");
	char numbers[200];

	counts(numbers, sizeof(numbers));
	run.failed += !good;
	printf("%s %u - %s%s", good ? "ok" : "not ok", ++run.n, attack->name, run.control ? " (control)" : "");
	if (skipped)
		printf(" # SKIP %s\n", result->text);
	else
		printf(" %s: %s%s%s\n", what, numbers, result->text[0] ? "; " : "", result->text);
	if (!good && run.control)
		printf("#   without protection this attack must breach, or it proves nothing\n");
	fflush(stdout);
}

static void make_once(const struct attack *attack)
{
	int status = 0;

	reset();
	if (!in_child_within(hang_seconds() * OUTER, make_it, (void *)(uintptr_t)attack, &status))
		attack_hung("the attack never came back");
	else if (WIFSIGNALED(status) && attack->kind != ATTACK_ALONE)
		attack_broken("the attacker died of signal %d", WTERMSIG(status));
}

static void make(const struct attack *attack)
{
	make_once(attack);
	for (int i = 1; i < CONTROL_TRIES && run.control && !result->breaches && !result->hung && !result->waits &&
			!result->impossible;
	     i++)
		make_once(attack);
	if (!run.control && attack->kind != ATTACK_ALONE)
		works_elsewhere("after the attack");
	print_line(attack);
}

static bool chosen(const struct attack *attack, char **names)
{
	if (run.control && strcmp(run.control, attack->control))
		return false;
	if (!*names)
		return attack->kind == ATTACK_ORDINARY;
	for (; *names; names++)
		if (!strcmp(*names, attack->name))
			return true;
	return false;
}

/* --- the command line */

static int print_list(void)
{
	static const char *const kinds[] = { "ordinary", "alone", "leaked", "outsider" };

	FOR_EACH_ATTACK(attack)
	printf("%s\t%s\t%s\t%s\n", attack->name, kinds[attack->kind], attack->control, attack->what);
	return 0;
}

static int print_policy(void)
{
	printf("# What tests/hostile attacks: reading is allowed, and little else.\n"
	       "name: hostile\n"
	       "ops: [NOP, READ]\n"
	       "sqeFlags: [ASYNC, IO_LINK, FIXED_FILE]\n"
	       "registerOps: [REGISTER_BUFFERS, UNREGISTER_BUFFERS, REGISTER_FILES, UNREGISTER_FILES, PROBE, "
	       "ENABLE_RINGS,\n"
	       "  REGISTER_RING_FDS, UNREGISTER_RING_FDS]\n"
	       "setupFlags: [CQSIZE, CLAMP, R_DISABLED, SUBMIT_ALL, COOP_TASKRUN, TASKRUN_FLAG, SINGLE_ISSUER, "
	       "DEFER_TASKRUN,\n"
	       "  NO_SQARRAY]\n"
	       "sqEntries: %d\n"
	       "cqEntries: %d\n"
	       "ringsPerContainer: %d\n"
	       "workers:\n"
	       "  bounded: %d\n"
	       "  unbounded: %d\n"
	       "sqpoll:\n"
	       "  allowed: false\n"
	       "personalities: false\n",
	       CAP_SQ, CAP_CQ, CAP_RINGS, CAP_WORKERS, CAP_WORKERS);
	return 0;
}

static int leak(char **command)
{
	struct params params = { 0 };
	long fd = sys_setup(8, &params);
	char text[32];

	if (fd < 0) {
		fprintf(stderr, "hostile: no ring can be made here: %s\n", strerror((int)-fd));
		return 77;
	}
	fcntl((int)fd, F_SETFD, 0);
	snprintf(text, sizeof(text), "%ld", fd);
	setenv("HOSTILE_LEAKED", text, 1);
	execvp(command[0], command);
	return 127;
}

static int be_outsider(void)
{
	struct params params = { 0 };

	if (sys_setup(8, &params) < 0)
		return 77;
	printf("%d\n", getpid());
	fflush(stdout);
	for (;;)
		pause();
}

static int as_nobody(char **command)
{
	const char *text = getenv("HOSTILE_NOBODY");
	unsigned int id = text ? (unsigned int)atoi(text) : 65534;

	if (setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id)) {
		perror("hostile: nobody");
		return 126;
	}
	execvp(command[0], command);
	return 127;
}

static bool open_field(const char *name)
{
	for (int i = 0; i < OPEN_N; i++)
		if (name && !strcmp(name, open_names[i])) {
			result->open[i] = 1;
			return true;
		}
	return false;
}

/* Memory that all processes share, also behind an exec; at a number that no ring will get. */
static bool share_result(void)
{
	int fd = fcntl(RESULT_FD, F_GETFD) < 0 ? (int)syscall(SYS_memfd_create, "result", 0) : RESULT_FD;

	if (fd != RESULT_FD &&
	    (fd < 0 || ftruncate(fd, sizeof(*result)) || dup2(fd, RESULT_FD) != RESULT_FD || close(fd)))
		return false;
	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED, RESULT_FD, 0);
	return result != MAP_FAILED;
}

int main(int argc, char **argv)
{
	int i = 1;

	if (argc > 2 && !strcmp(argv[1], "--leak"))
		return leak(argv + 2);
	if (argc > 2 && !strcmp(argv[1], "--nobody"))
		return as_nobody(argv + 2);
	if (argc > 1 && !strcmp(argv[1], "--outsider"))
		return be_outsider();
	if (!share_result()) {
		perror("hostile: shared memory");
		return 3;
	}
	if (argc > 3 && !strcmp(argv[1], "--step"))
		return exec_step(atoi(argv[2]), atoi(argv[3]));
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--list"))
			return print_list();
		if (!strcmp(argv[i], "--policy"))
			return print_policy();
		if (!strcmp(argv[i], "--control") && i + 1 < argc)
			run.control = argv[++i];
		else if (!strcmp(argv[i], "--percent") && i + 1 < argc)
			run.percent = (unsigned int)atoi(argv[++i]);
		else if (strcmp(argv[i], "--open") || !open_field(argv[++i])) {
			fprintf(stderr, "hostile: what is %s? (see the head of main.c)\n", argv[i]);
			return 2;
		}
	}
	result->main = getpid();
	ring_learn();
	FOR_EACH_ATTACK(attack)
	if (chosen(attack, argv + i))
		make(attack);
	printf("1..%u\n", run.n);
	return run.failed ? 1 : 0;
}
