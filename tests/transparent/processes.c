/* SPDX-License-Identifier: MIT */
/*
 * Threads with small stacks that come and go, forked children, children executed with an empty environment,
 * posix_spawn, vfork: each uses a ring, and each is this program. usage: processes [leaf]
 */
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#include "ring.h"

enum { THREADS = 40, REQUESTS = 10 };

static void use_ring(void)
{
	struct io_uring ring;

	need(io_uring_queue_init(4, &ring, 0) == 0, "a ring");
	for (uint64_t i = 0; i < REQUESTS; i++)
		nop(&ring, i);
	io_uring_queue_exit(&ring);
}

static void *thread_main(void *argument)
{
	use_ring();
	return argument;
}

static void threads(void)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN + 8192);
	for (long i = 0; i < THREADS; i++) {
		pthread_t thread;
		void *result;

		need(pthread_create(&thread, i % 2 ? &attributes : NULL, thread_main, (void *)i) == 0, "a thread");
		need(pthread_join(thread, &result) == 0 && (long)result == i, "its result");
	}
	printf("threads\n");
}

static void wait_for(pid_t child, const char *what)
{
	int status = -1;

	need(child > 0 && waitpid(child, &status, 0) == child && status == 0, what);
	printf("%s\n", what);
}

static void forked(void)
{
	struct io_uring ring;
	pid_t child;

	need(io_uring_queue_init(4, &ring, 0) == 0, "a ring");
	nop(&ring, 1);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		use_ring();
		_exit(0);
	}
	nop(&ring, 2);
	wait_for(child, "fork");
	io_uring_queue_exit(&ring);
}

static void executed(char *self)
{
	char *arguments[] = { self, "leaf", NULL }, *empty[] = { NULL };
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		execve(self, arguments, empty);
		_exit(9);
	}
	wait_for(child, "exec with an empty environment");
	fflush(stdout);
	child = vfork();
	if (child == 0) {
		execv(self, arguments);
		_exit(9);
	}
	wait_for(child, "vfork and exec");
	need(posix_spawn(&child, self, NULL, NULL, arguments, empty) == 0, "posix_spawn");
	wait_for(child, "posix_spawn with an empty environment");
}

int main(int argc, char **argv)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	need(n > 0, "own path");
	self[n] = '\0';
	use_ring();
	if (argc > 1)
		return 0;
	threads();
	forked();
	executed(self);
	return 0;
}
