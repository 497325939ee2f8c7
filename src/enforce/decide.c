/* SPDX-License-Identifier: MIT */
#include "enforce/decide.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "abi/decode.h"
#include "enforce/policy.h"

#define POLLER_FLAGS ((uint32_t)(URING_SETUP_SQPOLL | URING_SETUP_SQ_AFF))
#define OWN_MEMORY_FLAGS ((uint32_t)(URING_SETUP_NO_MMAP | URING_SETUP_REGISTERED_FD_ONLY))
#define ISSUER_FLAGS ((uint32_t)(URING_SETUP_SINGLE_ISSUER | URING_SETUP_DEFER_TASKRUN))

enum { DECIDE_DEFAULT_IDLE_MS = 1000 }; /* what the kernel takes for 0 */

struct question {
	const struct policy *policy;
	const struct decide_request *request;
	struct decide_verdict *verdict;
	uint32_t asked; /* flags */
};

/* ---- saying it ---- */

static void note(struct question *q, int field, const char *format, va_list args)
{
	struct decide_verdict *v = q->verdict;
	size_t length = strlen(v->what);

	if (v->field < 0 && field >= 0) {
		v->field = field;
		v->line = q->policy->lines[field];
	}
	if (length)
		length += (size_t)snprintf(v->what + length, sizeof(v->what) - length, "; ");
	if (length < sizeof(v->what))
		vsnprintf(v->what + length, sizeof(v->what) - length, format, args);
}

static void __attribute__((format(printf, 3, 4))) alter(struct question *q, int field, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(q, field, format, args);
	va_end(args);
	q->verdict->outcome = DECIDE_ALTERED;
}

static void __attribute__((format(printf, 2, 3))) remedy(struct question *q, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(q->verdict->remedy, sizeof(q->verdict->remedy), format, args);
	va_end(args);
}

/* What was altered before does not count any more. */
static bool __attribute__((format(printf, 3, 4))) deny(struct question *q, int field, const char *format, ...)
{
	va_list args;

	q->verdict->what[0] = '\0';
	q->verdict->field = -1;
	q->verdict->line = 0;
	va_start(args, format);
	note(q, field, format, args);
	va_end(args);
	q->verdict->outcome = DECIDE_DENIED;
	q->verdict->error = q->policy->answer == POLICY_ANSWER_ENOSYS ? ENOSYS : EPERM;
	return false;
}

static void set_flags(struct question *q, uint32_t add, uint32_t take)
{
	q->verdict->params.flags = (q->verdict->params.flags & ~take) | add;
	q->verdict->stripped_flags |= q->asked & take;
}

/* ---- what the policy says ---- */

/* No line of policy helps where the mechanism cannot give it either. */
static bool check_flags(struct question *q)
{
	uint32_t denied = q->asked & ~(q->policy->setup_flags | POLLER_FLAGS);
	bool vain = denied & OWN_MEMORY_FLAGS && q->request->mechanism != MECHANISM_CALLER;
	char names[128];

	if (!denied)
		return true;
	abi_decode_flags(names, sizeof(names), ABI_FLAGS_SETUP, denied);
	if (!vain)
		remedy(q, "setupFlags: add %s", names);
	return deny(q, POLICY_SETUP_FLAGS, "set-up flag %s%s%s", names, vain ? ", which could not be given by " : "",
		    vain ? mechanism_name(q->request->mechanism) : "");
}

static bool check_poller_wanted(struct question *q)
{
	if (!(q->asked & URING_SETUP_SQPOLL) || q->policy->sqpoll.allowed)
		return true;
	remedy(q, "sqpoll: { allowed: true }");
	return deny(q, POLICY_SQPOLL, "a polling thread (SQPOLL)");
}

static bool at_most(struct question *q, enum policy_field field, uint32_t there, uint32_t allowed, const char *what)
{
	if (there < allowed)
		return true;
	remedy(q, "%s: %u", policy_field_name(field), there + 1);
	return deny(q, field, "%s: %u are there, %u allowed", what, there, allowed);
}

static bool check_rings(struct question *q)
{
	const struct decide_counts *counts = &q->request->counts;

	return at_most(q, POLICY_RINGS_PER_PROCESS, counts->rings_of_process, q->policy->rings_per_process,
		       "rings of this process") &&
	       at_most(q, POLICY_RINGS_PER_CONTAINER, counts->rings_of_container, q->policy->rings_per_container,
		       "rings of all its processes");
}

