/* SPDX-License-Identifier: MIT */
/*
 * Makes rings as it is told, for the guests' scripts. Each word is done in turn, and a line says what came of it.
 *
 *   WORD[,WORD...]  a ring: flags by name (sqpoll, sq_aff, disabled, attach=RING), sq=N, cq=N, idle=MS, cpu=N; "plain"
 *                   is none
 *   close=RING      rings are numbered from 0, refused ones too
 *   alone           waits until this process has no polling thread left
 *   hold            says "held" and waits to be killed
 *   race=ROUNDS     makes disabled rings with a CQ of 64 while another thread takes R_DISABLED away and asks for 8192;
 *                   says how many came enabled or large, and counts these as refused to it: status 1
 *   spoil=ROUNDS    asks for harmless rings that fail late (their parameters cannot be written back), for what may
 *                   remain of them
 *   storm=ROUNDS    eight threads do both by turns: ask for what fails late, then for an enabled ring; says how many of
 *                   these came
 *   keep=ROUNDS     eight threads ask for pollers and keep what they get; says how many that is
 *
 * The status is 0 when every ring was made, 1 when one was refused, 2 when it was not understood.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/uring.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#endif

enum { RINGS_MAX = 64 };

static int rings[RINGS_MAX], n_rings;

static const struct {
	const char *name;
	uint32_t flag;
} flags[] = {
	{ "sqpoll", URING_SETUP_SQPOLL },    { "sq_aff", URING_SETUP_SQ_AFF }, { "disabled", URING_SETUP_R_DISABLED },
	{ "attach", URING_SETUP_ATTACH_WQ }, { "cq", URING_SETUP_CQSIZE },     { "clamp", URING_SETUP_CLAMP },
	{ "iopoll", URING_SETUP_IOPOLL },
};

static int understand(char *text, struct uring_params *params, unsigned int *entries)
{
	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		char *value = strchr(word, '=');
		bool known = strcmp(word, "plain") == 0;
		unsigned int number = 0;

		if (value) {
			*value++ = '\0';
			number = (unsigned int)atoi(value);
		}
		for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
			if (strcmp(word, flags[i].name) == 0)
				params->flags |= flags[i].flag, known = true;
		if (strcmp(word, "attach") == 0)
			params->wq_fd = (uint32_t)(number < (unsigned int)n_rings ? rings[number] : -1);
		else if (strcmp(word, "cq") == 0)
			params->cq_entries = number;
		else if (strcmp(word, "sq") == 0)
			*entries = number, known = true;
		else if (strcmp(word, "idle") == 0)
			params->sq_thread_idle = number, known = true;
		else if (strcmp(word, "cpu") == 0)
			params->sq_thread_cpu = number, known = true;
		if (!known)
			return -EINVAL;
	}
	return 0;
}

static int make(char *text)
{
	struct uring_params params = { 0 };
	unsigned int entries = 8;
	int fd;

	if (n_rings == RINGS_MAX || understand(text, &params, &entries) < 0)
		return 2;
	fd = (int)syscall(SYS_io_uring_setup, entries, &params);
	rings[n_rings] = fd;
	if (fd < 0)
		printf("%d %s\n", n_rings, strerrorname_np(errno));
	else
		printf("%d ok sq=%u cq=%u\n", n_rings, params.sq_entries, params.cq_entries);
	n_rings++;
	return fd < 0;
}

static int close_ring(const char *number)
{
	int i = atoi(number);

	return i < n_rings && close(rings[i]) == 0 ? 0 : 2;
}

/* All threads but us are pollers here. */
static bool is_alone(void)
{
	DIR *folder = opendir("/proc/self/task");
	int n = 0;

	for (struct dirent *entry; folder && (entry = readdir(folder));)
		n += entry->d_name[0] != '.';
	if (folder)
		closedir(folder);
	return n == 1;
}

static int wait_alone(const char *unused)
{
	while (!is_alone())
		sched_yield();
	puts("alone");
	return 0;
}

/* The parent does nothing more but to wait. */
static int fork_child(const char *unused)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		return 0;
	if (child < 0 || waitpid(child, &status, 0) < 0)
		exit(2);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

