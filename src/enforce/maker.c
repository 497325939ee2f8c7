/* SPDX-License-Identifier: MIT */
#include "enforce/maker.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "enforce/cgroup.h"
#include "kernel/call.h"

enum { HELLO_PATIENCE_MS = 5000 };

struct hello {
	int result;
	const char *step; /* of a constant: parent and child have the same memory layout */
	struct restrictions_kernel kernel;
};

struct product {
	int result; /* ring or -errno */
	int unkept; /* POLICY_*, 0 = none */
	struct uring_params params;
};

struct maker {
	pid_t pid;
	int pidfd, socket;
	int theirs; /* its end, in the table that is ours too */
	struct maker_identity identity;
	struct restrictions_kernel kernel;
};

/* ---- in the maker ---- */

static int keep_capabilities(bool ipc_lock)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	if (ipc_lock)
		data[0].effective = data[0].permitted = 1u << CAP_IPC_LOCK;
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* The raw calls change this thread alone, which is all there is. */
static int become(const struct maker_identity *identity)
{
	if (!identity->join)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || syscall(SYS_setgroups, (size_t)identity->n_groups, identity->groups) < 0 ||
	    syscall(SYS_setresgid, identity->gid, identity->gid, identity->gid) < 0 ||
	    syscall(SYS_setresuid, identity->uid, identity->uid, identity->uid) < 0)
		return -errno;
	return keep_capabilities(identity->ipc_lock);
}

