/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * The guard: rules for rings, kept by the kernel, that no program can get around by being quick.
 *
 * Making a ring passes these places, all in the thread that asks:
 *
 *   security_capable()         asked for CAP_IPC_LOCK: what is known of an earlier ring of this thread is forgotten
 *   io_sq_offload_create()     with the parameters as the kernel copied and rounded them: noted
 *   security_task_alloc()      within that, when a poller is really made: charged, or refused when the budget is used
 * up. With ATTACH_WQ one usually is not made, and only here that shows, because the descriptor it names may be swapped
 * for another while the kernel looks at it security_inode_init_security_anon()  when the ring gets its file and before
 * there is a descriptor: judged. A refusal takes the whole ring down again, its poller too
 *
 * A poller is given back when its thread exits. Nothing here runs per request.
 *
 * io_sq_offload_create() is no interface of the kernel but one of its functions. Where it is missing the guard does not
 * load. A program on it can also be passed over: while the same one is preempted on the same CPU, the kernel does not
 * run it again. Programs on security hooks never are. So the first place makes sure that a ring which came by unseen is
 * unknown, and not taken for the one before; and for the same reason what is known lies in a map whose look-up cannot
 * fail, not in the task's storage, which may be busy. Whoever is under a rule gets no ring of unknown parameters.
 */
#include "bpf/kernel.h"
/* after the kernel's types */
#include "abi/uring.h"
#include "bpf/guard.h"

char guard_license[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_RULES_MAX);
	__type(key, uint64_t);
	__type(value, struct guard_rule);
} guard_rules SEC(".maps");

/* Made before the rule of the same key and kept as long as a poller is charged to it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * GUARD_RULES_MAX);
	__type(key, uint64_t);
	__type(value, struct guard_state);
} guard_states SEC(".maps");

/* By the address of the poller's task. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_POLLERS_MAX);
	__type(key, uint64_t);
	__type(value, struct guard_poller);
} guard_pollers SEC(".maps");

/* By the address of the task that asks; those of threads that never finished or are gone are replaced first. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GUARD_SETUPS_MAX);
	__type(key, uint64_t);
	__type(value, struct guard_setup);
} guard_setups SEC(".maps");

/* How many are bound to each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GUARD_CPUS_MAX);
	__type(key, uint32_t);
	__type(value, uint64_t);
} guard_pinned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct guard_about);
} guard_about SEC(".maps");

/* The keys of the rules that may apply to who runs: the host's, then from the root of the cgroups down. 0 ends them. */
static __always_inline bool key_of(uint32_t i, uint64_t *ret_key)
{
	*ret_key = i ? bpf_get_current_ancestor_cgroup_id(i - 1) : GUARD_HOST;
	return !i || *ret_key;
}

#define FOR_EACH_KEY(key) for (uint32_t at_ = 0; at_ <= GUARD_DEPTH && key_of(at_, &key); at_++)

static __always_inline void count(uint64_t key, enum guard_reason reason)
{
	struct guard_state *state = bpf_map_lookup_elem(&guard_states, &key);

	if (state && reason < GUARD_REASONS)
		__sync_fetch_and_add(&state->counts[reason], 1);
}

static __always_inline struct guard_setup *setup_get(void)
{
	uint64_t task = bpf_get_current_task();

	return bpf_map_lookup_elem(&guard_setups, &task);
}

static __always_inline struct guard_about *about_get(void)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(&guard_about, &zero);
}

/* ---- the parameters ---- */

SEC("lsm/capable")
int BPF_PROG(guard_begin, const struct cred *cred, struct user_namespace *ns, int capability)
{
	struct guard_setup *setup;

	if (capability != KERNEL_CAP_IPC_LOCK)
		return 0;
	setup = setup_get();
	if (setup)
		setup->is_known = setup->is_offload = false;
	return 0;
}

static __always_inline void note(const struct io_uring_params *params, bool is_offload)
{
	uint64_t task = bpf_get_current_task();
	struct guard_setup setup = {
		.flags = params->flags,
		.sq_entries = params->sq_entries,
		.cq_entries = params->cq_entries,
		.cpu = params->sq_thread_cpu,
		.idle = params->sq_thread_idle,
		.is_known = true,
		.is_offload = is_offload,
	};

	bpf_map_update_elem(&guard_setups, &task, &setup, BPF_ANY);
}

SEC("fentry/io_sq_offload_create")
int BPF_PROG(guard_enter, struct io_ring_ctx *ring, struct io_uring_params *params)
{
	struct guard_about *about = about_get();

	if (about)
		__sync_fetch_and_add(&about->setups, 1);
	note(params, true);
	return 0;
}

