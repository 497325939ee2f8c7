/* SPDX-License-Identifier: MIT */
/* The guard's rules and what it counted. */
#include "enforce/guard.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/err.h"
#include "enforce/guard-inner.h"

static int tell(int r, const char *what, struct err *err)
{
	return err_set(err, r, "the guard's %s: %s", what, strerror(-r));
}

/* Counters without a rule stay while pollers are charged to them; these no longer are. */
static void forget_unused(struct guard *guard)
{
	int rules = guard->maps[GUARD_MAP_RULES], states = guard->maps[GUARD_MAP_STATES];
	struct guard_state state;
	struct guard_rule rule;
	uint64_t key, next;
	int r = bpf_map_get_next_key(states, NULL, &next);

	/* The map changes meanwhile, so the walk has an end of its own. */
	for (int i = 0; r == 0 && i < 2 * GUARD_RULES_MAX; i++) {
		key = next;
		r = bpf_map_get_next_key(states, &key, &next);
		if (bpf_map_lookup_elem(rules, &key, &rule) == -ENOENT &&
		    bpf_map_lookup_elem(states, &key, &state) == 0 && !state.pollers)
			bpf_map_delete_elem(states, &key);
	}
}

/* Pollers that were there before the rule count too; a program in the kernel goes over all tasks while we read. */
static int charge_existing(struct guard *guard)
{
	CLEANUP(cleanup_fd) int link = bpf_link_create(guard->existing, 0, BPF_TRACE_ITER, NULL);
	CLEANUP(cleanup_fd) int walk = -1;
	char unused[64];
	ssize_t n;

	if (link < 0)
		return link;
	walk = bpf_iter_create(link);
	if (walk < 0)
		return walk;
	while ((n = read(walk, unused, sizeof unused)) > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		;
	return n < 0 ? -errno : 0;
}

int guard_set_rule(struct guard *guard, uint64_t cgroup, const struct guard_rule *rule, struct err *err)
{
	const struct guard_state fresh = { 0 };
	int r;

	forget_unused(guard);
	r = bpf_map_update_elem(guard->maps[GUARD_MAP_STATES], &cgroup, &fresh, BPF_NOEXIST);
	if (r < 0 && r != -EEXIST)
		return tell(r, "counters", err);
	r = bpf_map_update_elem(guard->maps[GUARD_MAP_RULES], &cgroup, rule, BPF_ANY);
	if (r == -E2BIG)
		return err_set(err, r, "there are %d rules already, and the guard holds no more", GUARD_RULES_MAX);
	if (r < 0)
		return tell(r, "rules", err);
	r = charge_existing(guard);
	return r < 0 ? tell(r, "search for threads that poll already", err) : 0;
}

int guard_remove_rule(struct guard *guard, uint64_t cgroup, struct err *err)
{
	int r = bpf_map_delete_elem(guard->maps[GUARD_MAP_RULES], &cgroup);

	if (r < 0 && r != -ENOENT)
		return tell(r, "rules", err);
	forget_unused(guard);
	return 0;
}

int guard_read(struct guard *guard, uint64_t cgroup, struct guard_rule *ret_rule, struct guard_state *ret_state,
	       struct err *err)
{
	struct guard_state state = { 0 };
	struct guard_rule rule;
	int r = bpf_map_lookup_elem(guard->maps[GUARD_MAP_RULES], &cgroup, &rule);

	if (r == -ENOENT)
		return err_set(err, r, "the guard has no such rule");
	if (r < 0)
		return tell(r, "rules", err);
	r = bpf_map_lookup_elem(guard->maps[GUARD_MAP_STATES], &cgroup, &state);
	if (r < 0 && r != -ENOENT)
		return tell(r, "counters", err);
	if (ret_rule)
		*ret_rule = rule;
	if (ret_state)
		*ret_state = state;
	return 0;
}

int guard_next(struct guard *guard, const uint64_t *cgroup, uint64_t *ret_cgroup)
{
	return bpf_map_get_next_key(guard->maps[GUARD_MAP_RULES], cgroup, ret_cgroup);
}

int guard_read_about(struct guard *guard, struct guard_about *ret_about, struct err *err)
{
	const uint32_t zero = 0;
	struct guard_about about;
	int r = bpf_map_lookup_elem(guard->maps[GUARD_MAP_ABOUT], &zero, &about);

	if (r < 0)
		return tell(r, "account of itself", err);
	*ret_about = about;
	return 0;
}
