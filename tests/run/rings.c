/* SPDX-License-Identifier: MIT */
/*
 * What the tests have run under `circlip run`: makes rings and tells on standard output, a line each, what came of it.
 *
 * usage: rings try FLAGS ENTRIES CQ-ENTRIES   a ring, operations on it, register calls on it
 *        rings enable FLAGS                   a disabled ring: register calls, enabling, operations
 *        rings hold COUNT                     so many rings, held until stdin ends
 *        rings fork | exec | threads COUNT ROUNDS
 *        rings stuck                          parameters on a page that is never served
 *        rings harm SIGNAL                    sends it to circlip's worker, then makes a ring
 *        rings take                           tries to get at circlip's descriptors and memory
 *        rings status N | signal N | daemon
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_HELD = 64, MAX_THREADS = 16, RESIZE_RINGS = 33, SEND_MSG_RING = 31 };

static char self[4096];

static void say(const char *what, long value)
{
	printf("%s %s\n", what, value < 0 ? strerrorname_np((int)-value) : "ok");
}

static int setup(struct io_uring *ring, unsigned flags, unsigned entries, unsigned cq_entries,
		 struct io_uring_params *params)
{
	*params = (struct io_uring_params){ .flags = flags, .cq_entries = cq_entries, .sq_thread_idle = 20 };
	return io_uring_queue_init_params(entries, ring, params);
}

static int run(struct io_uring *ring, struct io_uring_sqe *sqe, unsigned flags)
{
	struct io_uring_cqe *cqe;
	int r;

	sqe->flags |= flags;
	r = io_uring_submit(ring);
	r = r < 0 ? r : io_uring_wait_cqe(ring, &cqe);
	if (r < 0)
		return r;
	r = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return r;
}

static void operations(struct io_uring *ring)
{
	static char buffer[64];
	struct io_uring_sqe *sqe;
	int fd, r;

	sqe = io_uring_get_sqe(ring);
	io_uring_prep_nop(sqe);
	say("nop", run(ring, sqe, 0));
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_nop(sqe);
	say("nop-async", run(ring, sqe, IOSQE_ASYNC));
	fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_read(sqe, fd, buffer, sizeof buffer, 0);
	say("read", run(ring, sqe, 0));
	close(fd);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	r = run(ring, sqe, 0);
	say("openat", r);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_rw(IORING_OP_SOCKET, sqe, AF_UNIX, NULL, 0, SOCK_STREAM);
	say("socket", run(ring, sqe, 0));
}

static void registers(struct io_uring *ring)
{
	static char memory[PAGE];
	struct iovec vector = { memory, sizeof memory };
	struct io_uring_params resize = { .sq_entries = 8, .cq_entries = 65536, .flags = IORING_SETUP_CQSIZE };
	unsigned workers[2] = { 16, 16 };
	int fd = 0;

	say("register-buffers", io_uring_register_buffers(ring, &vector, 1));
	say("register-files", io_uring_register_files(ring, &fd, 1));
	say("personality", io_uring_register_personality(ring));
	say("workers", io_uring_register_iowq_max_workers(ring, workers));
	say("resize", syscall(__NR_io_uring_register, ring->ring_fd, RESIZE_RINGS, &resize, 1) < 0 ? -errno : 0);
	say("resize-bit31",
	    syscall(__NR_io_uring_register, ring->ring_fd, RESIZE_RINGS | 1u << 31, &resize, 1) < 0 ? -errno : 0);
	say("msg-ring", syscall(__NR_io_uring_register, -1, SEND_MSG_RING, NULL, 1) < 0 ? -errno : 0);
}

static int try(unsigned flags, unsigned entries, unsigned cq_entries)
{
	struct io_uring_params params;
	struct io_uring ring;
	int r = setup(&ring, flags, entries, cq_entries, &params);

	say("setup", r);
	if (r < 0)
		return 0;
	printf("flags %#x\nsq %u\ncq %u\n", params.flags, params.sq_entries, params.cq_entries);
	printf("cloexec %s\n", fcntl(ring.ring_fd, F_GETFD) & FD_CLOEXEC ? "ok" : "no");
	fflush(stdout);
	operations(&ring);
	registers(&ring);
	io_uring_queue_exit(&ring);
	return 0;
}

static int enable(unsigned flags)
{
	struct io_uring_params params;
	struct io_uring ring;
	int r = setup(&ring, flags | IORING_SETUP_R_DISABLED, 8, 0, &params);

	say("setup", r);
	if (r < 0)
		return 0;
	printf("flags %#x\n", params.flags);
	registers(&ring);
	say("enable",
	    syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0 ? -errno : 0);
	operations(&ring);
	return 0;
}

static int hold(unsigned count)
{
	static struct io_uring rings[MAX_HELD];
	struct io_uring_params params;
	unsigned made = 0;
	char byte;

	for (unsigned i = 0; i < count && i < MAX_HELD; i++)
		made += setup(&rings[i], 0, 4, 0, &params) == 0;
	printf("made %u\n", made);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}

static int use_after_fork(void)
{
	struct io_uring_params params;
	struct io_uring ring;
	int r = setup(&ring, 0, 8, 0, &params), status;
	pid_t pid;

	say("setup", r);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_nop(sqe);
		say("inherited", run(&ring, sqe, 0));
		fflush(stdout);
		exit(try(0, 8, 0));
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

struct worker {
	unsigned rounds, failed, escaped;
};

static void *make_rings(void *argument)
{
	struct worker *w = argument;

	for (unsigned i = 0; i < w->rounds; i++) {
		struct io_uring_params params;
		struct io_uring_sqe *sqe;
		struct io_uring ring;
		unsigned flags = i % 3 == 0 ? 0 : i % 3 == 1 ? 1u << 12 : 3u << 12;

		if (setup(&ring, flags, 8, 0, &params) < 0) {
			w->failed++;
			continue;
		}
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_nop(sqe);
		w->failed += run(&ring, sqe, 0) != 0;
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0);
		w->escaped += run(&ring, sqe, 0) != -EACCES;
		io_uring_queue_exit(&ring);
	}
	return NULL;
}

static int threads(unsigned count, unsigned rounds)
{
	static struct worker workers[MAX_THREADS];
	pthread_t ids[MAX_THREADS];
	unsigned failed = 0, escaped = 0;

	for (unsigned i = 0; i < count && i < MAX_THREADS; i++) {
		workers[i].rounds = rounds;
		pthread_create(&ids[i], NULL, make_rings, &workers[i]);
	}
	for (unsigned i = 0; i < count && i < MAX_THREADS; i++) {
		pthread_join(ids[i], NULL);
		failed += workers[i].failed;
		escaped += workers[i].escaped;
	}
	printf("failed %u\nescaped %u\n", failed, escaped);
	return 0;
}

static int stuck(void)
{
	int fd = (int)syscall(__NR_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register registered = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	registered.range.start = (uintptr_t)page;
	registered.range.len = PAGE;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &registered) < 0) {
		say("userfaultfd", -errno);
		return 0;
	}
	say("stuck", syscall(__NR_io_uring_setup, 8, page) < 0 ? -errno : 0);
	return try(0, 8, 0);
}

/* Children of our parent that are not us: circlip's worker. */
static pid_t find_worker(void)
{
	char path[64];
	FILE *file;
	int pid, found = -1;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", getppid(), getppid());
	file = fopen(path, "r");
	while (file && fscanf(file, "%d", &pid) == 1)
		if (pid != getpid())
			found = pid;
	if (file)
		fclose(file);
	return found;
}

