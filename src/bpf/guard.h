/* SPDX-License-Identifier: MIT */
/*
 * What the guard's programs in the kernel and the tools outside agree on: the values in its maps.
 *
 * The guard judges every ring between its creation and the moment when somebody gets a descriptor for it, by the
 * kernel's own copy of the parameters, so nothing that another thread writes meanwhile can matter. Rules are keyed by
 * the id of a cgroup (v2); a process is subject to those of its own cgroup and of all above it, and to the one of the
 * whole host, whose key is 0. Each of them must be content.
 */
#pragma once

#include <stdint.h>

enum {
	GUARD_VERSION = 1, /* of all below; a guard of another version is replaced */
	GUARD_HOST = 0,    /* the key of the rule for everybody */
	GUARD_DEPTH = 32,  /* a ruled cgroup must not lie deeper below the root */
	GUARD_RULES_MAX = 1024,
	GUARD_POLLERS_MAX = 4096, /* counted on the whole host; one more is refused to whoever is under a rule */
	GUARD_SETUPS_MAX = 16384, /* remembered at one time */
	GUARD_CPUS_MAX = 1024,    /* one bound to a CPU beyond is refused where pinned_max says something */
	/* Rules that one poller counts against; whoever is under more gets no poller. */
	GUARD_CHARGES_MAX = 8,
};

#define GUARD_UNLIMITED UINT32_MAX

enum guard_demand {
	GUARD_DISABLED = 1u << 0, /* a ring must be made with R_DISABLED: a supervisor restricts and enables it */
	GUARD_NO_RINGS = 1u << 1,
};

struct guard_rule {
	uint32_t demands;        /* enum guard_demand */
	uint32_t setup_flags;    /* mask of those allowed; UINT32_MAX = all */
	uint32_t sq_max, cq_max; /* entries; GUARD_UNLIMITED */
	uint32_t sqpoll_max;     /* kernel threads polling at one time; 0 = none, GUARD_UNLIMITED */
	uint32_t pinned_max;     /* of them bound to the same CPU (SQ_AFF); the host's rule alone; GUARD_UNLIMITED */
	uint32_t idle_max;       /* milliseconds that one may spin without work (sq_thread_idle); GUARD_UNLIMITED */
	uint32_t reserved;
};

/* Forbids nothing. */
#define GUARD_RULE_OPEN                                                                                                \
	{                                                                                                              \
		0, UINT32_MAX, GUARD_UNLIMITED, GUARD_UNLIMITED, GUARD_UNLIMITED, GUARD_UNLIMITED, GUARD_UNLIMITED, 0  \
	}

enum guard_reason {
	GUARD_ALLOWED,
	GUARD_BY_RINGS,   /* no rings at all */
	GUARD_BY_ENABLED, /* not made with R_DISABLED */
	GUARD_BY_FLAGS,   /* a set-up flag that is not allowed */
	GUARD_BY_SQ,      /* too many SQ entries */
	GUARD_BY_CQ,      /* too many CQ entries */
	GUARD_BY_SQPOLL,  /* no poller left in the budget */
	GUARD_BY_PINNED,  /* too many pollers on that CPU */
	GUARD_BY_IDLE,    /* the poller would spin for too long */
	GUARD_BY_UNKNOWN, /* its parameters were not seen, so it could not be judged */
	GUARD_REASONS,
};

/* What was counted under one rule since it was set. */
struct guard_state {
	uint32_t pollers; /* living */
	uint32_t reserved;
	uint64_t counts[GUARD_REASONS]; /* rings refused, by reason; [GUARD_ALLOWED]: those let through */
};

/* A living poller. */
struct guard_poller {
	uint32_t n;  /* of `rules` */
	int32_t cpu; /* that it is bound to; -1 = none */
	uint64_t rules[GUARD_CHARGES_MAX];
};

/* What a thread that is making a ring asked for. */
struct guard_setup {
	uint32_t flags, sq_entries, cq_entries, cpu, idle;
	uint32_t is_known;   /* the above is of the ring in the making */
	uint32_t is_offload; /* within the call that makes pollers */
	uint32_t reserved;
};

/* The guard about itself. */
struct guard_about {
	uint32_t version;
	uint32_t reserved;
	uint64_t setups;  /* seen on their way in */
	uint64_t files;   /* seen on their way out */
	uint64_t unknown; /* of those, whose parameters were not seen */
};
