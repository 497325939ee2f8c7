/* SPDX-License-Identifier: MIT */
#include "enforce/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "enforce/cgroup.h"
#include "enforce/guard-policy.h"
#include "enforce/guard.h"
#include "enforce/restrictions.h"
#include "kernel/feature.h"

/* ---- which mechanism ---- */

/* What each needs of the kernel; -1 ends a row. */
static const int needs[MECHANISM_N][8] = {
	[MECHANISM_TASK] = { KERNEL_SECCOMP_FILTER, KERNEL_TASK_RESTRICTIONS, KERNEL_TASK_RESTRICTIONS_EXEC, -1 },
	[MECHANISM_CALLER] = { KERNEL_SECCOMP_NOTIFY, KERNEL_SECCOMP_ADDFD, KERNEL_PROCESS_VM_READ,
			       KERNEL_RING_RESTRICTIONS, KERNEL_PIDFD_GETFD, KERNEL_PTRACE_CHILD, KERNEL_CGROUP2, -1 },
	[MECHANISM_ENABLE] = { KERNEL_SECCOMP_NOTIFY, KERNEL_SECCOMP_ADDFD, KERNEL_PROCESS_VM_READ,
			       KERNEL_RING_RESTRICTIONS, KERNEL_PTRACE_CHILD, -1 },
	[MECHANISM_STRIP] = { KERNEL_SECCOMP_NOTIFY, KERNEL_SECCOMP_ADDFD, KERNEL_PROCESS_VM_READ,
			      KERNEL_RING_RESTRICTIONS, -1 },
};

static bool __attribute__((format(printf, 2, 3))) reject(struct plan_candidate *candidate, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(candidate->why_not, sizeof(candidate->why_not), format, args);
	va_end(args);
	return false;
}

/* Its rules are for cgroups; the program is to have one of its own. */
static int try_cgroup(struct err *err)
{
	char name[32], folder[1024];
	int r;

	snprintf(name, sizeof(name), "circlip-try-%d", (int)getpid());
	r = cgroup_make(name, folder, sizeof(folder));
	if (r == 0)
		r = cgroup_remove(folder, 0);
	return r < 0 ? err_set(err, r, "no cgroup can be made for the program: %s", strerror(-r)) : 0;
}

/* Whoever asked knows why not. */
static bool get_guard(struct plan *plan, struct err *err)
{
	return plan->guard || (try_cgroup(err) == 0 && guard_get(&plan->guard, err) == 0);
}

static bool is_possible(struct plan *plan, struct plan_candidate *candidate)
{
	struct err err;

	for (const int *need = needs[candidate->mechanism]; *need >= 0; need++) {
		const struct kernel_answer *answer = kernel_feature((enum kernel_feature) * need);

		if (answer->state != KERNEL_YES)
			return reject(candidate, "%s: %s", kernel_feature_name((enum kernel_feature) * need),
				      *answer->why ? answer->why : "not on this kernel");
	}
	if (candidate->mechanism == MECHANISM_CALLER && !get_guard(plan, &err))
		return reject(candidate, "it needs the BPF guard: %s", err.text);
	return true;
}

static bool is_guarded(const struct plan *plan)
{
	return plan->guard;
}

/* Under TASK the guard is alone with what it keeps; under CALLER a supervisor counts what it cannot. */
static bool is_kept(const struct plan *plan, enum mechanism mechanism, enum policy_field field)
{
	const struct policy *policy = &plan->policy;

	if (!policy_restricts(policy, field) || mechanism_force(mechanism, false, field, NULL) != MECHANISM_NOTHING)
		return true;
	return is_guarded(plan) && mechanism_force(mechanism, true, field, NULL) != MECHANISM_NOTHING &&
	       guard_policy_keeps(policy, false, field);
}

