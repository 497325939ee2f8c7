/* SPDX-License-Identifier: MIT */
/*
 * The guard in the kernel (bpf/guard.h, bpf/guard.bpf.c): loading it, leaving it there, giving it rules, reading what
 * it counted. Needs CAP_BPF and CAP_PERFMON, which root has; where the build lacked clang, bpftool or libbpf,
 * guard-absent.c answers that.
 *
 * A guard that was loaded lives as long as its handle, or, once pinned, until guard_remove(). Programs that a
 * supervisor starts should use the pinned one when there is one: guard_get().
 *
 * Whatever goes wrong is -errno with a text that says what, and what would help. Then nothing is loaded or changed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "bpf/guard.h"

struct err;
struct guard;

enum { GUARD_PATH_MAX = 1024, GUARD_TEXT_MAX = 512, GUARD_LINKS = 16 };

#define GUARD_PINS "/sys/fs/bpf/circlip"

/* Loads, attaches, tries it with a ring of its own, and lets go again. 0 = it works here. */
int guard_probe(struct err *err);

/* A new one, tried; or the pinned one, -ENOENT (with a text) when there is none. */
int guard_load(struct guard **ret_guard, struct err *err);
int guard_find(struct guard **ret_guard, struct err *err);
/* The pinned one, else a new one. */
int guard_get(struct guard **ret_guard, struct err *err);
struct guard *guard_free(struct guard *guard);
CLEANUP_DEFINE(guard, struct guard, guard_free);

/* From here on it outlives us. -EEXIST when there is one already. */
int guard_pin(struct guard *guard, struct err *err);
/* Shows it some rings of our own. 0 = it saw them, or refused them. */
int guard_try(struct guard *guard, struct err *err);
bool guard_is_pinned(const struct guard *guard);
/* What holds one that we loaded, in whatever process: descriptors that stay the guard's. How many; 0 of a pinned one.
 */
size_t guard_links(const struct guard *guard, int ret_fds[GUARD_LINKS]);
/* Takes the pinned one away, rules and all. -ENOENT when there was none. */
int guard_remove(struct err *err);

/*
 * The rule of a cgroup (GUARD_HOST: of everybody) from the next ring on; one that was there is replaced, its counters
 * go on. Pollers that are there already stay, and count (but not by the CPU that they are bound to).
 */
int guard_set_rule(struct guard *guard, uint64_t cgroup, const struct guard_rule *rule, struct err *err);
/* 0 also when there is none. */
int guard_remove_rule(struct guard *guard, uint64_t cgroup, struct err *err);
/* Both out-parameters may be NULL. -ENOENT when there is no rule. */
int guard_read(struct guard *guard, uint64_t cgroup, struct guard_rule *ret_rule, struct guard_state *ret_state,
	       struct err *err);
/* Walks the cgroups that have rules: NULL before the first; -ENOENT behind the last. */
int guard_next(struct guard *guard, const uint64_t *cgroup, uint64_t *ret_cgroup);
int guard_read_about(struct guard *guard, struct guard_about *ret_about, struct err *err);

/* ---- guard-names.c: needs no guard ---- */

/* The id of a cgroup by the path of its folder (cgroup v2); refused when it lies too deep for the guard. */
int guard_cgroup(const char *path, uint64_t *ret_cgroup, struct err *err);
/* The same of the cgroup that a process is in. */
int guard_cgroup_of(int pid, uint64_t *ret_cgroup, struct err *err);
/* Where it is, in the mount that we see; -ESTALE when it is gone. Needs CAP_DAC_READ_SEARCH. */
int guard_cgroup_path(uint64_t cgroup, char *buf, size_t size);
/* "SQPOLL: at most 2 threads; CQ: at most 4096 entries" */
void guard_rule_text(const struct guard_rule *rule, char *buf, size_t size);
/* "more SQ entries than the rule allows": why a ring was refused. NULL when there is no such reason. */
const char *guard_reason_text(unsigned int reason);
/* "cq", "sqpoll", "flags": the same in one word, for JSON and metrics. */
const char *guard_reason_name(unsigned int reason);
