/* SPDX-License-Identifier: MIT */
#include "advise/subject.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "kernel/feature.h"
#include "kernel/refusal.h"

#define X32_BIT 0x40000000
/* The kernel gives its first user namespace this inode number (PROC_USER_INIT_INO). */
#define FIRST_USER_NAMESPACE "user:[4026531837]"

enum { SETUP = 425, ENTER, REGISTER, RINGS_MAX = 65536, STAT_FLAGS = 9, PF_IO_WORKER = 0x10 };

static const struct seccomp_call calls[SUBJECT_CALLS] = {
	[SUBJECT_SETUP] = { AUDIT_ARCH_X86_64, SETUP },
	[SUBJECT_ENTER] = { AUDIT_ARCH_X86_64, ENTER },
	[SUBJECT_REGISTER] = { AUDIT_ARCH_X86_64, REGISTER },
	[SUBJECT_SETUP_I386] = { AUDIT_ARCH_I386, SETUP },
	[SUBJECT_SETUP_X32] = { AUDIT_ARCH_X86_64, SETUP | X32_BIT },
};

static DIR *end_folder(DIR *folder)
{
	if (folder)
		closedir(folder);
	return NULL;
}
CLEANUP_DEFINE(folder, DIR, end_folder);

/* A file or folder of the process. */
static const char *path_of(const struct subject *s, const char *name, char *path, size_t size)
{
	if (s->pid)
		snprintf(path, size, "/proc/%d/%s", s->pid, name);
	else
		snprintf(path, size, "/proc/self/%s", name);
	return path;
}

/* ---- privileges and limits ---- */

static void look_at_privileges(struct subject *s)
{
	char path[64], link[64];
	ssize_t n = readlink(path_of(s, "ns/user", path, sizeof(path)), link, sizeof(link) - 1);

	link[n < 0 ? 0 : n] = '\0';
	s->foreign_user_namespace = n > 0 && strcmp(link, FIRST_USER_NAMESPACE) != 0;
	s->privileged = !s->foreign_user_namespace && s->status.cap_effective >> CAP_SYS_ADMIN & 1;
	s->ipc_lock = !s->foreign_user_namespace && s->status.cap_effective >> CAP_IPC_LOCK & 1;
}

static void look_at_memlock(struct subject *s)
{
	char path[64], text[4096];
	uint64_t hard;

	s->memlock_known = proc_read(path_of(s, "limits", path, sizeof(path)), text, sizeof(text)) > 0 &&
			   proc_parse_limit(text, "Max locked memory", &s->memlock, &hard) == 0;
}

/* What AppArmor, SELinux or Smack call it. "unconfined" is no confinement. */
static void look_at_confinement(struct subject *s)
{
	char path[64];
	ssize_t n = proc_read(path_of(s, "attr/current", path, sizeof(path)), s->confinement, sizeof(s->confinement));

	s->confinement[n < 0 ? 0 : strcspn(s->confinement, "\n")] = '\0';
	if (strcmp(s->confinement, "unconfined") == 0 || strcmp(s->confinement, "kernel") == 0)
		s->confinement[0] = '\0';
}

/* ---- rings that are open in it ---- */

static bool has_poller(const struct subject *s, const char *fd)
{
	char name[300], path[320], text[4096];
	const char *thread;

	snprintf(name, sizeof(name), "fdinfo/%s", fd);
	if (proc_read(path_of(s, name, path, sizeof(path)), text, sizeof(text)) <= 0)
		return false;
	thread = strstr(text, "SqThread:");
	return thread && atoi(thread + strlen("SqThread:")) > 0;
}

static void look_at_rings(struct subject *s)
{
	static const char ring[] = "anon_inode:[io_uring]";
	char path[64], link[64];
	CLEANUP(cleanup_folder) DIR *folder = opendir(path_of(s, "fd", path, sizeof(path)));
	const struct dirent *e;

	s->n_rings = folder ? 0 : SUBJECT_NOT_KNOWN;
	while (folder && s->n_rings < RINGS_MAX && (e = readdir(folder))) {
		ssize_t n = readlinkat(dirfd(folder), e->d_name, link, sizeof(link));

		if (n != (ssize_t)strlen(ring) || memcmp(link, ring, strlen(ring)) != 0)
			continue;
		s->n_rings++;
		s->n_pollers += has_poller(s, e->d_name);
	}
}

/* ---- filters ---- */

