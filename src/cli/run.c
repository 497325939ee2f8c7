/* SPDX-License-Identifier: MIT */
/* circlip run: runs a program whose rings the kernel restricts to a policy. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/command.h"
#include "cli/run-log.h"
#include "cli/run-plan.h"
#include "enforce/act.h"
#include "enforce/plan.h"
#include "enforce/policy.h"
#include "enforce/serve.h"
#include "kernel/feature.h"

struct run_options {
	const char *policy, *log;
	unsigned int mechanism; /* 0 = the strongest */
	unsigned int format;
	bool explain, dry_run, detach;
	struct command_list require, unenforced;
};

struct run {
	const struct run_options *options;
	struct plan plan;
	struct run_log *log;
	struct act_program program;
	struct serve *serve;
	int signals;
	sigset_t mask; /* as it was */
	bool ended;    /* the program itself */
	bool leave;    /* what it left behind is left alone */
	bool nobody_left;
	int status;
};

/* ---- while it runs ---- */

static void pass_on(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signals, &info, sizeof(info)) == sizeof(info)) {
		if (run->ended && info.ssi_signo != SIGCHLD)
			run->leave = true;
		else if (info.ssi_signo != SIGCHLD &&
			 info.ssi_code <= 0) /* what a terminal sends reaches all of its foreground */
			kill(run->program.pid, (int)info.ssi_signo);
	}
}

/* What the program leaves behind becomes our child when its parents have gone. Whether any child is left. */
static bool reap(struct run *run)
{
	pid_t worker = run->serve ? serve_worker(run->serve) : -1;

	for (;;) {
		siginfo_t info = { .si_pid = 0 };
		int status;

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
			return errno != ECHILD;
		if (info.si_pid == 0 || info.si_pid == worker)
			return true;
		if (waitpid(info.si_pid, &status, 0) == run->program.pid) {
			run->ended = true;
			run->status = status;
		}
	}
}

/* The listener says when the last process that could ask has gone; without one it is the last child. */
static bool is_over(const struct run *run, bool children)
{
	if (!run->ended)
		return false;
	return run->leave || run->options->detach || run->nobody_left || (!run->serve && !children);
}

static int follow(struct run *run, struct err *err)
{
	while (!is_over(run, reap(run))) {
		struct pollfd fds[] = { { .fd = run->signals, .events = POLLIN },
					{ .fd = run->ended ? -1 : run->program.pidfd, .events = POLLIN },
					{ .fd = run->serve && !run->nobody_left ? serve_fd(run->serve) : -1,
					  .events = POLLIN } };
		int r = 0;

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return err_set(err, -errno, "cannot wait: %m");
		pass_on(run);
		if (fds[2].revents)
			r = serve_dispatch(run->serve, err);
		if (r < 0)
			return r;
		run->nobody_left |= r == SERVE_ENDED;
	}
	return 0;
}

/* ---- beginning ---- */

static int listen_to_signals(struct run *run, struct err *err)
{
	static const int heard[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(heard) / sizeof(*heard); i++)
		sigaddset(&set, heard[i]);
	if (!plan_has(&run->plan, PLAN_SERVE))
		sigaddset(&set, SIGCHLD); /* else it is the guardian's */
	sigprocmask(SIG_BLOCK, &set, &run->mask);
	run->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return run->signals < 0 ? err_set(err, -errno, "cannot hear signals: %m") : 0;
}

static int serve(struct run *run, struct err *err)
{
	const struct serve_options options = { .listener = run->program.listener,
					       .mechanism = run->plan.mechanism,
					       .policy = &run->plan.policy,
					       .root = getpid(),
					       .report = run_log_report,
					       .context = run->log };

	return plan_has(&run->plan, PLAN_SERVE) ? serve_new(&options, &run->serve, err) : 0;
}

/* An exit status for what failed before the program ran. */
static int start(struct run *run, char **words, struct err *err)
{
	int r = listen_to_signals(run, err);

	if (r == 0)
		r = run_log_new(run->options->log, run->options->format, &run->plan, &run->log, err);
	if (r == 0)
		r = act_prepare(&run->plan, words, &run->mask, &run->program, err);
	if (r == 0)
		r = serve(run, err);
	if (r < 0)
		return COMMAND_BROKEN;
	if (run->program.closed_rings)
		run_log_notice(run->log, "%d descriptors of rings were not inherited", run->program.closed_rings);
	r = act_execute(&run->program, err);
	return r == 0 ? 0 : r == -ENOENT ? COMMAND_NOT_FOUND : COMMAND_NOT_EXECUTABLE;
}

/* ---- ending ---- */

static int exit_status(const struct run *run)
{
	if (WIFSIGNALED(run->status))
		return 128 + WTERMSIG(run->status);
	return WEXITSTATUS(run->status);
}

static void finish(struct run *run)
{
	struct serve_status status;

	if (run->log && run->program.pid > 0) {
		if (run->serve)
			serve_get_status(run->serve, &status);
		run_log_summary(run->log, run->serve ? &status : NULL);
	}
	run->serve = serve_free(run->serve);
	act_done(&run->program);
	run->log = run_log_free(run->log);
	cleanup_fd(&run->signals);
	plan_done(&run->plan);
}

/* ---- what is asked of the mechanism ---- */

COMMAND_NAMES(mechanism_choice, "auto", "task", "caller", "enable", "strip");
COMMAND_NAMES(format_choice, "text", "json");

static const char *field_name(size_t i)
{
	return i < POLICY_N_FIELDS ? policy_field_name((enum policy_field)i) : NULL;
}