/* The names of fields that it would not keep, but for those in `accepted`. */
static size_t name_unkept(const struct plan *plan, enum mechanism mechanism, const bool *accepted, char *names,
			  size_t size)
{
	size_t length = 0;

	for (int field = 0; field < POLICY_N_FIELDS && length < size; field++)
		if (!is_kept(plan, mechanism, field) && !(accepted && accepted[field]))
			length += (size_t)snprintf(names + length, size - length, "%s%s", length ? ", " : "",
						   policy_field_name(field));
	return length;
}

/* TASK can do without the guard, and keeps more with it. */
static bool keeps_policy(const struct plan_request *request, struct plan *plan, struct plan_candidate *candidate)
{
	enum mechanism mechanism = candidate->mechanism;
	char names[PLAN_TEXT_BYTES - 128] = "";
	struct err err = { "" };

	if (mechanism == MECHANISM_TASK && name_unkept(plan, mechanism, NULL, names, sizeof(names)))
		(void)get_guard(plan, &err);
	if (!name_unkept(plan, mechanism, request->accepted, names, sizeof(names)))
		return true;
	return reject(candidate, "it does not enforce %s%s%s", names,
		      *err.text ? "; with the BPF guard it would: " : "", err.text);
}

static void drop_guard(struct plan *plan)
{
	plan->guard = guard_free(plan->guard);
}

static int choose(const struct plan_request *request, struct plan *plan, struct err *err)
{
	const struct plan_candidate *possible = NULL;

	for (int m = 0; m < MECHANISM_N; m++) {
		struct plan_candidate *candidate = &plan->candidates[plan->n_candidates];

		if (request->mechanism >= 0 && m != request->mechanism)
			continue;
		plan->n_candidates++;
		candidate->mechanism = m;
		if (!is_possible(plan, candidate))
			continue;
		if (keeps_policy(request, plan, candidate)) {
			plan->mechanism = m;
			if (m != MECHANISM_TASK && m != MECHANISM_CALLER)
				drop_guard(plan);
			return 0;
		}
		possible = possible ? possible : candidate;
	}
	if (possible)
		return err_set(err, -EPERM, "%s could be used, but %s; --allow-unenforced FIELD accepts that by name",
			       mechanism_name(possible->mechanism), possible->why_not);
	possible = &plan->candidates[plan->n_candidates - 1];
	return err_set(err, -EOPNOTSUPP, "io_uring cannot be restricted here (%s: %s)",
		       mechanism_name(possible->mechanism), possible->why_not);
}

/* ---- which steps ---- */

static void __attribute__((format(printf, 3, 4))) step(struct plan *plan, enum plan_kind kind, const char *format, ...)
{
	struct plan_step *to = &plan->steps[plan->n_steps++];
	va_list args;

	to->kind = kind;
	va_start(args, format);
	vsnprintf(to->text, sizeof(to->text), format, args);
	va_end(args);
}

static bool serves(const struct plan *plan)
{
	return plan->mechanism != MECHANISM_TASK;
}

static void plan_program(struct plan *plan)
{
	if (plan->guard)
		step(plan, PLAN_JOIN, "the program moves into that cgroup");
	step(plan, PLAN_DIE_WITH,
	     "the program is killed when circlip ends (PR_SET_PDEATHSIG), unless it has changed its user");
	step(plan, PLAN_CLOSE_RINGS, "descriptors of rings that it would inherit are closed");
	if (geteuid() == 0)
		step(plan, PLAN_DROP_TRACE,
		     "CAP_SYS_PTRACE is taken from it, with which it could take rings from others");
	if (plan->files_limit != POLICY_NO_LIMIT)
		step(plan, PLAN_FILES_LIMIT, "it may have %u descriptors (RLIMIT_NOFILE)", plan->files_limit);
	if (plan->lock_limit != UINT64_MAX)
		step(plan, PLAN_LOCK_LIMIT, "it may lock %llu bytes (RLIMIT_MEMLOCK)",
		     (unsigned long long)plan->lock_limit);
	step(plan, PLAN_NO_NEW_PRIVS, "it and its children gain no privileges by execution (PR_SET_NO_NEW_PRIVS)");
	if (plan->mechanism != MECHANISM_TASK)
		return;
	step(plan, PLAN_TASK_RESTRICT, "its task is restricted, and all that it starts (IORING_REGISTER_RESTRICTIONS)");
	if (policy_restricts(&plan->policy, POLICY_SOCKET_FAMILIES))
		step(plan, PLAN_TASK_FAMILIES, "its task gets a filter for SOCKET (IORING_REGISTER_BPF_FILTER)");
}

