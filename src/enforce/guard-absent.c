/* SPDX-License-Identifier: MIT */
/* The guard of a build that had no clang, bpftool or libbpf: it says so. */
#include "enforce/guard.h"

#include <errno.h>

#include "base/err.h"

static int absent(struct err *err)
{
	return err_set(err, -EOPNOTSUPP,
		       "this Circlip was built without clang, bpftool or libbpf, and so without the guard");
}

int guard_probe(struct err *err)
{
	return absent(err);
}

int guard_load(struct guard **ret_guard, struct err *err)
{
	return absent(err);
}

int guard_find(struct guard **ret_guard, struct err *err)
{
	return absent(err);
}

int guard_get(struct guard **ret_guard, struct err *err)
{
	return absent(err);
}

struct guard *guard_free(struct guard *guard)
{
	return NULL;
}

int guard_try(struct guard *guard, struct err *err)
{
	return absent(err);
}

int guard_pin(struct guard *guard, struct err *err)
{
	return absent(err);
}

bool guard_is_pinned(const struct guard *guard)
{
	return false;
}

size_t guard_links(const struct guard *guard, int ret_fds[GUARD_LINKS])
{
	return 0;
}

int guard_remove(struct err *err)
{
	return absent(err);
}

int guard_set_rule(struct guard *guard, uint64_t cgroup, const struct guard_rule *rule, struct err *err)
{
	return absent(err);
}

int guard_remove_rule(struct guard *guard, uint64_t cgroup, struct err *err)
{
	return absent(err);
}

int guard_read(struct guard *guard, uint64_t cgroup, struct guard_rule *ret_rule, struct guard_state *ret_state,
	       struct err *err)
{
	return absent(err);
}

int guard_next(struct guard *guard, const uint64_t *cgroup, uint64_t *ret_cgroup)
{
	return absent(NULL);
}

int guard_read_about(struct guard *guard, struct guard_about *ret_about, struct err *err)
{
	return absent(err);
}
