/* SPDX-License-Identifier: MIT */
/*
 * What the agent's processes give up.
 *
 * A worker must read and stop programs of other users, become them to make rings on their account, and put a process
 * into their cgroup. Whoever can do that can do a great deal, so this is not a wall against a worker that was taken
 * over: it takes away what makes such a thing easy. It cannot start a program, make or remove files, open a socket,
 * load code into the kernel, mount, or use a ring.
 *
 * The metrics' process talks to the network and needs nothing: it is nobody, and only reads, writes and waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "enforce/agent-inner.h"
#include "kernel/call.h"

enum { NOBODY = 65534, CODE_MAX = 512, X32_BIT = 0x40000000 };

/* ---- capabilities ---- */

#define BIT(capability) (UINT64_C(1) << (capability))

static const uint64_t worker_capabilities = BIT(CAP_SYS_PTRACE) /* read a caller's memory, count its rings, stop it */
					    | BIT(CAP_SETUID) | BIT(CAP_SETGID) /* be its user while making a ring */
					    | BIT(CAP_DAC_OVERRIDE) /* and in its cgroup, whose files may be its own */
					    | BIT(CAP_KILL)         /* end such a maker */
					    | BIT(CAP_IPC_LOCK);    /* a program that has it keeps it */

static int keep_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (!(keep >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EPERM)
			return -errno;
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (size_t i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* ---- system calls ---- */

static const int worker_must_not[] = {
	SYS_execve,
	SYS_execveat,
	SYS_socket,
	SYS_connect,
	SYS_bind,
	SYS_listen,
	SYS_accept,
	SYS_accept4,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_setns,
	SYS_unshare,
	SYS_open_tree,
	SYS_move_mount,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_kexec_file_load,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	SYS_open_by_handle_at,
	SYS_creat,
	SYS_mkdir,
	SYS_mkdirat,
	SYS_mknod,
	SYS_mknodat,
	SYS_unlink,
	SYS_unlinkat,
	SYS_rmdir,
	SYS_rename,
	SYS_renameat,
	SYS_renameat2,
	SYS_link,
	SYS_linkat,
	SYS_symlink,
	SYS_symlinkat,
	SYS_chmod,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_chown,
	SYS_fchown,
	SYS_lchown,
	SYS_fchownat,
	SYS_truncate,
	SYS_ftruncate,
	SYS_setxattr,
	SYS_lsetxattr,
	SYS_fsetxattr,
	SYS_removexattr,
	SYS_openat2,
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_acct,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_adjtimex,
	SYS_iopl,
	SYS_ioperm,
	SYS_io_uring_enter,
};

static const int http_may[] = {
	SYS_read,         SYS_write,        SYS_readv,          SYS_writev,       SYS_recvfrom,
	SYS_sendto,       SYS_recvmsg,      SYS_sendmsg,        SYS_sendfile,     SYS_accept4,
	SYS_accept,       SYS_shutdown,     SYS_close,          SYS_poll,         SYS_ppoll,
	SYS_epoll_wait,   SYS_epoll_pwait,  SYS_epoll_ctl,      SYS_fcntl,        SYS_getsockopt,
	SYS_setsockopt,   SYS_getsockname,  SYS_getpeername,    SYS_brk,          SYS_mmap,
	SYS_munmap,       SYS_mremap,       SYS_madvise,        SYS_futex,        SYS_clock_gettime,
	SYS_gettimeofday, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_restart_syscall,
	SYS_exit,         SYS_exit_group,   SYS_getpid,         SYS_getrandom,
};

struct code {
	struct sock_filter code[CODE_MAX];
	unsigned short n;
};

static void put(struct code *code, struct sock_filter instruction)
{
	code->code[code->n++] = instruction;
}

static void load(struct code *code, size_t offset)
{
	put(code, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct code *code, uint32_t what)
{
	put(code, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* The answer when the loaded word is `value`. */
static void when(struct code *code, uint32_t value, uint32_t what)
{
	put(code, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
	answer(code, what);
}

/* Only this architecture, and not its second set of numbers. */
static void begin(struct code *code)
{
	code->n = 0;
	load(code, offsetof(struct seccomp_data, arch));
	put(code, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	answer(code, SECCOMP_RET_KILL_PROCESS);
	load(code, offsetof(struct seccomp_data, nr));
	put(code, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
	answer(code, SECCOMP_RET_KILL_PROCESS);
}

/* No file is made or emptied: open() and openat() differ in where their flags stand. */
static void no_new_files(struct code *code, int call, unsigned int argument)
{
	const uint32_t flags = O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);

	put(code, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4));
	load(code, offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t));
	put(code, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1));
	answer(code, SECCOMP_RET_ERRNO | EPERM);
	answer(code, SECCOMP_RET_ALLOW);
}

static int install(const struct code *code)
{
	const struct sock_fprog program = { .len = code->n, .filter = (struct sock_filter *)code->code };

	return kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);
}

static int filter_worker(void)
{
	struct code code;

	begin(&code);
	for (size_t i = 0; i < sizeof worker_must_not / sizeof *worker_must_not; i++)
		when(&code, (uint32_t)worker_must_not[i], SECCOMP_RET_ERRNO | EPERM);
	no_new_files(&code, SYS_open, 1);
	no_new_files(&code, SYS_openat, 2);
	answer(&code, SECCOMP_RET_ALLOW);
	return install(&code);
}

static int filter_http(void)
{
	struct code code;

	begin(&code);
	for (size_t i = 0; i < sizeof http_may / sizeof *http_may; i++)
		when(&code, (uint32_t)http_may[i], SECCOMP_RET_ALLOW);
	answer(&code, SECCOMP_RET_ERRNO | EPERM);
	return install(&code);
}

/* ---- both ---- */

/* Out of reach of programs of the same user, and without a core file that would hold what it read. */
static int close_up(void)
{
	const struct rlimit none = { 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	return 0;
}

int agent_confine_worker(struct err *err)
{
	int r = keep_capabilities(worker_capabilities);

	if (r == 0)
		r = close_up();
	if (r == 0)
		r = filter_worker();
	return r < 0 ? err_set(err, r, "the worker's rights cannot be given up: %s", strerror(-r)) : 0;
}

static int become_nobody(void)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return -errno;
	return 0;
}

int agent_confine_http(struct err *err)
{
	const struct rlimit no_file = { 0 };
	int r = become_nobody();

	if (r == 0)
		r = keep_capabilities(0);
	/* Changing the user has forgotten that it is to end with the agent. */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0 && setrlimit(RLIMIT_FSIZE, &no_file) < 0)
		r = -errno;
	if (r == 0)
		r = close_up();
	if (r == 0)
		r = filter_http();
	return r < 0 ? err_set(err, r, "the metrics' process's rights cannot be given up: %s", strerror(-r)) : 0;
}