static const char *rule_text(const struct plan *plan, char *text, size_t size)
{
	struct guard_rule rule;

	plan_guard_rule(plan, &rule);
	guard_rule_text(&rule, text, size);
	return text;
}

static const char *seccomp_text(const struct plan *plan)
{
	return plan->mechanism == MECHANISM_CALLER ? "circlip answers io_uring_setup and ENABLE_RINGS, "
	       : serves(plan)                      ? "circlip answers io_uring_setup, "
						   : "";
}

static void plan_steps(struct plan *plan)
{
	char text[PLAN_TEXT_BYTES - 128];
	static const char *const how[MECHANISM_N] = {
		[MECHANISM_CALLER] = "its rings are made disabled by the thread that asks, restricted, then enabled",
		[MECHANISM_ENABLE] = "its rings are made and restricted by a helper of its user and cgroup; the thread "
				     "that asks enables those with SINGLE_ISSUER",
		[MECHANISM_STRIP] = "its rings are made, restricted and enabled by a helper of its user and cgroup",
	};

	step(plan, PLAN_HIDE, "circlip makes itself invisible to tracing by programs of the same user");
	if (plan->guard)
		step(plan, PLAN_GUARD, "the BPF guard gets a rule for a cgroup made for the program: %s",
		     rule_text(plan, text, sizeof(text)));
	plan_program(plan);
	step(plan, PLAN_SECCOMP,
	     "a seccomp filter of %u instructions: %sdenied register calls fail with EACCES, "
	     "io_uring by int 0x80 and x32 is refused",
	     plan->filter.length, seccomp_text(plan));
	if (serves(plan))
		step(plan, PLAN_SERVE, "%s", how[plan->mechanism]);
	step(plan, PLAN_EXECUTE, "the program is executed");
}

enum mechanism_force plan_force(const struct plan *plan, enum policy_field field, const char **ret_how)
{
	return mechanism_force(plan->mechanism, is_guarded(plan) && guard_policy_keeps(&plan->policy, false, field),
			       field, ret_how);
}

void plan_guard_rule(const struct plan *plan, struct guard_rule *ret_rule)
{
	if (plan->mechanism == MECHANISM_CALLER)
		guard_policy_supervised(&plan->policy, ret_rule);
	else
		guard_policy_rule(&plan->policy, false, ret_rule);
}

int plan_make(const struct plan_request *request, struct plan *ret_plan, struct err *err)
{
	static const enum filter_setup setups[MECHANISM_N] = {
		[MECHANISM_TASK] = FILTER_SETUP_ALLOW,
		[MECHANISM_CALLER] = FILTER_SETUP_CALLER,
		[MECHANISM_ENABLE] = FILTER_SETUP_NOTIFY,
		[MECHANISM_STRIP] = FILTER_SETUP_NOTIFY,
	};
	struct plan *plan = ret_plan;
	int r;

	memset(plan, 0, sizeof(*plan));
	plan->policy = *request->policy;
	r = choose(request, plan, err);
	if (r < 0)
		return r;
	for (int field = 0; field < POLICY_N_FIELDS; field++)
		plan->unenforced[field] = !is_kept(plan, plan->mechanism, field);
	plan->wait_killable = kernel_has(KERNEL_SECCOMP_WAIT_KILLABLE);
	plan->lock_limit = plan->unenforced[POLICY_BUFFER_BYTES] ? UINT64_MAX : plan->policy.buffer_bytes;
	plan->files_limit = plan->unenforced[POLICY_REGISTERED_FILES] ? POLICY_NO_LIMIT : plan->policy.registered_files;
	r = filter_build(&plan->policy, setups[plan->mechanism], &plan->filter, err);
	if (r == 0)
		plan_steps(plan);
	return r;
}

