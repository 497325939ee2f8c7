/* SPDX-License-Identifier: MIT */
/*
 * What every attack shares: the policy that is being attacked, the place where an attack leaves what it saw, and the
 * judge, who tries everything forbidden on a ring that an attack got hold of.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/* The policy under attack; `hostile --policy` prints it as circlip reads it. */
enum { RESULT_FD = 900 };

enum { CAP_SQ = 128, CAP_CQ = 256, CAP_WORKERS = 2, CAP_RINGS = 64 };

/* What a mechanism may leave open, as the caller tells: --open FIELD. The names are the policy's. */
enum open_field {
	OPEN_SQ,
	OPEN_CQ,
	OPEN_WORKERS,
	OPEN_RINGS,
	OPEN_REGISTER,
	OPEN_SETUP_FLAGS,
	OPEN_SQPOLL,
	OPEN_SQE_FLAGS,
	OPEN_N
};

/* In memory shared by all processes of the test, across exec too. */
struct result {
	_Atomic uint64_t rounds;   /* how often the attack was made */
	_Atomic uint64_t rings;    /* rings it got */
	_Atomic uint64_t refused;  /* set-ups and calls that were refused */
	_Atomic uint64_t tried;    /* forbidden operations that were tried */
	_Atomic uint64_t breaches; /* and took effect */
	_Atomic bool impossible;   /* the attack could not be made at all; `text` says why */
	_Atomic bool hung, broken; /* something allowed never came back, or was refused */
	_Atomic bool waits;        /* something was kept waiting, but could be killed */
	_Atomic bool told;         /* `text` is taken */
	char text[300];
	char trouble[100]; /* why a plain ring did not work */
	uint8_t open[OPEN_N];
	bool is_control;
	int main; /* the process that all of this descends from */
};

extern struct result *result;

void attack_breach(const char *format, ...) __attribute__((format(printf, 1, 2)));
void attack_impossible(const char *format, ...) __attribute__((format(printf, 1, 2)));
void attack_broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
void attack_waits(const char *format, ...) __attribute__((format(printf, 1, 2)));
void attack_hung(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For loops over rounds: a control has shown enough once something got through. */
bool attack_goes_on(uint32_t round, uint32_t rounds);

/* Set-up that counts: descriptor or -errno. The parameters may be anything, also no memory. */
long attack_setup(uint64_t entries, void *params);

/*
 * Everything forbidden, tried on this ring; whatever takes effect is a breach. A disabled ring is enabled first.
 * judge_all: on every ring among the descriptors, also those that a refused set-up may have left behind; they are
 * closed.
 */
void judge_ring(int fd, uint32_t flags);
void judge_answer(long fd, uint32_t flags); /* of io_uring_setup: a ring, which is closed, or an error */
void judge_use(int fd, uint32_t flags); /* as it is, without enabling it */
void judge_mapped(struct ring *ring);
void judge_all(uint32_t flags);

/* An allowed operation gives what it should; and a fresh process can do the same within the limit. */
bool works_here(void);
void works_elsewhere(const char *when);

/* Runs `body` in a process of its own (it need not return) and waits; ret_status may be NULL. False where it hung. */
bool in_child(void (*body)(void *), void *arg, int *ret_status);
bool in_child_within(int seconds, void (*body)(void *), void *arg, int *ret_status);

uint64_t random_next(void);

/* What is not to be touched from outside: the supervisor and its helpers, as far as they can be seen. */
enum { MAX_TARGETS = 64 };
int targets_find(int *ret_pids);

enum attack_kind {
	ATTACK_ORDINARY,
	ATTACK_ALONE,    /* harms the supervisor: needs a run of its own */
	ATTACK_LEAKED,   /* wants a ring that was open before */
	ATTACK_OUTSIDER, /* wants another program with a ring */
};

struct attack {
	const char *name;
	const char *what;
	const char *control; /* "bare", or the weakness of tests/hostile/naive that must let it through */
	uint32_t rounds;
	uint32_t kind;
	void (*make)(uint32_t rounds);
};

/* Tables by subject, each ended by a row without a name. */
extern const struct attack attacks_rings[], attacks_params[], attacks_calls[], attacks_births[], attacks_doors[],
	attacks_processes[], attacks_supervisor[];

/* What `hostile --step` does after exec, for the attack that execs. */
int exec_step(int step, int steps);