static int close_up(pid_t parent)
{
	struct rlimit none = { 0 };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

static void introduce(const struct maker_identity *identity, pid_t parent, struct hello *hello)
{
	hello->step = "to join the program's cgroup";
	hello->result = identity->join ? cgroup_join(identity->cgroup) : 0;
	if (hello->result == 0) {
		hello->step = "to become the program's user";
		hello->result = become(identity);
	}
	if (hello->result == 0) {
		hello->step = "to be out of the program's reach";
		hello->result = close_up(parent); /* after the user: that change forgets some of it */
	}
	if (hello->result == 0) {
		hello->step = "to make a restricted ring";
		hello->result = restrictions_probe(&hello->kernel);
	}
}

static int finish(int ring, const struct maker_order *order)
{
	uint32_t workers[2] = { order->workers[0], order->workers[1] };
	int r = 0;

	if (order->limit_workers)
		r = kernel_register(ring, URING_REG_IOWQ_MAX_WORKERS, workers, 2);
	if (r >= 0 && order->restricted)
		r = kernel_register(ring, URING_REG_RESTRICTIONS, order->restrictions.task.entries,
				    order->restrictions.task.n);
	if (r >= 0 && order->enable)
		r = kernel_register(ring, URING_REG_ENABLE_RINGS, NULL, 0);
	return r < 0 ? r : 0;
}

static void make(const struct maker_order *order, struct product *product)
{
	int r;

	product->params = order->params;
	product->unkept = limits_lower(&order->limits);
	product->result = product->unkept ? -EPERM : limits_take(&order->limits);
	if (product->result < 0 || order->limits_only)
		return;
	product->result = kernel_setup(order->entries, &product->params);
	if (product->result < 0)
		return;
	r = finish(product->result, order);
	if (r < 0) {
		close(product->result);
		product->result = r;
	}
}

static ssize_t transfer(bool out, int socket, void *message, size_t size)
{
	ssize_t n;

	do
		n = out ? send(socket, message, size, MSG_NOSIGNAL) : recv(socket, message, size, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

static void __attribute__((noreturn)) maker_main(int socket, const struct maker_identity *identity, pid_t parent)
{
	static struct maker_order order;
	struct hello hello = { 0 };
	struct product product;

	introduce(identity, parent, &hello);
	if (transfer(true, socket, &hello, sizeof(hello)) != sizeof(hello) || hello.result < 0)
		_exit(1);
	while (transfer(false, socket, &order, sizeof(order)) == sizeof(order)) {
		make(&order, &product);
		if (transfer(true, socket, &product, sizeof(product)) != sizeof(product))
			break;
	}
	_exit(0);
}

/* ---- in the worker ---- */

/* Its end shows on the pidfd: with one table of descriptors, nobody's end of a socket is ever the last. */
static int await(struct maker *maker, void *message, size_t size, unsigned int patience_ms)
{
	struct pollfd fds[] = { { .fd = maker->socket, .events = POLLIN }, { .fd = maker->pidfd, .events = POLLIN } };
	int r;

	do
		r = poll(fds, 2, (int)patience_ms);
	while (r < 0 && errno == EINTR);
	if (r <= 0 || !(fds[0].revents & POLLIN))
		return -EOWNERDEAD;
	return transfer(false, maker->socket, message, size) == (ssize_t)size ? 0 : -EOWNERDEAD;
}

static int start(struct maker *maker)
{
	pid_t parent = getpid();
	long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);

	if (pid < 0)
		return -errno;
	if (pid == 0)
		maker_main(maker->theirs, &maker->identity, parent);
	maker->pid = (pid_t)pid;
	maker->pidfd = kernel_pidfd_open(maker->pid, 0);
	return maker->pidfd < 0 ? maker->pidfd : 0;
}

int maker_new(const struct maker_identity *identity, struct maker **ret_maker, struct err *err)
{
	CLEANUP(cleanup_maker) struct maker *maker = calloc(1, sizeof(*maker));
	struct hello hello;
	int sockets[2], r;

	if (!maker)
		return err_set(err, -ENOMEM, "out of memory");
	*maker = (struct maker){ .pidfd = -1, .socket = -1, .theirs = -1, .identity = *identity };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return err_set(err, -errno, "the process that makes rings cannot be reached: %m");
	maker->socket = sockets[0];
	maker->theirs = sockets[1];
	r = start(maker);
	if (r == 0)
		r = await(maker, &hello, sizeof(hello), HELLO_PATIENCE_MS);
	if (r < 0)
		return err_set(err, r, "the process that makes rings cannot be started: %s", strerror(-r));
	if (hello.result < 0)
		return err_set(err, hello.result, "the process that makes rings failed %s: %s", hello.step,
			       strerror(-hello.result));
	maker->kernel = hello.kernel;
	*ret_maker = maker;
	maker = NULL;
	return 0;
}

struct maker *maker_free(struct maker *maker)
{
	if (!maker)
		return NULL;
	if (maker->pid > 0) {
		kill(maker->pid, SIGKILL);
		while (waitpid(maker->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	cleanup_fd(&maker->pidfd);
	cleanup_fd(&maker->socket);
	cleanup_fd(&maker->theirs);
	free(maker);
	return NULL;
}

bool maker_is(const struct maker *maker, const struct maker_identity *identity)
{
	return memcmp(&maker->identity, identity, sizeof(*identity)) == 0;
}

const struct restrictions_kernel *maker_kernel(const struct maker *maker)
{
	return &maker->kernel;
}

int maker_make(struct maker *maker, const struct maker_order *order, unsigned int patience_ms,
	       struct uring_params *ret_params, int *ret_ring)
{
	struct product product;
	int r;

	if (transfer(true, maker->socket, (void *)order, sizeof(*order)) != sizeof(*order))
		return -EOWNERDEAD;
	r = await(maker, &product, sizeof(product), patience_ms);
	if (r < 0)
		return r;
	if (product.unkept > 0 || product.result < 0)
		return product.unkept > 0 ? product.unkept : product.result;
	*ret_params = product.params;
	*ret_ring = product.result;
	return 0;
}

int maker_limit(struct maker *maker, const struct limits *limits, unsigned int patience_ms)
{
	const struct maker_order order = { .limits_only = true, .limits = *limits };
	struct uring_params params;
	int none;

	return maker_make(maker, &order, patience_ms, &params, &none);
}