static int hold(const char *unused)
{
	puts("held");
	fflush(stdout);
	while (pause() < 0)
		;
	return 0;
}

static _Atomic bool is_over;

static void *flip(void *context)
{
	volatile struct uring_params *params = context;

	while (!is_over) {
		params->flags = URING_SETUP_CQSIZE;
		params->cq_entries = 8192;
		params->flags = URING_SETUP_CQSIZE | URING_SETUP_R_DISABLED;
		params->cq_entries = 64;
	}
	return NULL;
}

/* A disabled ring answers EBADFD to whoever enters it. */
static bool is_enabled(int fd)
{
	return syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0) >= 0 || errno != EBADFD;
}

/* The kernel's word for it; the parameters are the other thread's. */
static bool is_large(int fd)
{
	char path[64], line[128];
	unsigned int mask = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "CqMask: %x", &mask) == 1)
			break;
	if (file)
		fclose(file);
	return mask >= 64;
}

static int race(const char *rounds)
{
	static struct uring_params params;
	int made = 0, enabled = 0, large = 0, refused = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, flip, &params))
		return 2;
	for (int i = 0; i < atoi(rounds); i++) {
		int fd = (int)syscall(SYS_io_uring_setup, 8, &params);

		refused += fd < 0 && errno == EPERM;
		if (fd < 0)
			continue;
		made++;
		enabled += is_enabled(fd);
		large += is_large(fd);
		close(fd);
	}
	is_over = true;
	pthread_join(thread, NULL);
	printf("made %d, enabled %d, large %d, refused %d\n", made, enabled, large, refused);
	return enabled || large;
}

/* Harmless parameters in a page that the kernel cannot write back to. */
static struct uring_params *read_only(void)
{
	struct uring_params *params = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (params == MAP_FAILED)
		return NULL;
	params->flags = URING_SETUP_R_DISABLED;
	return mprotect(params, 4096, PROT_READ) == 0 ? params : NULL;
}

static int spoil(const char *rounds)
{
	struct uring_params *params = read_only();
	int failed = 0;

	for (int i = 0; params && i < atoi(rounds); i++)
		failed += syscall(SYS_io_uring_setup, 8, params) < 0 && errno == EFAULT;
	printf("failed %d\n", failed);
	return params ? 0 : 2;
}

enum { THREADS = 8 };

static int rounds_each;
static _Atomic int n_made;

static void *storm_thread(void *context)
{
	struct uring_params *harmless = read_only();

	for (int i = 0; harmless && i < rounds_each; i++) {
		struct uring_params params = { 0 };
		int fd;

		syscall(SYS_io_uring_setup, 8, harmless);
		fd = (int)syscall(SYS_io_uring_setup, 8, &params);
		n_made += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static void *keep_thread(void *context)
{
	for (int i = 0; i < rounds_each; i++) {
		struct uring_params params = { .flags = URING_SETUP_SQPOLL, .sq_thread_idle = 1 };

		n_made += syscall(SYS_io_uring_setup, 8, &params) >= 0;
	}
	return NULL;
}

static int in_threads(void *(*run)(void *), const char *rounds)
{
	pthread_t threads[THREADS];

	rounds_each = atoi(rounds);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, run, NULL))
			return 2;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("made %d\n", n_made);
	return 0;
}

static int storm(const char *rounds)
{
	return in_threads(storm_thread, rounds);
}

static int keep(const char *rounds)
{
	return in_threads(keep_thread, rounds);
}

static const struct {
	const char *name;
	int (*run)(const char *value);
} verbs[] = {
	{ "close", close_ring }, { "fork", fork_child }, { "alone", wait_alone }, { "hold", hold },
	{ "race", race },        { "spoil", spoil },     { "storm", storm },      { "keep", keep },
};

static int run(char *word)
{
	size_t length = strcspn(word, "=");

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strlen(verbs[i].name) == length && strncmp(word, verbs[i].name, length) == 0)
			return verbs[i].run(word[length] ? word + length + 1 : "");
	return make(word);
}

int main(int argc, char **argv)
{
	int status = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc && status != 2; i++) {
		int r = run(argv[i]);

		status = r > status ? r : status;
	}
	return status;
}