void plan_done(struct plan *plan)
{
	drop_guard(plan);
	filter_done(&plan->filter);
}

bool plan_has(const struct plan *plan, enum plan_kind kind)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].kind == kind)
			return true;
	return false;
}

/* ---- what remains ---- */

static bool always(const struct plan *plan)
{
	return true;
}

static bool is_same_user(const struct plan *plan)
{
	return geteuid() != 0;
}

static bool is_root(const struct plan *plan)
{
	return geteuid() == 0;
}

static bool counts(const struct plan *plan)
{
	return policy_restricts(&plan->policy, POLICY_RINGS_PER_PROCESS) ||
	       policy_restricts(&plan->policy, POLICY_RINGS_PER_CONTAINER);
}

static bool limits_cq(const struct plan *plan)
{
	return policy_restricts(&plan->policy, POLICY_CQ_ENTRIES);
}

static bool refuses_pollers(const struct plan *plan)
{
	return plan->policy.sqpoll.allowed &&
	       (plan->mechanism == MECHANISM_ENABLE || plan->mechanism == MECHANISM_STRIP);
}

static bool takes_callers(const struct plan *plan)
{
	return plan->mechanism == MECHANISM_CALLER;
}

static bool has_cgroup(const struct plan *plan)
{
	return plan->guard && geteuid() == 0;
}

static bool shares_makers(const struct plan *plan)
{
	return serves(plan) && plan->mechanism != MECHANISM_CALLER &&
	       restrictions_register_ops(&plan->policy) >> URING_REG_CLONE_BUFFERS & 1;
}

static const struct remainder {
	bool (*holds)(const struct plan *plan);
	const char *text;
} remainders[] = {
	{ always,
	  "An operation that is denied inside a ring completes with -EACCES. The kernel tells the program and nobody "
	  "else, so such denials are in no log." },
	{ is_same_user,
	  "The program runs as your user: it can trace your other programs and take rings from them or have "
	  "them make some, unless the kernel forbids it (kernel.yama.ptrace_scope), and it can stop or kill "
	  "circlip, which delays or refuses its own set-ups." },
	{ is_root,
	  "The program begins as root. Against a hostile program that stays root that is no boundary: its other "
	  "capabilities can undo this. Give it a user of its own; even then it can trace that user's other programs "
	  "and take rings from them, unless the kernel forbids it (kernel.yama.ptrace_scope)." },
	{ serves, "A program that stops both processes of circlip waits in io_uring_setup until they go on; it can be "
		  "killed." },
	{ counts,
	  "Rings are counted when one is set up. One of which only a registered descriptor is left is not seen." },
	{ limits_cq,
	  "The size of a completion queue bounds no memory: what overflows is kept by the kernel and charged to "
	  "the program's cgroup." },
	{ refuses_pollers,
	  "The other way round: the policy allows SQPOLL, and it is refused all the same, because the polling "
	  "thread would be the helper's." },
	{ takes_callers,
	  "A program that keeps circlip from answering in the middle of a set-up (with memory that is never "
	  "served) is killed. A thread that is traced already gets its ring as under strip." },
	{ has_cgroup,
	  "The guard's rule holds for the program's cgroup. Whoever may write to other cgroups, as root may, "
	  "leaves it behind." },
	{ shares_makers, "Two processes of the program that have each other's ring may copy registered buffers "
			 "(CLONE_BUFFERS), which the kernel otherwise refuses between processes." },
};

const char *plan_remains(const struct plan *plan, size_t i)
{
	for (size_t row = 0; row < sizeof(remainders) / sizeof(*remainders); row++)
		if (remainders[row].holds(plan) && i-- == 0)
			return remainders[row].text;
	return NULL;
}
