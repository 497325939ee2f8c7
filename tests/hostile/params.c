/* SPDX-License-Identifier: MIT */
/*
 * Attacks on the parameters of io_uring_setup while somebody reads, checks and copies them: they change, vanish, or
 * never come.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hostile.h"

enum { PAGE = 4096, FLIPPERS = 3 };

static _Atomic bool stop;
static struct params *volatile shared;

/* --- changing them */

static void *flip(void *arg)
{
	static const uint32_t flags[] = { 0,
					  F_R_DISABLED,
					  F_SQPOLL,
					  F_CQSIZE,
					  F_CQSIZE | F_CLAMP,
					  F_R_DISABLED | F_CQSIZE,
					  F_SINGLE_ISSUER,
					  F_SINGLE_ISSUER | F_DEFER_TASKRUN | F_R_DISABLED,
					  F_ATTACH_WQ };
	static const uint32_t sizes[] = { 16, 65536, 64, 16384 };
	uint64_t n = (uintptr_t)arg;

	while (!stop) {
		shared->flags = flags[n % (sizeof(flags) / sizeof(flags[0]))];
		shared->cq_entries = sizes[n / 3 % 4];
		shared->resv[n % 3] = n % 64 == 0;
		shared->resv[n % 3] = 0;
		n++;
	}
	return NULL;
}

static void with_threads(void *(*body)(void *), uint32_t rounds, void (*once)(uint32_t round))
{
	pthread_t threads[FLIPPERS];

	stop = false;
	for (uintptr_t i = 0; i < FLIPPERS; i++)
		pthread_create(&threads[i], NULL, body, (void *)i);
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++)
		once(i);
	stop = true;
	for (int i = 0; i < FLIPPERS; i++)
		pthread_join(threads[i], NULL);
}

static void setup_shared(uint32_t round)
{
	long fd = attack_setup(4u << round % 4, shared);

	if (fd < 0)
		return;
	judge_ring((int)fd, 0);
	close((int)fd);
}

static void race(uint32_t rounds)
{
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	with_threads(flip, rounds, setup_shared);
	judge_all(0);
}

/* --- taking the memory away */

static void map_at(void *where, int protection)
{
	mmap(where, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void *remap(void *arg)
{
	void *where = shared;
	struct params wild = { .flags = F_CQSIZE, .cq_entries = 65536 };
	(void)arg;

	while (!stop) {
		map_at(where, PROT_READ | PROT_WRITE);
		syscall(SYS_process_vm_writev, getpid(), &(struct iovec){ &wild, sizeof(wild) }, 1,
			&(struct iovec){ where, sizeof(wild) }, 1, 0);
		mprotect(where, PAGE, random_next() % 2 ? PROT_NONE : PROT_READ);
		map_at(where, PROT_READ | PROT_WRITE);
		map_at(where, PROT_NONE); /* not unmapped: a ring of ours would land in the hole */
	}
	map_at(where, PROT_READ | PROT_WRITE);
	return NULL;
}

static void unmapped(uint32_t rounds)
{
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	with_threads(remap, rounds, setup_shared);
	judge_all(0);
}

/* --- memory that is none */

static void bad_memory(uint32_t rounds)
{
	char *area = mmap(NULL, 3ul * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t odd[] = { 0,
			   8,
			   UINT64_MAX,
			   UINT64_MAX - 119,
			   0x7ffffffff000,
			   0x7fffffffefc0,
			   0x800000000000,
			   0xffff888000000000,
			   (uintptr_t)area,
			   (uintptr_t)area + PAGE - 60,
			   (uintptr_t)area + 2ul * PAGE - 120,
			   (uintptr_t)area + 2ul * PAGE - 119,
			   (uintptr_t)area + PAGE + 1 };

	mprotect(area, PAGE, PROT_READ);
	munmap(area + 2ul * PAGE, PAGE);
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		long fd;

		memset(area + PAGE, 0, PAGE);
		fd = attack_setup(i % 37, (void *)odd[i % (sizeof(odd) / sizeof(odd[0]))]);
		if (fd >= 0)
			judge_ring((int)fd, 0);
		judge_all(0);
	}
}

/* --- memory that never comes */

static void *setup_thread(void *arg)
{
	long fd = attack_setup(8, arg);

	if (fd >= 0) {
		judge_ring((int)fd, 0);
		close((int)fd);
	}
	return NULL;
}

/* With a privilege by the system call, or for who may open the device; else only faults of user mode can be caught. */
static int fault_descriptor(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), device;

	if (fd >= 0)
		return fd;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device >= 0)
		fd = ioctl(device, _IO(0xAA, 0), O_CLOEXEC | O_NONBLOCK);
	if (device >= 0)
		close(device);
	return fd;
}

static int fault_page(void **ret_page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = fault_descriptor();
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	range.range.start = (uintptr_t)page;
	range.range.len = PAGE;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))
		return -1;
	*ret_page = page;
	return fd;
}

/* True once somebody, the kernel or a supervisor, waits for the page. */
static bool somebody_waits(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, 20000) == 1;
}

/*
 * One thread asks with parameters on a page that is not served; meanwhile everybody else must be answered. Then the
 * page comes late, or never and the process dies.
 */
static void never_served(void *arg)
{
	bool late = *(bool *)arg;
	pthread_t thread;
	void *page;
	int fd = fault_page(&page);

	if (fd < 0) {
		attack_impossible(
			"userfaultfd for the kernel's own accesses: %s (a privilege, or vm.unprivileged_userfaultfd)",
			strerror(errno));
		return;
	}
	pthread_create(&thread, NULL, setup_thread, page);
	if (!somebody_waits(fd))
		return;
	for (int i = 0; i < 5; i++)
		works_elsewhere("while another waits for a page");
	if (late) {
		char zero[PAGE] __attribute__((aligned(4096))) = { 0 };
		struct uffdio_copy copy = { .dst = (uintptr_t)page, .src = (uintptr_t)zero, .len = PAGE };

		ioctl(fd, UFFDIO_COPY, &copy);
		pthread_join(thread, NULL);
	}
}

static void faults(uint32_t rounds)
{
	for (uint32_t i = 0; attack_goes_on(i, rounds); i++) {
		bool late = i % 2;

		if (!in_child(never_served, &late, NULL))
			attack_hung("a process whose parameters are %s", late ? "served late" : "never served");
		works_elsewhere("after a page that never came");
	}
}

const struct attack attacks_params[] = {
	{ "params-race", "threads rewrite flags, sizes and reserved fields during set-up", "toctou", 3000,
	  ATTACK_ORDINARY, race },
	{ "params-unmapped", "the parameters' page is replaced, protected, taken away during set-up", "toctou", 2000,
	  ATTACK_ORDINARY, unmapped },
	{ "params-nowhere", "parameters at addresses that are none, or end early", "bare", 1000, ATTACK_ORDINARY,
	  bad_memory },
	{ "params-never-come", "parameters on a page of userfaultfd that is served late or never", "plain", 2,
	  ATTACK_ORDINARY, faults },
	{ 0 },
};
