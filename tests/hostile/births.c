/* SPDX-License-Identifier: MIT */
/*
 * Attacks on the moment between a ring's birth and its restriction. Whoever makes the ring in the program, or hands it
 * over before it is restricted, or looks for it by its number, leaves an instant in which another thread of the program
 * enables it, moves it, closes it, or shows another one in its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "hostile.h"

enum { RIVALS = 2, REACH = 3, MOVED = 100 };

static _Atomic bool stop, judging;
static _Atomic int next_fd;
static int decoy;

/* Each rival goes for the numbers that the next ring will get; what it gets hold of is judged at once. */
static void enable(int fd)
{
	if (!sys_register((unsigned int)fd, REG_ENABLE_RINGS, NULL, 0))
		judge_ring(fd, 0);
}

static void swap(int fd)
{
	if (!ring_is(fd) || dup3(fd, fd + MOVED, O_CLOEXEC) < 0)
		return;
	dup3(decoy, fd, O_CLOEXEC);
	judge_ring(fd + MOVED, 0);
	close(fd + MOVED);
}

static void shut(int fd)
{
	close(fd);
}

static void *rival(void *arg)
{
	void (*const *act)(int fd) = arg;

	while (!stop) {
		for (int fd = next_fd; fd < next_fd + REACH && !judging; fd++)
			(*act)(fd);
		if (judging)
			sched_yield();
	}
	return NULL;
}

static int lowest_free(void)
{
	int fd = fcntl(RESULT_FD, F_DUPFD, 0);

	if (fd >= 0)
		close(fd);
	return fd;
}

static void one_birth(uint32_t flags)
{
	struct params params = { .flags = flags };
	long fd = attack_setup(8, &params);

	judging = true;
	if (fd >= 0 && fd < RESULT_FD) {
		judge_ring((int)fd, params.flags);
		close((int)fd);
	}
	judging = false;
}

static void against(void (*act)(int fd), uint32_t rounds)
{
	pthread_t threads[RIVALS];

	stop = judging = false;
	next_fd = lowest_free();
	for (int i = 0; i < RIVALS; i++)
		pthread_create(&threads[i], NULL, rival, &act);
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++)
		one_birth(i % 2 ? F_R_DISABLED : 0);
	stop = true;
	for (int i = 0; i < RIVALS; i++)
		pthread_join(threads[i], NULL);
	judge_all(0);
}

static void enabled_early(uint32_t rounds)
{
	against(enable, rounds);
}

static void swapped(uint32_t rounds)
{
	struct params params = { .flags = F_R_DISABLED };

	decoy = (int)attack_setup(4, &params);
	if (decoy >= 0)
		decoy = fcntl(decoy, F_DUPFD_CLOEXEC, 600);
	against(swap, rounds);
}

static void closed_early(uint32_t rounds)
{
	against(shut, rounds);
}

/* --- a ring that got away is put where the next one is to be enabled */

static _Atomic int moved = -1, kept = -1;

/* Whoever looks for the ring by its number finds the decoy; later, whoever enables one by its number the one kept. */
static void lead_astray(int fd)
{
	if (!ring_is(fd))
		return;
	if (kept >= 0) {
		dup3(kept, fd, O_CLOEXEC);
		return;
	}
	if (moved < 0 && dup3(fd, fd + MOVED, O_CLOEXEC) >= 0) {
		moved = fd + MOVED;
		dup3(decoy, fd, O_CLOEXEC);
	}
}

/* One that was moved in time cost the set-up its ring: nobody could restrict it. */
static void keep_moved(bool in_time)
{
	judge_use(moved, F_SINGLE_ISSUER);
	if (in_time)
		kept = moved;
	else
		close(moved);
	moved = -1;
}

static void one_astray(uint32_t round)
{
	struct params params = { .flags = F_SINGLE_ISSUER | (round % 4 || kept >= 0 ? 0 : F_R_DISABLED) };
	long fd = attack_setup(8, &params);

	if (fd >= 0 && params.flags & F_R_DISABLED)
		sys_register((unsigned int)fd, REG_ENABLE_RINGS, NULL, 0);
	judging = true;
	for (int at = next_fd; at < next_fd + REACH; at++)
		if (at != moved && at != kept)
			close(at);
	if (kept >= 0 && round % 8 == 0)
		judge_use(kept, F_SINGLE_ISSUER);
	if (moved >= 0)
		keep_moved(fd < 0);
	if (kept >= 0 && round % 100 == 0) {
		close(kept);
		kept = -1;
	}
	judging = false;
}

static void astray(uint32_t rounds)
{
	struct params params = { .flags = F_R_DISABLED };
	pthread_t threads[RIVALS];
	void (*act)(int fd) = lead_astray;

	decoy = (int)attack_setup(4, &params);
	if (decoy >= 0)
		decoy = fcntl(decoy, F_DUPFD_CLOEXEC, 600);
	stop = judging = false;
	next_fd = lowest_free();
	for (int i = 0; i < RIVALS; i++)
		pthread_create(&threads[i], NULL, rival, &act);
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++)
		one_astray(i);
	stop = true;
	for (int i = 0; i < RIVALS; i++)
		pthread_join(threads[i], NULL);
	judge_all(0);
}

/* --- a thread whose descriptors are not its process's */

static void *in_own_table(void *arg)
{
	uint32_t rounds = *(uint32_t *)arg;

	if (unshare(CLONE_FILES))
		return NULL;
	for (int fd = next_fd; fd < next_fd + 8; fd++)
		close(fd);
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++)
		one_birth(i % 2 ? F_R_DISABLED : 0);
	judge_all(0);
	return NULL;
}

/* The process keeps disabled rings at the numbers that the thread's rings get in the thread's own table. */
static void own_table(uint32_t rounds)
{
	pthread_t thread;

	next_fd = lowest_free();
	for (int i = 0; i < 8; i++) {
		struct params params = { .flags = F_R_DISABLED };

		attack_setup(4, &params);
	}
	if (!pthread_create(&thread, NULL, in_own_table, &rounds))
		pthread_join(thread, NULL);
	judge_all(0);
}

/* --- a thread whose process's first thread is gone */

static void *without_leader(void *arg)
{
	uint32_t rounds = *(uint32_t *)arg;

	for (uint32_t i = 0; attack_goes_on(i, rounds); i++)
		one_birth(i % 2 ? F_R_DISABLED : 0);
	judge_all(0);
	_exit(0);
}

static void leaderless(void *arg)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, without_leader, arg))
		pthread_exit(NULL);
}

static void no_leader(uint32_t rounds)
{
	static uint32_t how_often;

	how_often = rounds;
	if (!in_child(leaderless, &how_often, NULL))
		attack_hung("a process without its first thread");
}

const struct attack attacks_births[] = {
	{ "enabled-early", "other threads enable the ring as soon as it exists", "late-restrict", 2000, ATTACK_ORDINARY,
	  enabled_early },
	{ "swapped", "other threads move the ring and put another in its place", "late-restrict", 2000, ATTACK_ORDINARY,
	  swapped },
	{ "astray", "a ring that nobody could restrict is put in the place of one that is to be enabled", "bare", 2000,
	  ATTACK_ORDINARY, astray },
	{ "closed-early", "other threads close the ring's number as soon as it exists", "bare", 2000, ATTACK_ORDINARY,
	  closed_early },
	{ "own-table", "a thread with its own descriptors, decoys in the process's", "bare", 500, ATTACK_ORDINARY,
	  own_table },
	{ "no-leader", "set-ups after the process's first thread has ended", "bare", 300, ATTACK_ORDINARY, no_leader },
	{ 0 },
};
