/* SPDX-License-Identifier: MIT */
#include "advise/unblock.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "kernel/proc.h"

enum { PROFILE_MAX = 4 << 20 };

static const char *const calls[] = { "io_uring_setup", "io_uring_enter", "io_uring_register" };
enum { N_CALLS = sizeof(calls) / sizeof(*calls) };

/* What Docker, Podman and containerd give to a container that asks for nothing. */
static const char *const capabilities[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
	"CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
	"CAP_KILL",    "CAP_AUDIT_WRITE",
};

static inline void cleanup_json(json_t **json)
{
	json_decref(*json);
}

const char *unblock_installed(void)
{
	static const char *const places[] = { "/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json" };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}

/* ---- io_uring's calls ---- */

static bool is_ours(const char *name)
{
	for (int i = 0; i < N_CALLS; i++)
		if (name && strcmp(name, calls[i]) == 0)
			return true;
	return false;
}

/* Takes them out of a rule; false when nothing is left of it. */
static bool take_out_of(json_t *rule)
{
	json_t *names = json_object_get(rule, "names");

	for (size_t i = json_array_size(names); i-- > 0;)
		if (is_ours(json_string_value(json_array_get(names, i))))
			json_array_remove(names, i);
	/* "name" is an old way to write a single one. */
	return json_array_size(names) || (json_is_string(json_object_get(rule, "name")) &&
					  !is_ours(json_string_value(json_object_get(rule, "name"))));
}

/* A rule that refuses them by name would contradict ours. */
static void take_out(json_t *rules)
{
	for (size_t i = json_array_size(rules); i-- > 0;)
		if (!take_out_of(json_array_get(rules, i)))
			json_array_remove(rules, i);
}

static void put_in(json_t *rules)
{
	json_t *names = json_array();

	for (int i = 0; i < N_CALLS; i++)
		json_array_append_new(names, json_string(calls[i]));
	json_array_append_new(rules, json_pack("{s:o, s:s}", "names", names, "action", "SCMP_ACT_ALLOW"));
}

/* ---- conditions ---- */

static bool has(const json_t *list, const char *const *words, size_t n)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) for (size_t j = 0; j < n;
					       j++) if (json_is_string(item) &&
							strcmp(json_string_value(item), words[j]) == 0) return true;
	return false;
}

static bool kernel_is(const json_t *conditions)
{
	const char *least = json_string_value(json_object_get(conditions, "minKernel"));

	return !least || proc_kernel_version() >= proc_parse_release(least);
}

/* Whether a rule with such conditions applies to an ordinary container on this machine. */
static bool applies(const json_t *rule)
{
	static const char *const architectures[] = { "amd64", "x32", "x86" };
	const json_t *in = json_object_get(rule, "includes"), *ex = json_object_get(rule, "excludes");
	const json_t *caps = json_object_get(in, "caps"), *arches = json_object_get(in, "arches");
	size_t n_caps = sizeof(capabilities) / sizeof(*capabilities),
	       n_arches = sizeof(architectures) / sizeof(*architectures);

	if (json_array_size(caps) && !has(caps, capabilities, n_caps))
		return false;
	if (json_array_size(arches) && !has(arches, architectures, n_arches))
		return false;
	return kernel_is(in) && !has(json_object_get(ex, "caps"), capabilities, n_caps) &&
	       !has(json_object_get(ex, "arches"), architectures, n_arches);
}

static json_t *resolved_rule(const json_t *rule)
{
	static const char *const members[] = { "names", "action", "errnoRet", "args" };
	json_t *plain = json_object();

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		json_t *value = json_object_get(rule, members[i]);

		if (value && !json_is_null(value) && !(json_is_array(value) && !json_array_size(value)))
			json_object_set(plain, members[i], value);
	}
	return plain;
}

/* As the OCI runtime specification has it: no conditions, and the architectures by name. */
static json_t *resolve(const json_t *profile)
{
	static const char *const members[] = { "defaultAction", "defaultErrnoRet" };
	json_t *plain = json_object(), *rules = json_array();
	const json_t *rule;
	size_t i;

	for (i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (json_object_get(profile, members[i]))
			json_object_set(plain, members[i], json_object_get(profile, members[i]));
	json_object_set_new(plain, "architectures",
			    json_pack("[s,s,s]", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"));
	json_array_foreach(json_object_get(profile, "syscalls"), i,
			   rule) if (applies(rule) && json_array_size(json_object_get(rule, "names")))
		json_array_append_new(rules, resolved_rule(rule));
	json_object_set_new(plain, "syscalls", rules);
	return plain;
}

/* ---- files ---- */

static json_t *load(const char *path, struct err *err)
{
	CLEANUP(cleanup_free) char *text = malloc(PROFILE_MAX);
	json_error_t where;
	json_t *profile;
	ssize_t n;

	if (!text)
		return NULL;
	n = proc_read(path, text, PROFILE_MAX);
	if (n < 0) {
		err_set(err, (int)n, "%s: %s", path, strerror((int)-n));
		errno = (int)-n;
		return NULL;
	}
	profile = json_loadb(text, (size_t)n, 0, &where);
	if (!profile)
		err_set(err, 0, "%s:%d:%d: %s", path, where.line, where.column, where.text);
	errno = EINVAL;
	return profile;
}

int unblock_write(const char *base, bool resolved, FILE *to, struct err *err)
{
	CLEANUP(cleanup_json) json_t *profile = load(base, err);
	CLEANUP(cleanup_json) json_t *plain = NULL;
	json_t *rules = json_object_get(profile, "syscalls");

	if (!profile)
		return -errno;
	if (!json_is_array(rules) || !json_is_string(json_object_get(profile, "defaultAction")))
		return err_set(err, -EINVAL, "%s: no seccomp profile: \"defaultAction\" and \"syscalls\" are expected",
			       base);
	take_out(rules);
	put_in(rules);
	plain = resolved ? resolve(profile) : json_incref(profile);
	json_dumpf(plain, to, JSON_INDENT(2));
	fputc('\n', to);
	return 0;
}
