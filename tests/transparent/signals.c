/* SPDX-License-Identifier: MIT */
/*
 * Signals: handlers that enter a ring of their own while the program is in another, on its own alternate stack; waits
 * that end with EINTR; waits that are left with siglongjmp; everything blocked; a mask that belongs to the wait.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "ring.h"

enum { HANDLED = 300, JUMPS = 50 };

static struct io_uring outer, inner;
static volatile sig_atomic_t n_handled;
static sigjmp_buf back;
static char own_stack[64 * 1024];
static volatile sig_atomic_t on_own_stack;

static void handler(int number)
{
	char here;

	on_own_stack += &here >= own_stack && &here < own_stack + sizeof(own_stack);
	nop(&inner, (uint64_t)n_handled);
	n_handled++;
}

static void jumper(int number)
{
	siglongjmp(back, 1);
}

static void nothing(int number)
{
}

static void set_handler(int number, void (*function)(int), int flags)
{
	struct sigaction action = { .sa_handler = function, .sa_flags = flags };

	need(sigaction(number, &action, NULL) == 0, "sigaction");
}

static void timer(long microseconds)
{
	struct itimerval value = { { 0, microseconds }, { 0, microseconds } };

	need(setitimer(ITIMER_REAL, &value, NULL) == 0, "setitimer");
}

/* A handler that enters a ring while the program enters another all the time. */
static void handlers_enter_rings(void)
{
	stack_t stack = { .ss_sp = own_stack, .ss_size = sizeof(own_stack) }, old;
	uint64_t id = 0;

	need(sigaltstack(&stack, NULL) == 0, "sigaltstack");
	set_handler(SIGALRM, handler, SA_ONSTACK);
	timer(500);
	while (n_handled < HANDLED)
		nop(&outer, id++);
	timer(0);
	need(on_own_stack == n_handled, "handlers ran on the alternate stack");
	need(sigaltstack(NULL, &old) == 0 && old.ss_sp == own_stack && old.ss_size == sizeof(own_stack),
	     "the alternate stack is the program's");
	stack.ss_flags = SS_DISABLE;
	need(sigaltstack(&stack, NULL) == 0, "sigaltstack off");
	printf("handlers entered rings\n");
}

static void waits_are_interrupted(void)
{
	struct io_uring_cqe *cqe;
	unsigned n = 0;

	set_handler(SIGALRM, nothing, 0);
	timer(2000);
	while (n < JUMPS) {
		int r = io_uring_wait_cqe(&outer, &cqe);

		need(r == -EINTR, "a wait ends with EINTR");
		n++;
	}
	timer(0);
	printf("waits were interrupted\n");
}

static void waits_are_left(void)
{
	volatile unsigned n = 0;
	struct io_uring_cqe *cqe;

	set_handler(SIGALRM, jumper, 0);
	timer(2000);
	sigsetjmp(back, 1);
	if (n++ < JUMPS)
		(void)io_uring_wait_cqe(&outer, &cqe);
	timer(0);
	nop(&outer, 77);
	need(n == JUMPS + 1, "each wait was left by a jump");
	printf("waits were left\n");
}

static void *sender(void *target)
{
	usleep(20000);
	pthread_kill(*(pthread_t *)target, SIGUSR1);
	return NULL;
}

/* All signals blocked, but one that the wait's own mask lets through. */
static void masks(void)
{
	struct __kernel_timespec limit = { 5, 0 };
	pthread_t self = pthread_self(), thread;
	struct io_uring_cqe *cqe;
	sigset_t all, but_one, old, now;

	set_handler(SIGUSR1, nothing, 0);
	sigfillset(&all);
	but_one = all;
	sigdelset(&but_one, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (uint64_t i = 0; i < 100; i++)
		nop(&outer, i);
	need(pthread_create(&thread, NULL, sender, &self) == 0, "a thread");
	need(io_uring_wait_cqes(&outer, &cqe, 1, &limit, &but_one) == -EINTR,
	     "the mask of the wait lets the signal through");
	pthread_join(thread, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	need(sigismember(&now, SIGUSR1) == 1 && sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGSYS) == 1,
	     "the mask is as it was set");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	printf("masks hold\n");
}

int main(void)
{
	need(io_uring_queue_init(8, &outer, 0) == 0 && io_uring_queue_init(8, &inner, 0) == 0, "two rings");
	handlers_enter_rings();
	waits_are_interrupted();
	waits_are_left();
	masks();
	return 0;
}
