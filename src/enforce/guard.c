/* SPDX-License-Identifier: MIT */
/*
 * Loads the guard and makes sure that it works.
 *
 * That it loads and attaches says little: where the kernel was booted without "bpf" among its security modules,
 * programs on their hooks attach and are never called. So a new guard is shown a few rings of our own, and has to have
 * seen them.
 */
#include "enforce/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "abi/uring.h"
#include "base/err.h"
#include "bpf/guard.skel.h"
#include "enforce/guard-inner.h"
#include "kernel/btf.h"
#include "kernel/call.h"
#include "kernel/host.h"
#include "kernel/proc.h"

enum { GUARD_TRIES = 3, CAPABILITY_SYS_ADMIN = 21, CAPABILITY_PERFMON = 38, CAPABILITY_BPF = 39 };

/* libbpf says why only through a function without a context, so the first complaint of a load is kept here. */
static _Thread_local char guard_complaint[200];

static int keep_complaint(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !*guard_complaint) {
		vsnprintf(guard_complaint, sizeof guard_complaint, format, args);
		guard_complaint[strcspn(guard_complaint, "\n")] = '\0';
	}
	return 0;
}

/* ---- why not ---- */

static bool is_capable(void)
{
	const uint64_t both = 1ull << CAPABILITY_BPF | 1ull << CAPABILITY_PERFMON;
	struct proc_status status;

	if (proc_read_status(0, &status) < 0)
		return false;
	return (status.cap_effective & both) == both || status.cap_effective & 1ull << CAPABILITY_SYS_ADMIN;
}

static bool is_confidential(void)
{
	char text[128];

	return proc_read("/sys/kernel/security/lockdown", text, sizeof text) > 0 && strstr(text, "[confidentiality]");
}

static bool is_module(void)
{
	char names[KERNEL_LSM_TEXT];

	return kernel_lsm_names(names, sizeof names) < 0 || host_lsm_has(names, "bpf");
}

static int tell_refusal(int error, struct err *err)
{
	const char *more = *guard_complaint ? guard_complaint : "it gives no reason";

	if (error == EPERM && is_confidential())
		return err_set(
			err, -error,
			"EPERM: the kernel is locked down for confidentiality (boot parameter lockdown=), so that "
			"BPF programs may not read its memory");
	if (error == EPERM)
		return err_set(
			err, -error,
			"EPERM: this kernel refuses BPF programs that attach to its functions and security hooks, "
			"although we have the capabilities for it; some vendors' kernels do, and no setting is known "
			"that changes it (%s)",
			more);
	if (error == EINVAL || error == ESRCH || error == ENOENT)
		return err_set(
			err, -error,
			"%s: this kernel lacks a function or security hook that the guard attaches to; Linux 6.1 "
			"and newer are known to have them (%s)",
			strerrorname_np(error), more);
	return err_set(err, -error, "%s (%s)", strerror(error), more);
}

static int check_ground(struct err *err)
{
	if (!is_capable())
		return err_set(
			err, -EPERM,
			"EPERM: loading BPF programs takes CAP_BPF and CAP_PERFMON, which root has; this process "
			"has not");
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return err_set(err, -errno,
			       "/sys/kernel/btf/vmlinux: %s; the kernel must describe its types "
			       "(CONFIG_DEBUG_INFO_BTF)",
			       strerror(errno));
	return 0;
}

/* ---- trying it ---- */

static int make_rings(void)
{
	for (int i = 0; i < GUARD_TRIES; i++) {
		struct uring_params params = { 0 };
		CLEANUP(cleanup_fd) int fd = kernel_setup(1, &params);

		if (fd < 0)
			return fd;
	}
	return 0;
}

static uint64_t count_refused(struct guard *guard)
{
	struct guard_state state;
	uint64_t cgroup, n = 0;
	int r = guard_next(guard, NULL, &cgroup);

	for (int i = 0; r == 0 && i < GUARD_RULES_MAX; i++) {
		if (guard_read(guard, cgroup, NULL, &state, NULL) == 0)
			for (unsigned int reason = GUARD_ALLOWED + 1; reason < GUARD_REASONS; reason++)
				n += state.counts[reason];
		r = guard_next(guard, &cgroup, &cgroup);
	}
	return n;
}

enum { TRY_REFUSED = 1 };

static int try_once(struct guard *guard, struct guard_about *ret_seen, struct err *err)
{
	uint64_t refused = count_refused(guard);
	struct guard_about before, after;
	int r = guard_read_about(guard, &before, err), made;

	if (r < 0)
		return r;
	made = make_rings();
	if (made == -EPERM && count_refused(guard) > refused)
		return TRY_REFUSED;
	if (made < 0)
		return err_set(err, made,
			       "it cannot be tried, and what was not seen to work is not relied on: io_uring_setup: %s",
			       strerror(-made));
	r = guard_read_about(guard, &after, err);
	if (r < 0)
		return r;
	ret_seen->setups = after.setups - before.setups;
	ret_seen->files = after.files - before.files;
	ret_seen->unknown = after.unknown - before.unknown;
	return 0;
}

static bool is_seen(const struct guard_about *seen)
{
	return seen->setups >= GUARD_TRIES && seen->files >= GUARD_TRIES && !seen->unknown;
}