/* A second chance, in case the first was passed over; but for a ring with a poller, which by now was made uncharged. */
SEC("fexit/io_sq_offload_create")
int BPF_PROG(guard_leave, struct io_ring_ctx *ring, struct io_uring_params *params, int result)
{
	struct guard_setup *setup = setup_get();

	if (setup && setup->is_known)
		setup->is_offload = false;
	else if (!(params->flags & URING_SETUP_SQPOLL))
		note(params, false);
	return 0;
}

/* ---- pollers ---- */

static __always_inline void give_back(const struct guard_poller *poller)
{
	uint32_t cpu = (uint32_t)poller->cpu;
	uint64_t *pinned = poller->cpu >= 0 ? bpf_map_lookup_elem(&guard_pinned, &cpu) : NULL;

	for (uint32_t i = 0; i < GUARD_CHARGES_MAX && i < poller->n; i++) {
		uint64_t key = poller->rules[i];
		struct guard_state *state = bpf_map_lookup_elem(&guard_states, &key);

		if (state)
			__sync_fetch_and_add(&state->pollers, -1);
	}
	if (pinned)
		__sync_fetch_and_add(pinned, -1);
}

/* False = the rule allows no more. What fetch_and_add tells is a place of one's own: two cannot both take the last. */
static __always_inline bool charge(struct guard_poller *poller, const struct guard_rule *rule, uint64_t key)
{
	struct guard_state *state = bpf_map_lookup_elem(&guard_states, &key);
	uint32_t n = poller->n;

	if (!state || n >= GUARD_CHARGES_MAX)
		return false;
	poller->rules[n] = key;
	poller->n = n + 1;
	return __sync_fetch_and_add(&state->pollers, 1) < rule->sqpoll_max || rule->sqpoll_max == GUARD_UNLIMITED;
}

static __always_inline bool pin(struct guard_poller *poller, const struct guard_setup *setup)
{
	uint64_t key = GUARD_HOST, *pinned;
	struct guard_rule *rule = bpf_map_lookup_elem(&guard_rules, &key);
	uint32_t cpu = setup->cpu, max = rule ? rule->pinned_max : GUARD_UNLIMITED;

	if (!(setup->flags & URING_SETUP_SQ_AFF))
		return true;
	pinned = bpf_map_lookup_elem(&guard_pinned, &cpu);
	if (!pinned)
		return max == GUARD_UNLIMITED;
	poller->cpu = (int32_t)cpu;
	return __sync_fetch_and_add(pinned, 1) < max || max == GUARD_UNLIMITED;
}

SEC("lsm/task_alloc")
int BPF_PROG(guard_thread, struct task_struct *task, unsigned long clone_flags)
{
	struct guard_poller poller = { .cpu = -1 };
	enum guard_reason reason = GUARD_ALLOWED;
	uint64_t key, refusing = GUARD_HOST, thread = (uint64_t)task;
	struct guard_setup *setup;

	if (!(task->flags & KERNEL_PF_IO_WORKER))
		return 0;
	setup = setup_get();
	if (!setup || !setup->is_offload)
		return 0; /* a worker, not a poller */
	FOR_EACH_KEY(key)
	{
		struct guard_rule *rule = bpf_map_lookup_elem(&guard_rules, &key);

		if (!rule || charge(&poller, rule, key))
			continue;
		refusing = key;
		reason = GUARD_BY_SQPOLL;
		break;
	}
	if (!reason && !pin(&poller, setup))
		reason = GUARD_BY_PINNED;
	if (!poller.n && poller.cpu < 0)
		return 0;
	if (!reason && bpf_map_update_elem(&guard_pollers, &thread, &poller, BPF_ANY) < 0) {
		refusing = poller.rules[0];
		reason = GUARD_BY_SQPOLL;
	}
	if (!reason)
		return 0;
	give_back(&poller);
	count(refusing, reason);
	return -KERNEL_EPERM;
}