static int harm(int signal)
{
	say("harm", kill(find_worker(), signal) < 0 ? -errno : 0);
	return try(0, 8, 0);
}

static void take_from(const char *whom, pid_t pid)
{
	char name[64], byte;
	struct iovec here = { &byte, 1 }, there = { self, 1 };
	int pidfd = (int)syscall(__NR_pidfd_open, pid, 0), got = 0;

	for (int fd = 3; fd < 64; fd++)
		got += syscall(438 /* pidfd_getfd */, pidfd, fd, 0) >= 0;
	printf("%s-descriptors %d\n", whom, got);
	snprintf(name, sizeof name, "%s-memory", whom);
	say(name, process_vm_readv(pid, &here, 1, &there, 1, 0) < 0 ? -errno : 0);
	snprintf(name, sizeof name, "%s-trace", whom);
	say(name, ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 ? -errno : 0);
}

static int take(void)
{
	char path[64];
	FILE *file;
	int pid;

	try(0, 8, 0); /* so that there is a maker */
	take_from("guardian", getppid());
	take_from("worker", find_worker());
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", find_worker(), find_worker());
	file = fopen(path, "r");
	while (file && fscanf(file, "%d", &pid) == 1)
		take_from("maker", pid);
	if (file)
		fclose(file);
	return 0;
}

static int leave_daemon(void)
{
	fflush(stdout);
	if (fork() > 0)
		_exit(3);
	setsid();
	return try(0, 8, 0);
}

static unsigned number(char **argv, int i)
{
	return argv[i] ? (unsigned)strtoul(argv[i], NULL, 0) : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	(void)!readlink("/proc/self/exe", self, sizeof self - 1);
	if (strcmp(what, "try") == 0 && argc == 5)
		return try(number(argv, 2), number(argv, 3), number(argv, 4));
	if (strcmp(what, "enable") == 0 && argc == 3)
		return enable(number(argv, 2));
	if (strcmp(what, "hold") == 0 && argc == 3)
		return hold(number(argv, 2));
	if (strcmp(what, "fork") == 0)
		return use_after_fork();
	if (strcmp(what, "exec") == 0)
		execl(self, self, "try", "0", "8", "0", NULL);
	if (strcmp(what, "threads") == 0 && argc == 4)
		return threads(number(argv, 2), number(argv, 3));
	if (strcmp(what, "stuck") == 0)
		return stuck();
	if (strcmp(what, "harm") == 0 && argc == 3)
		return harm((int)number(argv, 2));
	if (strcmp(what, "take") == 0)
		return take();
	if (strcmp(what, "status") == 0 && argc == 3)
		return (int)number(argv, 2);
	if (strcmp(what, "signal") == 0 && argc == 3)
		return raise((int)number(argv, 2));
	if (strcmp(what, "daemon") == 0)
		return leave_daemon();
	return 2;
}