/* The kernel's own threads for rings: they run no code of the program's. */
static bool is_of_ring(int task, const char *tid)
{
	char name[300], text[1024];
	const char *at;

	snprintf(name, sizeof(name), "%s/stat", tid);
	at = proc_read_at(task, name, text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
	for (int field = 2; at && field < STAT_FLAGS; field++)
		at = strchr(at + 1, ' ');
	return at && strtoul(at, NULL, 10) & PF_IO_WORKER;
}

static void look_at_threads(struct subject *s)
{
	char path[64];
	CLEANUP(cleanup_folder) DIR *folder = opendir(path_of(s, "task", path, sizeof(path)));
	const struct dirent *e;

	while (folder && (e = readdir(folder))) {
		char name[300], text[8192];
		struct proc_status thread;

		snprintf(name, sizeof(name), "%s/status", e->d_name);
		if (*e->d_name == '.' || is_of_ring(dirfd(folder), e->d_name) ||
		    proc_read_at(dirfd(folder), name, text, sizeof(text)) <= 0)
			continue;
		proc_parse_status(text, &thread);
		s->threads_differ |=
			thread.seccomp != s->status.seccomp || thread.seccomp_filters != s->status.seccomp_filters;
	}
}

enum subject_filter subject_meaning(uint32_t action)
{
	switch (action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return SUBJECT_ALLOWED;
	case SECCOMP_RET_USER_NOTIF:
	case SECCOMP_RET_TRACE:
		return SUBJECT_SUPERVISED;
	default:
		return SUBJECT_REFUSED;
	}
}

static void ask_filters(struct subject *s)
{
	struct err err = { "" };

	if (seccomp_ask(s->pid, calls, SUBJECT_CALLS, s->answers, &s->n_filters, &err) < 0) {
		snprintf(s->why_not, sizeof(s->why_not), "%.255s", err.text);
		return;
	}
	s->answers_known = true;
	s->filter = subject_meaning(s->answers[SUBJECT_SETUP].action);
}

/* Its own filters this process has tried: only what was tried and refused is known of them. */
static void try_own(struct subject *s)
{
	const struct kernel_answer *uring = kernel_feature(KERNEL_URING);

	if (uring->state == KERNEL_YES)
		s->filter = SUBJECT_ALLOWED;
	else if (uring->value == REFUSAL_SECCOMP || uring->value == REFUSAL_KILLED)
		s->filter = SUBJECT_REFUSED;
	else
		snprintf(s->why_not, sizeof(s->why_not), "%s", "a ring is refused, and maybe not by them");
}

static void look_at_filters(struct subject *s, bool stop)
{
	s->filter = SUBJECT_UNTOLD;
	if (s->status.seccomp == 0)
		s->filter = SUBJECT_UNFILTERED;
	else if (s->status.seccomp == 1)
		s->filter = SUBJECT_REFUSED; /* strict: only read, write and exit */
	else if (s->status.seccomp < 0)
		snprintf(s->why_not, sizeof(s->why_not), "the kernel does not say whether there are any");
	else if (!s->pid)
		try_own(s);
	else if (!stop)
		snprintf(s->why_not, sizeof(s->why_not), "the process was not to be stopped, which reading them needs");
	else
		ask_filters(s);
}

/* ---- all of it ---- */

/* What a process called itself goes to a terminal. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static void name(struct subject *s)
{
	make_printable(s->status.name);
	make_printable(s->confinement);
	if (s->kind == SUBJECT_HOST)
		snprintf(s->label, sizeof(s->label), "this host, as seen from here");
	else
		snprintf(s->label, sizeof(s->label), "process %d (%s)", s->pid, s->status.name);
}

int subject_look(struct subject *ret_subject, enum subject_kind kind, pid_t pid, bool stop, struct err *err)
{
	struct subject s = { .kind = kind, .pid = pid };
	int r = proc_read_status(pid, &s.status);

	if (r < 0)
		return err_set(
			err, r,
			r == -ENOENT || r == -ESRCH ? "there is no process %d" : "process %d cannot be looked at", pid);
	look_at_privileges(&s);
	look_at_memlock(&s);
	look_at_confinement(&s);
	name(&s);
	look_at_rings(&s);
	look_at_threads(&s);
	look_at_filters(&s, stop);
	budget_read(pid, &s.limits);
	*ret_subject = s;
	return 0;
}

int subject_sysctl(const struct subject *s, int64_t disabled, int64_t group)
{
	if (disabled <= 0)
		return disabled == 0 ? 1 : SUBJECT_NOT_KNOWN;
	if (disabled > 1)
		return 0;
	if (s->privileged || (group >= 0 && s->status.gid == group))
		return 1;
	for (size_t i = 0; i < s->status.n_groups; i++)
		if (group >= 0 && s->status.groups[i] == group)
			return 1;
	return s->status.n_groups == PROC_GROUPS_MAX ? SUBJECT_NOT_KNOWN : 0;
}
