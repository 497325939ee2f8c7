/* SPDX-License-Identifier: MIT */
/*
 * Runs a program the way a host might hold it down: under ACTION [FURTHER ACTIONS] -- PROG ARGS...; with "-" as PROG it
 * stays, says "ready" and ends when its standard input does. eperm enosys eacces kill    a filter that answers so to
 * io_uring's three calls setup-eperm                 only to io_uring_setup native-only                 EPERM to the
 * native calls, so that a 32-bit one gets through polling-eperm               EPERM when the second argument of
 * io_uring_setup is NULL: a filter that looks at arguments harmless                    a filter that says nothing of
 * io_uring thread-eperm                a second thread with such a filter, the first has none memlock nobody, with one
 * page to lock ring                        a ring is open
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <liburing.h>

enum { SETUP = 425, REGISTER = 427, NOBODY = 65534, PAGE = 4096 };

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define RET(value) BPF_STMT(BPF_RET | BPF_K, value)

static int install(struct sock_filter *code, unsigned short n)
{
	const struct sock_fprog program = { n, code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int filter(unsigned int first, unsigned int last, unsigned int action)
{
	struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0),
		RET(action),
		RET(SECCOMP_RET_ALLOW),
	};

	return install(code, sizeof(code) / sizeof(*code));
}

static int native_only(void)
{
	struct sock_filter code[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RET(SECCOMP_RET_ALLOW),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SETUP, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, REGISTER, 1, 0),
		RET(SECCOMP_RET_ERRNO | EPERM),
		RET(SECCOMP_RET_ALLOW),
	};

	return install(code, sizeof(code) / sizeof(*code));
}

static int by_argument(void)
{
	struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SETUP, 0, 2),
		LOAD(args[1]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		RET(SECCOMP_RET_ALLOW),
		RET(SECCOMP_RET_ERRNO | EPERM),
	};

	return install(code, sizeof(code) / sizeof(*code));
}

static int supervised(void)
{
	struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SETUP, 0, 1),
		RET(SECCOMP_RET_USER_NOTIF),
		RET(SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) < 0;
}

static pthread_barrier_t filtered;

static void *filtered_thread(void *argument)
{
	filter(SETUP, REGISTER, SECCOMP_RET_ERRNO | EPERM);
	pthread_barrier_wait(&filtered);
	for (;;)
		pause();
	return NULL;
}

static int other_thread(void)
{
	pthread_t thread;

	if (pthread_barrier_init(&filtered, NULL, 2) || pthread_create(&thread, NULL, filtered_thread, NULL))
		return -1;
	pthread_barrier_wait(&filtered);
	return 0;
}

static int little_memory(void)
{
	const struct rlimit page = { PAGE, PAGE };

	return setrlimit(RLIMIT_MEMLOCK, &page) || setgid(NOBODY) || setuid(NOBODY);
}

static int open_ring(void)
{
	static struct io_uring ring;

	errno = -io_uring_queue_init(4, &ring, IORING_SETUP_SQPOLL);
	return errno;
}

static int act(const char *action)
{
	static const struct {
		const char *name;
		unsigned int first, last, action;
	} filters[] = {
		{ "eperm", SETUP, REGISTER, SECCOMP_RET_ERRNO | EPERM },
		{ "enosys", SETUP, REGISTER, SECCOMP_RET_ERRNO | ENOSYS },
		{ "eacces", SETUP, REGISTER, SECCOMP_RET_ERRNO | EACCES },
		{ "kill", SETUP, REGISTER, SECCOMP_RET_KILL_PROCESS },
		{ "setup-eperm", SETUP, SETUP, SECCOMP_RET_ERRNO | EPERM },
		{ "enter-eperm", SETUP + 1, REGISTER, SECCOMP_RET_ERRNO | EPERM },
		{ "harmless", SYS_kexec_load, SYS_kexec_load, SECCOMP_RET_ERRNO | EPERM },
	};
	static const struct {
		const char *name;
		int (*function)(void);
	} others[] = {
		{ "native-only", native_only }, { "supervised", supervised },     { "polling-eperm", by_argument },
		{ "memlock", little_memory },   { "thread-eperm", other_thread }, { "ring", open_ring },
	};

	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		if (strcmp(action, filters[i].name) == 0)
			return filter(filters[i].first, filters[i].last, filters[i].action);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strcmp(action, others[i].name) == 0)
			return others[i].function();
	errno = EINVAL;
	return -1;
}

int main(int argc, char **argv)
{
	char byte;
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (act(argv[i]) != 0) {
			fprintf(stderr, "under: %s: %s\n", argv[i], strerror(errno));
			return 77;
		}
	if (i + 1 >= argc)
		return 2;
	if (strcmp(argv[i + 1], "-") != 0) {
		execvp(argv[i + 1], argv + i + 1);
		return 127;
	}
	puts("ready");
	fflush(stdout);
	return read(0, &byte, 1) < 0;
}