static uint32_t round_up(uint32_t n)
{
	return n < 2 ? 1 : n > UINT32_C(1) << 31 ? UINT32_MAX : UINT32_C(1) << (32 - __builtin_clz(n - 1));
}

static uint32_t round_down(uint32_t n)
{
	return n == 0 ? 0 : UINT32_C(1) << (31 - __builtin_clz(n));
}

/* What the kernel makes of a size, or 0 where it refuses it. */
static uint32_t made_size(uint32_t asked, uint32_t most, bool clamp)
{
	if (asked > most)
		return clamp ? most : 0;
	return asked == 0 ? 0 : round_up(asked);
}

static uint32_t sq_size(const struct question *q)
{
	return made_size(q->verdict->entries, URING_SETUP_MAX_SQ, q->asked & URING_SETUP_CLAMP);
}

static uint32_t cq_size(const struct question *q)
{
	if (!(q->asked & URING_SETUP_CQSIZE))
		return 2 * sq_size(q);
	return made_size(q->verdict->params.cq_entries, URING_SETUP_MAX_CQ, q->asked & URING_SETUP_CLAMP);
}

/* A program that gets fewer SQ entries than it asked for without having said CLAMP would not know. */
static bool shrink_sq(struct question *q, enum policy_field field, uint32_t to, uint32_t allowed)
{
	uint32_t size = sq_size(q);

	if (to > 0 && q->asked & URING_SETUP_CLAMP) {
		q->verdict->entries = to;
		alter(q, field, "SQ entries: %u instead of %u", to, size);
		return true;
	}
	remedy(q, "%s: %u", policy_field_name(field), size);
	return deny(q, field, "%s entries: %u, %u allowed", field == POLICY_SQ_ENTRIES ? "SQ" : "CQ", size, allowed);
}

static bool check_sq(struct question *q)
{
	uint32_t allowed = q->policy->sq_entries;

	return sq_size(q) <= allowed || shrink_sq(q, POLICY_SQ_ENTRIES, round_down(allowed), allowed);
}

/* The kernel wants at least as many CQ entries as SQ entries. */
static bool check_cq(struct question *q)
{
	uint32_t allowed = q->policy->cq_entries, size = cq_size(q), most = round_down(allowed);

	if (size <= allowed)
		return true;
	if (sq_size(q) > most && !shrink_sq(q, POLICY_CQ_ENTRIES, most, allowed))
		return false;
	q->verdict->params.cq_entries = most;
	set_flags(q, URING_SETUP_CQSIZE, 0);
	alter(q, POLICY_CQ_ENTRIES, "CQ entries: %u instead of %u", most, size);
	return true;
}

/* ---- what the mechanism can do ---- */

static bool check_pollers(struct question *q)
{
	const struct decide_counts *counts = &q->request->counts;
	uint32_t allowed = q->policy->sqpoll.per_container;

	if (counts->pollers_of_container >= allowed) {
		remedy(q, "sqpoll: { perContainer: %u }", counts->pollers_of_container + 1);
		return deny(q, POLICY_SQPOLL, "polling threads: %u are there, %u allowed", counts->pollers_of_container,
			    allowed);
	}
	if (q->policy->sqpoll.per_cpu && counts->pollers_of_host >= counts->cpus) {
		remedy(q, "sqpoll: { perCpu: false }");
		return deny(q, POLICY_SQPOLL, "polling threads: %u are on this host, which has %u CPUs",
			    counts->pollers_of_host, counts->cpus);
	}
	return true;
}

static bool bound_poller(struct question *q)
{
	struct uring_params *params = &q->verdict->params;
	uint32_t idle = params->sq_thread_idle ? params->sq_thread_idle : DECIDE_DEFAULT_IDLE_MS;
	uint32_t most = q->policy->sqpoll.max_idle_ms;

	if (!check_pollers(q))
		return false;
	if (idle > most) {
		/* 0 would mean the kernel's own default. */
		params->sq_thread_idle = most ? most : 1;
		alter(q, POLICY_SQPOLL, "idle time of the polling thread: %u ms instead of %u", params->sq_thread_idle,
		      idle);
	}
	return true;
}

/*
 * A polling thread is a thread of the process that makes the ring: it would have that one's files, memory and rights.
 * To leave it out and give the ring all the same would be no kindness: who counts on a poller wakes it with
 * io_uring_enter(to_submit 0) and waits for ever (libuv does).
 */
