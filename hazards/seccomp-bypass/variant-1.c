/* SPDX-License-Identifier: MIT */
/* socket(2) is denied, SOCKET is not. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Denies one system call. */
static int deny(int nr)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int run(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int res = io_uring_submit_and_wait(ring, 1);

	if (res < 0 || io_uring_peek_cqe(ring, &cqe))
		return 1;
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int res;

	if (deny(SYS_socket) || io_uring_queue_init(8, &ring, 0))
		return 77;
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
		return 1;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_rw(45 /* SOCKET */, sqe, AF_UNIX, NULL, 0, SOCK_STREAM);
	res = run(&ring);
	io_uring_queue_exit(&ring);
	if (res == -EINVAL) {
		fprintf(stderr, "this kernel has no SOCKET\n");
		return 77;
	}
	return res >= 0 ? 0 : 1;
}
