/* SPDX-License-Identifier: MIT */
/*
 * circlip with its guard taken away: it says that it is there, and forbids nothing. So `caller` can be tried where BPF
 * programs cannot be loaded; and attacks get through there that the guard must hold (tests/hostile/run).
 */
#include "enforce/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

struct guard {
	int nothing;
};

int guard_load(struct guard **ret_guard, struct err *err)
{
	*ret_guard = calloc(1, sizeof(struct guard));
	return *ret_guard ? 0 : -ENOMEM;
}

int guard_get(struct guard **ret_guard, struct err *err)
{
	return guard_load(ret_guard, err);
}

struct guard *guard_free(struct guard *guard)
{
	free(guard);
	return NULL;
}

int guard_set_rule(struct guard *guard, uint64_t cgroup, const struct guard_rule *rule, struct err *err)
{
	return 0;
}

int guard_remove_rule(struct guard *guard, uint64_t cgroup, struct err *err)
{
	return 0;
}

/* Something to keep. */
size_t guard_links(const struct guard *guard, int ret_fds[GUARD_LINKS])
{
	static int link = -1;

	if (link < 0)
		link = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ret_fds[0] = link;
	return link >= 0;
}

/* ---- the rest, of which only circlip host and doctor make use ---- */

int guard_probe(struct err *err)
{
	return -EOPNOTSUPP;
}

int guard_find(struct guard **ret_guard, struct err *err)
{
	return -ENOENT;
}

int guard_try(struct guard *guard, struct err *err)
{
	return -EOPNOTSUPP;
}

int guard_pin(struct guard *guard, struct err *err)
{
	return -EOPNOTSUPP;
}

bool guard_is_pinned(const struct guard *guard)
{
	return false;
}

int guard_remove(struct err *err)
{
	return -ENOENT;
}

int guard_read(struct guard *guard, uint64_t cgroup, struct guard_rule *ret_rule, struct guard_state *ret_state,
	       struct err *err)
{
	return -ENOENT;
}

int guard_next(struct guard *guard, const uint64_t *cgroup, uint64_t *ret_cgroup)
{
	return -ENOENT;
}

int guard_read_about(struct guard *guard, struct guard_about *ret_about, struct err *err)
{
	return -EOPNOTSUPP;
}