static bool poll_or_refuse(struct question *q)
{
	if (!(q->asked & URING_SETUP_SQPOLL))
		return true;
	if (q->request->mechanism == MECHANISM_CALLER)
		return bound_poller(q);
	return deny(q, -1, "a polling thread (SQPOLL), which %s cannot give", mechanism_name(q->request->mechanism));
}

/* Without a descriptor of it nobody could restrict it; liburing heeds the flags that it gets back. */
static bool give_descriptor(struct question *q)
{
	if (!(q->asked & URING_SETUP_REGISTERED_FD_ONLY))
		return true;
	set_flags(q, 0, URING_SETUP_REGISTERED_FD_ONLY);
	alter(q, -1, "REGISTERED_FD_ONLY taken out: the ring has a descriptor");
	return true;
}

static bool refuse_own_memory(struct question *q)
{
	if (!(q->asked & OWN_MEMORY_FLAGS))
		return true;
	if (q->request->mechanism == MECHANISM_CALLER)
		return give_descriptor(q);
	deny(q, -1, "NO_MMAP: the ring is made in another process, which has not this memory");
	/* What a kernel says that does not know the flag: programs then ask without it. */
	q->verdict->error = EINVAL;
	return false;
}

/* The ring's makers are one process with one pool of workers already, and `wq_fd` means nothing there. */
static bool drop_attach(struct question *q)
{
	if (q->request->mechanism == MECHANISM_CALLER || !(q->asked & URING_SETUP_ATTACH_WQ))
		return true;
	set_flags(q, 0, URING_SETUP_ATTACH_WQ);
	q->verdict->params.wq_fd = 0;
	alter(q, -1, "ATTACH_WQ was taken out: all rings share their workers anyway");
	return true;
}

/* COOP_TASKRUN with TASKRUN_FLAG comes nearest to DEFER_TASKRUN; liburing heeds the flags that it gets back. */
static bool issue_or_strip(struct question *q)
{
	bool strip = q->request->mechanism == MECHANISM_STRIP || !q->request->can_enable;
	char names[64];

	if (!(q->asked & ISSUER_FLAGS))
		return true;
	if (!strip) {
		q->verdict->caller_enables = !q->verdict->leave_disabled && q->asked & URING_SETUP_SINGLE_ISSUER;
		return true;
	}
	abi_decode_flags(names, sizeof(names), ABI_FLAGS_SETUP, q->asked & ISSUER_FLAGS);
	set_flags(q, q->asked & URING_SETUP_DEFER_TASKRUN ? URING_SETUP_COOP_TASKRUN | URING_SETUP_TASKRUN_FLAG : 0,
		  ISSUER_FLAGS);
	alter(q, -1, "%s taken out: the ring is not enabled by the calling thread", names);
	return true;
}

typedef bool check(struct question *q);

/* The policy first: what it denies is its denial, whatever the mechanism could do. */
static check *const checks[] = {
	check_flags,       check_poller_wanted, check_rings, check_sq,       check_cq,
	refuse_own_memory, poll_or_refuse,      drop_attach, issue_or_strip,
};

void decide(const struct policy *policy, const struct decide_request *request, struct decide_verdict *ret_verdict)
{
	struct question q = { policy, request, ret_verdict, request->params->flags };

	*ret_verdict = (struct decide_verdict){
		.field = -1,
		.entries = request->entries,
		.params = *request->params,
		.leave_disabled = q.asked & URING_SETUP_R_DISABLED,
	};
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
		if (!checks[i](&q))
			return;
	set_flags(&q, URING_SETUP_R_DISABLED, 0);
	ret_verdict->hidden_flags =
		ret_verdict->params.flags & ~q.asked & (URING_SETUP_R_DISABLED | URING_SETUP_CQSIZE);
}

bool decide_needs_counts(const struct policy *policy)
{
	return policy->rings_per_process != POLICY_NO_LIMIT || policy->rings_per_container != POLICY_NO_LIMIT ||
	       (policy->sqpoll.allowed && policy->sqpoll.per_container != POLICY_NO_LIMIT);
}

bool decide_needs_host_counts(const struct policy *policy, uint32_t flags)
{
	return flags & URING_SETUP_SQPOLL && policy->sqpoll.allowed && policy->sqpoll.per_cpu;
}