/* A mechanism, or anything that the kernel is asked for. */
static const char *requirement_name(size_t i)
{
	if (i < MECHANISM_N)
		return mechanism_name((enum mechanism)i);
	i -= MECHANISM_N;
	return i < KERNEL_FEATURE_LAST ? kernel_feature_name((enum kernel_feature)i) : NULL;
}

static int require_feature(const char *name, struct err *err)
{
	for (int feature = 0; feature < KERNEL_FEATURE_LAST; feature++) {
		const struct kernel_answer *answer;

		if (strcmp(kernel_feature_name((enum kernel_feature)feature), name) != 0)
			continue;
		answer = kernel_feature((enum kernel_feature)feature);
		return answer->state == KERNEL_YES ? 0
						   : err_set(err, -EOPNOTSUPP, "--require %s: %s", name,
							     *answer->why ? answer->why : "not on this kernel");
	}
	return err_set(err, -EINVAL, "--require %s: no such feature", name);
}

static int check_requirements(const struct run *run, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < run->options->require.n && r == 0; i++) {
		const char *name = run->options->require.items[i];
		int mechanism = mechanism_find(name);

		if (mechanism < 0)
			r = require_feature(name, err);
		else if ((int)run->plan.mechanism > mechanism)
			r = err_set(err, -EOPNOTSUPP, "--require %s: the strongest here is %s", name,
				    mechanism_name(run->plan.mechanism));
	}
	return r;
}

static int make_plan(struct run *run, struct err *err)
{
	struct policy policy;
	struct plan_request request = { .policy = &policy, .mechanism = (int)run->options->mechanism - 1 };
	int r = policy_find(run->options->policy, &policy, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < run->options->unenforced.n; i++)
		request.accepted[policy_field_find(run->options->unenforced.items[i])] = true;
	r = plan_make(&request, &run->plan, err);
	if (r < 0 && run->options->explain)
		run_plan_print_candidates(stderr, &run->plan);
	return r < 0 ? r : check_requirements(run, err);
}

static int run_run(void *options, char **words, size_t n_words)
{
	struct run run = { .options = options,
			   .program = { .pid = -1, .pidfd = -1, .listener = -1, .channel = -1 },
			   .signals = -1 };
	struct err err = { "" };
	int status;

	if (n_words == 0 && !run.options->dry_run)
		return command_fail("run", COMMAND_BROKEN, "which program? (circlip run --help says more)");
	if (make_plan(&run, &err) < 0) {
		plan_done(&run.plan);
		return command_fail("run", COMMAND_BROKEN, "%s", err.text);
	}
	if (run.options->dry_run || run.options->explain)
		run_plan_print(run.options->dry_run ? stdout : stderr, &run.plan, words);
	if (run.options->dry_run) {
		plan_done(&run.plan);
		return COMMAND_OK;
	}
	status = start(&run, words, &err);
	if (status == 0)
		status = follow(&run, &err) < 0 ? COMMAND_BROKEN : exit_status(&run);
	if (*err.text)
		command_fail("run", 0, "%s", err.text);
	finish(&run);
	return status;
}

#define RUN_OPTION(field) offsetof(struct run_options, field)

static const struct command_option run_rows[] = {
	{ "policy", "POLICY", "A curated profile by its name, or a file (with a '/' or a '.'). Default: default.",
	  COMMAND_FILE, RUN_OPTION(policy) },
	{ "explain", NULL,
	  "Say on standard error, before anything runs, which mechanism is used and why, what the kernel enforces and "
	  "what not.",
	  COMMAND_FLAG, RUN_OPTION(explain) },
	{ "dry-run", NULL, "Only say it, on standard output; run nothing.", COMMAND_FLAG, RUN_OPTION(dry_run) },
	{ "require", "FEATURE",
	  "Refuse to run unless the kernel has the feature, or unless this mechanism or a stronger one is used. May be "
	  "given several times.",
	  COMMAND_NAME, RUN_OPTION(require), requirement_name },
	{ "allow-unenforced", "FIELD",
	  "Accept that this field of the policy is not enforced where the mechanism cannot. May be given several "
	  "times.",
	  COMMAND_NAME, RUN_OPTION(unenforced), field_name },
	{ "mechanism", NULL, "Use this one. Default: the strongest that enforces the whole policy here.",
	  COMMAND_CHOICE, RUN_OPTION(mechanism), mechanism_choice },
	{ "format", NULL, "Of what is told of denials. Default: text.", COMMAND_CHOICE, RUN_OPTION(format),
	  format_choice },
	{ "log", "FILE", "Where to tell them. Default: standard error.", COMMAND_FILE, RUN_OPTION(log) },
	{ "detach", NULL,
	  "Do not wait for processes that the program leaves behind. They keep their rings and get no new ones.",
	  COMMAND_FLAG, RUN_OPTION(detach) },
	{ NULL },
};

static const struct run_options run_defaults = { .policy = "default" };

const struct command run_command = {
	.name = "run",
	.words = "PROG [ARGS...]",
	.summary = "Run PROG with rings that the kernel restricts to a policy.",
	.about = "The exit status is the program's own, or 128 + N when signal N killed it; 125 when circlip itself "
		 "failed or cannot enforce the policy here, 126 and 127 when PROG could not be run or found. Each kind "
		 "of denial is told once: what was denied, by which rule, and what would allow it.",
	.options = run_rows,
	.defaults = &run_defaults,
	.size = sizeof(struct run_options),
	.min_words = 0,
	.max_words = SIZE_MAX,
	.runs_program = true,
	.run = run_run,
};