static __always_inline int leave(uint64_t thread)
{
	struct guard_poller *found = bpf_map_lookup_elem(&guard_pollers, &thread), poller;

	if (!found)
		return 0;
	poller = *found;
	/* Exit and the last reference's end may both come here; one of them removes it. */
	if (bpf_map_delete_elem(&guard_pollers, &thread) == 0)
		give_back(&poller);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(guard_exit, struct task_struct *task)
{
	return task->flags & KERNEL_PF_IO_WORKER ? leave((uint64_t)task) : 0;
}

/* For those that were never started, and for an exit that was passed over. */
SEC("lsm/task_free")
int BPF_PROG(guard_free, struct task_struct *task)
{
	return leave((uint64_t)task);
}

/* ---- pollers that were there before a rule ---- */

static __always_inline bool is_charged(const struct guard_poller *poller, uint64_t key)
{
	for (uint32_t i = 0; i < GUARD_CHARGES_MAX && i < poller->n; i++)
		if (poller->rules[i] == key)
			return true;
	return false;
}

static __always_inline void charge_late(struct guard_poller *poller, uint64_t key)
{
	struct guard_rule *rule = bpf_map_lookup_elem(&guard_rules, &key);

	if (rule && !is_charged(poller, key))
		(void)charge(poller, rule, key);
}

/* Pollers are what io-wq's workers are not; their names can be changed by the program. */
static __always_inline bool is_poller(const struct task_struct *task)
{
	return (task->flags & (KERNEL_PF_IO_WORKER | KERNEL_PF_EXITING)) == KERNEL_PF_IO_WORKER &&
	       !task->worker_private;
}

/*
 * Run by whoever sets a rule, over all tasks. A poller may end meanwhile: its record is taken out, so that nobody else
 * gives it back, and what is put back here is found by guard_free at the latest, because the iterator holds the task.
 */
SEC("iter/task")
int guard_existing(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct guard_poller poller = { .cpu = -1 }, *found;
	struct cgroup_subsys_state *above;
	uint64_t thread = (uint64_t)task;
	struct cgroup *cgroup;

	if (!task || !is_poller(task))
		return 0;
	found = bpf_map_lookup_elem(&guard_pollers, &thread);
	if (found) {
		poller = *found;
		if (bpf_map_delete_elem(&guard_pollers, &thread) < 0)
			return 0;
	}
	charge_late(&poller, GUARD_HOST);
	cgroup = task->cgroups->dfl_cgrp;
	for (int i = 0; cgroup && i <= GUARD_DEPTH; i++) {
		charge_late(&poller, cgroup->kn->id);
		above = cgroup->self.parent;
		cgroup = above ? above->cgroup : NULL;
	}
	if (bpf_map_update_elem(&guard_pollers, &thread, &poller, BPF_NOEXIST) < 0)
		give_back(&poller);
	return 0;
}

/* ---- the verdict ---- */

static __always_inline enum guard_reason judge(const struct guard_rule *rule, const struct guard_setup *setup)
{
	if (rule->demands & GUARD_NO_RINGS)
		return GUARD_BY_RINGS;
	if (!setup->is_known)
		return GUARD_BY_UNKNOWN;
	if (rule->demands & GUARD_DISABLED && !(setup->flags & URING_SETUP_R_DISABLED))
		return GUARD_BY_ENABLED;
	if (setup->flags & ~rule->setup_flags)
		return GUARD_BY_FLAGS;
	if (setup->sq_entries > rule->sq_max)
		return GUARD_BY_SQ;
	if (setup->cq_entries > rule->cq_max)
		return GUARD_BY_CQ;
	if (setup->flags & URING_SETUP_SQPOLL && !rule->sqpoll_max)
		return GUARD_BY_SQPOLL;
	/* 0 asks for the kernel's own choice, which is a second. */
	if (setup->flags & URING_SETUP_SQPOLL && (setup->idle ? setup->idle : 1000) > rule->idle_max)
		return GUARD_BY_IDLE;
	return GUARD_ALLOWED;
}

static __always_inline bool is_ring(const struct qstr *name)
{
	static const char ring[] = "[io_uring]";
	char text[sizeof ring] = "";

	if (bpf_probe_read_kernel_str(text, sizeof text, name->name) != sizeof ring)
		return false;
	for (uint32_t i = 0; i < sizeof ring; i++)
		if (text[i] != ring[i])
			return false;
	return true;
}

SEC("lsm/inode_init_security_anon")
int BPF_PROG(guard_file, struct inode *inode, const struct qstr *name, const struct inode *context)
{
	struct guard_about *about = about_get();
	struct guard_setup *setup, asked = { 0 };
	uint64_t key;

	if (!is_ring(name))
		return 0;
	setup = setup_get();
	if (setup) {
		asked = *setup;
		setup->is_known = setup->is_offload = false;
	}
	if (about) {
		__sync_fetch_and_add(&about->files, 1);
		__sync_fetch_and_add(&about->unknown, !asked.is_known);
	}
	FOR_EACH_KEY(key)
	{
		struct guard_rule *rule = bpf_map_lookup_elem(&guard_rules, &key);
		enum guard_reason reason = rule ? judge(rule, &asked) : GUARD_ALLOWED;

		if (rule)
			count(key, reason);
		if (reason)
			return -KERNEL_EPERM;
	}
	return 0;
}

/* Since Linux 6.15: earlier, before any memory was spent. */
SEC("?lsm/uring_allowed")
int BPF_PROG(guard_allowed)
{
	uint64_t key;

	FOR_EACH_KEY(key)
	{
		struct guard_rule *rule = bpf_map_lookup_elem(&guard_rules, &key);

		if (!rule || !(rule->demands & GUARD_NO_RINGS))
			continue;
		count(key, GUARD_BY_RINGS);
		return -KERNEL_EPERM;
	}
	return 0;
}
