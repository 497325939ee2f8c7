/* SPDX-License-Identifier: MIT */
/*
 * Frees a buffer that a read in flight will be written to, in one of several situations, and ends in one of several
 * ways. usage: guilty plain|thread|fork|daemon|exec exit|_exit|segv|sigkill|abort|hang
 */
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void misuse(void)
{
	static struct io_uring ring; /* stays: only the buffer goes */
	char *buffer = malloc(3000);
	struct io_uring_sqe *sqe;
	int ends[2];

	if (!buffer || pipe(ends) < 0 || io_uring_queue_init(8, &ring, 0) < 0)
		exit(3);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, ends[0], buffer, 3000, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring); /* submitted here */
	free(buffer);           /* released here */
}

static void *thread_main(void *nothing)
{
	misuse();
	return nothing;
}

static void in_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_main, NULL))
		exit(3);
	pthread_join(thread, NULL);
}

static void in_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		misuse();
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

/* The first process ends at once; what it leaves behind misuses afterwards. */
static void in_daemon(void)
{
	pid_t middle;

	if (fork() > 0)
		_exit(0);
	setsid();
	middle = getpid();
	if (fork() > 0)
		_exit(0);
	while (getppid() == middle)
		usleep(1000);
	misuse();
	_exit(0);
}

static void end(const char *how)
{
	if (!strcmp(how, "_exit"))
		_exit(5);
	if (!strcmp(how, "segv"))
		*(volatile char *)8 = 1;
	if (!strcmp(how, "sigkill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "hang"))
		for (;;)
			pause();
	exit(5);
}

int main(int argc, char **argv)
{
	const char *where = argc > 1 ? argv[1] : "plain", *how = argc > 2 ? argv[2] : "exit";
	char *const again[] = { argv[0], "plain", (char *)how, NULL };

	if (!strcmp(where, "plain"))
		misuse();
	else if (!strcmp(where, "thread"))
		in_thread();
	else if (!strcmp(where, "fork"))
		in_child();
	else if (!strcmp(where, "daemon"))
		in_daemon();
	else if (!strcmp(where, "exec"))
		execv("/proc/self/exe", again);
	end(how);
}