int guard_try(struct guard *guard, struct err *err)
{
	struct guard_about seen = { 0 };
	int r = -EAGAIN;

	/* Where many rings are made at the same time, one may pass unseen now and then: ours, or others that count
	 * here. */
	for (int i = 0; i < GUARD_TRIES && !is_seen(&seen); i++) {
		r = try_once(guard, &seen, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	if (is_seen(&seen))
		return 0;
	if (seen.files < GUARD_TRIES && !is_module())
		return err_set(err, -ENOSYS,
			       "the kernel was booted without BPF among its security modules, so programs on their "
			       "hooks are not called; add bpf to the list in the boot parameter lsm= (cat "
			       "/sys/kernel/security/lsm shows the present one)");
	return err_set(err, -ENOSYS,
		       "it attached, but of %d rings made it saw %llu begin and %llu end, %llu of these "
		       "unknown: this kernel makes rings in another way than the guard knows",
		       GUARD_TRIES, (unsigned long long)seen.setups, (unsigned long long)seen.files,
		       (unsigned long long)seen.unknown);
}

/* ---- loading ---- */

static bool has_function(const char *name)
{
	CLEANUP(cleanup_free) void *btf = NULL;
	size_t size;

	return btf_read_kernel(&btf, &size) == 0 && btf_find_function(btf, size, name) >= 0;
}

static int take_maps(struct guard *guard)
{
	const struct bpf_map *const maps[GUARD_MAPS] = {
		[GUARD_MAP_RULES] = guard->bpf->maps.guard_rules,
		[GUARD_MAP_STATES] = guard->bpf->maps.guard_states,
		[GUARD_MAP_ABOUT] = guard->bpf->maps.guard_about,
	};

	for (int i = 0; i < GUARD_MAPS; i++) {
		guard->maps[i] = fcntl(bpf_map__fd(maps[i]), F_DUPFD_CLOEXEC, 3);
		if (guard->maps[i] < 0)
			return -errno;
	}
	guard->existing = fcntl(bpf_program__fd(guard->bpf->progs.guard_existing), F_DUPFD_CLOEXEC, 3);
	return guard->existing < 0 ? -errno : 0;
}

static int attach(struct guard *guard, struct err *err)
{
	const struct guard_about about = { .version = GUARD_VERSION };
	const uint32_t zero = 0;
	int r;

	guard->bpf = guard_bpf__open();
	if (!guard->bpf)
		return tell_refusal(errno, err);
	bpf_program__set_autoattach(guard->bpf->progs.guard_existing, false);
	bpf_program__set_autoload(guard->bpf->progs.guard_allowed, has_function("bpf_lsm_uring_allowed"));
	r = guard_bpf__load(guard->bpf);
	if (r == 0)
		r = take_maps(guard);
	if (r == 0)
		r = bpf_map_update_elem(guard->maps[GUARD_MAP_ABOUT], &zero, &about, BPF_ANY);
	if (r == 0)
		r = guard_bpf__attach(guard->bpf);
	return r < 0 ? tell_refusal(-r, err) : 0;
}

struct guard *guard_new(void)
{
	struct guard *guard = calloc(1, sizeof *guard);

	for (int i = 0; guard && i < GUARD_MAPS; i++)
		guard->maps[i] = -1;
	if (guard)
		guard->existing = -1;
	return guard;
}

int guard_load(struct guard **ret_guard, struct err *err)
{
	CLEANUP(cleanup_guard) struct guard *guard = guard_new();
	libbpf_print_fn_t print;
	int r = check_ground(err);

	if (r < 0)
		return r;
	if (!guard)
		return err_set(err, -ENOMEM, "out of memory");
	*guard_complaint = '\0';
	print = libbpf_set_print(keep_complaint);
	r = attach(guard, err);
	libbpf_set_print(print);
	if (r == 0)
		r = guard_try(guard, err);
	if (r < 0)
		return r;
	*ret_guard = guard;
	guard = NULL;
	return 0;
}

int guard_probe(struct err *err)
{
	CLEANUP(cleanup_guard) struct guard *guard = NULL;

	return guard_load(&guard, err);
}

int guard_get(struct guard **ret_guard, struct err *err)
{
	int r = guard_find(ret_guard, err);

	return r == -ENOENT ? guard_load(ret_guard, err) : r;
}

size_t guard_links(const struct guard *guard, int ret_fds[GUARD_LINKS])
{
	const struct bpf_object_skeleton *skeleton = guard->bpf ? guard->bpf->skeleton : NULL;
	size_t n = 0;

	for (int i = 0; skeleton && !guard->is_pinned && i < skeleton->prog_cnt; i++)
		if (*skeleton->progs[i].link && n < GUARD_LINKS)
			ret_fds[n++] = bpf_link__fd(*skeleton->progs[i].link);
	return n;
}

struct guard *guard_free(struct guard *guard)
{
	if (!guard)
		return NULL;
	for (int i = 0; i < GUARD_MAPS; i++)
		cleanup_fd(&guard->maps[i]);
	cleanup_fd(&guard->existing);
	guard_bpf__destroy(guard->bpf);
	free(guard);
	return NULL;
}
