/* SPDX-License-Identifier: MIT */
#include "enforce/agent-profile.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/agent-manifest.h"
#include "enforce/limits.h"
#include "enforce/policy.h"
#include "enforce/restrictions.h"

#define ARCH "amd64"
#define OPCODE_MASK INT64_C(0x7fffffff) /* bit 31 says that the ring is a registered one; above it nothing counts */

enum { OPCODE_ARGUMENT = 1, REGISTER_BITS = 6, REGISTER_OPS = 1 << REGISTER_BITS };

/*
 * What undoes a limit that a policy may get after its profile was made: a profile outlives what it was made from. Their
 * use is rare, and programs do without.
 */
static const uint64_t never = UINT64_C(1) << URING_REG_IOWQ_MAX_WORKERS | UINT64_C(1) << URING_REG_SEND_MSG_RING |
			      UINT64_C(1) << URING_REG_RESIZE_RINGS;

static void json_free(json_t **json)
{
	json_decref(*json);
}

/* ---- rules ---- */

static json_t *rule(const char *name, const char *action)
{
	return json_pack("{s:[s], s:s}", "names", name, "action", action);
}

static json_t *register_rule(const char *action, int error, int64_t mask, int64_t value)
{
	json_t *made = rule("io_uring_register", action);

	if (error)
		json_object_set_new(made, "errnoRet", json_integer(error));
	json_object_set_new(made, "args",
			    json_pack("[{s:i, s:I, s:I, s:s}]", "index", OPCODE_ARGUMENT, "value", (json_int_t)mask,
				      "valueTwo", (json_int_t)value, "op", "SCMP_CMP_MASKED_EQ"));
	return made;
}

static uint64_t allowed_register(const struct policy *policy)
{
	/* Enabling is no way around anything: what counts comes before. */
	return (restrictions_register_ops(policy) & ~never) | UINT64_C(1) << URING_REG_ENABLE_RINGS;
}

/* Restricting and enabling are the agent's where rings are restricted, so that callers may make them. */
static uint64_t agents_register(const struct policy *policy)
{
	return restrictions_needed(policy)
		       ? UINT64_C(1) << URING_REG_ENABLE_RINGS | UINT64_C(1) << URING_REG_RESTRICTIONS
		       : 0;
}

/* The second answers as the kernel does for a ring that is restricted already. */
static void keep_restrictions(json_t *rules)
{
	json_array_append_new(rules, register_rule("SCMP_ACT_NOTIFY", 0, OPCODE_MASK, URING_REG_ENABLE_RINGS));
	json_array_append_new(rules, register_rule("SCMP_ACT_ERRNO", EBUSY, OPCODE_MASK, URING_REG_RESTRICTIONS));
}

/* libseccomp lets a rule without arguments win over one with, so what is allowed is said opcode by opcode. */
static void allow_register(json_t *rules, const struct policy *policy)
{
	for (unsigned int op = 0; op < REGISTER_OPS; op++)
		if (allowed_register(policy) & ~agents_register(policy) & UINT64_C(1) << op)
			json_array_append_new(rules, register_rule("SCMP_ACT_ALLOW", 0, OPCODE_MASK, op));
}

/* Where everything is allowed that no rule denies. Opcodes beyond those that a policy can name: one rule for each bit.
 */
static void deny_register(json_t *rules, const struct policy *policy)
{
	for (unsigned int op = 0; op < REGISTER_OPS; op++)
		if (!((allowed_register(policy) | agents_register(policy)) >> op & 1))
			json_array_append_new(rules, register_rule("SCMP_ACT_ERRNO", EACCES, OPCODE_MASK, op));
	for (unsigned int bit = REGISTER_BITS; bit < 31; bit++)
		json_array_append_new(rules,
				      register_rule("SCMP_ACT_ERRNO", EACCES, INT64_C(1) << bit, INT64_C(1) << bit));
}

static bool is_ring_call(const char *name)
{
	return strcmp(name, "io_uring_setup") == 0 || strcmp(name, "io_uring_enter") == 0 ||
	       strcmp(name, "io_uring_register") == 0;
}

/* Takes io_uring's calls out of the rules, and the rules that are empty then. */
static void take_out(json_t *rules)
{
	for (size_t i = json_array_size(rules); i-- > 0;) {
		json_t *names = json_object_get(json_array_get(rules, i), "names");

		for (size_t j = json_array_size(names); j-- > 0;)
			if (json_is_string(json_array_get(names, j)) &&
			    is_ring_call(json_string_value(json_array_get(names, j))))
				json_array_remove(names, j);
		if (json_is_array(names) && json_array_size(names) == 0)
			json_array_remove(rules, i);
	}
}

static int add_rings(json_t *seccomp, const struct agent_profile_options *options, struct err *err)
{
	const char *fallback = json_string_value(json_object_get(seccomp, "defaultAction"));
	json_t *rules = json_object_get(seccomp, "syscalls");
	bool allows;

	if (!fallback)
		return err_set(err, -EINVAL, "the profile has no \"defaultAction\"");
	if (!json_is_array(rules) && rules && !json_is_null(rules))
		return err_set(err, -EINVAL, "the profile's \"syscalls\" is no list");
	if (!json_is_array(rules)) {
		rules = json_array();
		json_object_set_new(seccomp, "syscalls", rules);
	}
	allows = strcmp(fallback, "SCMP_ACT_ALLOW") == 0 || strcmp(fallback, "SCMP_ACT_LOG") == 0;
	take_out(rules);
	json_array_append_new(rules, rule("io_uring_setup", "SCMP_ACT_NOTIFY"));
	if (!allows)
		json_array_append_new(rules, rule("io_uring_enter", "SCMP_ACT_ALLOW"));
	(allows ? deny_register : allow_register)(rules, options->policy);
	if (agents_register(options->policy))
		keep_restrictions(rules);
	json_object_set_new(seccomp, "listenerPath", json_string(options->socket));
	json_object_set_new(
		seccomp, "listenerMetadata",
		json_sprintf("%s%s", options->metadata, agents_register(options->policy) ? AGENT_PROFILE_CALLER : ""));
	return 0;
}

/* Then a signal does not interrupt a set-up that is being answered, only to begin it anew. */
static void wait_killable(json_t *seccomp)
{
	json_t *flags = json_object_get(seccomp, "flags");

	if (!json_is_array(flags)) {
		flags = json_array();
		json_object_set_new(seccomp, "flags", flags);
	}
	json_array_append_new(flags, json_string("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"));
}

/* ---- from docker's form to the runtime spec's ---- */

/* What containers have unless something else is asked for: docker's and containerd's defaults. */
static const char *const usual_capabilities[] = {
	"CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",     "CAP_FSETID",
	"CAP_KILL",        "CAP_MKNOD",   "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",    "CAP_SETFCAP",
	"CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT", NULL
};
static const char *const our_arch[] = { ARCH, NULL };

static bool has(const char *const *list, const char *text)
{
	for (; *list; list++)
		if (text && strcmp(*list, text) == 0)
			return true;
	return false;
}

static size_t count_in(const json_t *condition, const char *key, const char *const *list)
{
	const json_t *names = json_object_get(condition, key);
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(names); i++)
		n += has(list, json_string_value(json_array_get(names, i)));
	return n;
}

/* Whether a rule counts for a container with the usual capabilities, here; a kernel new enough for rings is assumed. */
static bool counts(const json_t *one)
{
	const json_t *in = json_object_get(one, "includes"), *ex = json_object_get(one, "excludes");
	const json_t *arches = json_object_get(in, "arches"), *caps = json_object_get(in, "caps");

	if (json_array_size(arches) && !count_in(in, "arches", our_arch))
		return false;
	if (count_in(in, "caps", usual_capabilities) != json_array_size(caps))
		return false;
	return !count_in(ex, "arches", our_arch) && !count_in(ex, "caps", usual_capabilities);
}

static void flatten_rules(json_t *rules)
{
	for (size_t i = json_array_size(rules); i-- > 0;) {
		json_t *one = json_array_get(rules, i);

		if (!counts(one)) {
			json_array_remove(rules, i);
			continue;
		}
		json_object_del(one, "includes");
		json_object_del(one, "excludes");
		json_object_del(one, "comment");
		json_object_del(one, "errno");
	}
}

/* Kubernetes on containerd reads the runtime spec's form, in which conditions and "archMap" are silently ignored. */
static void flatten(json_t *seccomp)
{
	json_t *map = json_object_get(seccomp, "archMap"), *arches = json_array();

	json_array_append_new(arches, json_string("SCMP_ARCH_X86_64"));
	json_array_append_new(arches, json_string("SCMP_ARCH_X86"));
	json_array_append_new(arches, json_string("SCMP_ARCH_X32"));
	if (map || !json_object_get(seccomp, "architectures"))
		json_object_set(seccomp, "architectures", arches);
	json_decref(arches);
	json_object_del(seccomp, "archMap");
	json_object_del(seccomp, "defaultErrno");
	flatten_rules(json_object_get(seccomp, "syscalls"));
}

/* ---- where a profile comes from ---- */

/* podman's and CRI-O's, and in docker's form; docker's own is inside of dockerd. */
static const char *const installed[] = { "/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json", NULL };

static int read_base(const char *file, json_t **ret_root, struct err *err)
{
	json_error_t error;
	json_t *root = json_load_file(file, 0, &error);

	if (!root && error.line < 0)
		return err_set(err, -ENOENT, "%s: %s", file, error.text);
	if (!root)
		return err_set(err, -EINVAL, "%s:%d:%d: %s", file, error.line, error.column, error.text);
	if (!json_is_object(root))
		return json_decref(root), err_set(err, -EINVAL, "%s: it is no JSON object", file);
	*ret_root = root;
	return 0;
}

static int find_base(const struct agent_profile_options *options, char *ret_base, json_t **ret_root, struct err *err)
{
	const char *file = options->base;

	for (size_t i = 0; !file && installed[i]; i++)
		if (access(installed[i], R_OK) == 0)
			file = installed[i];
	if (!file)
		return err_set(
			err, -ENOENT,
			"no default profile is installed here (/usr/share/containers/seccomp.json); give the "
			"runtime's with --base: docker's is profiles/seccomp/default.json of github.com/moby/moby, "
			"podman's and CRI-O's pkg/seccomp/seccomp.json of github.com/containers/common");
	snprintf(ret_base, AGENT_BASE_BYTES, "%s", file);
	return read_base(file, ret_root, err);
}

/* ---- limits ---- */

/* The entry for the resource, made if it is not there. */
static json_t *limit_entry(json_t *list, const char *resource)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const char *type = json_string_value(json_object_get(entry, "type"));

		if (type && strcmp(type, resource) == 0)
			return entry;
	}
	entry = json_pack("{s:s}", "type", resource);
	json_array_append_new(list, entry);
	return entry;
}

static void lower_number(json_t *entry, const char *key, json_int_t most)
{
	const json_t *old = json_object_get(entry, key);

	if (!json_is_integer(old) || json_integer_value(old) > most)
		json_object_set_new(entry, key, json_integer(most));
}

static json_t *child_of(json_t *parent, const char *key, json_t *fresh)
{
	json_t *old = json_object_get(parent, key);

	if (old && json_typeof(old) == json_typeof(fresh)) {
		json_decref(fresh);
		return old;
	}
	json_object_set_new(parent, key, fresh);
	return fresh;
}

/* All of the container then has them from its beginning, not only what asks for a ring and what that starts. */
static void add_limits(json_t *root, const struct policy *policy)
{
	const struct limits limits = limits_of(policy, 0);

	for (size_t i = 0; i < LIMITS_N; i++) {
		json_t *entry;

		if (limits.most[i] == UINT64_MAX)
			continue;
		entry = limit_entry(child_of(child_of(root, "process", json_object()), "rlimits", json_array()),
				    limits_resource(limits_field(i)));
		lower_number(entry, "hard", (json_int_t)limits.most[i]);
		lower_number(entry, "soft", (json_int_t)limits.most[i]);
	}
}

/* ---- forms ---- */

static char *text_of(const json_t *root)
{
	return root ? json_dumps(root, JSON_INDENT(2)) : NULL;
}

/* runc and crun take the runtime spec's config.json, which has no seccomp part of its own. */
static int make_bundle(const struct agent_profile_options *options, char *ret_base, json_t **ret_root, struct err *err)
{
	CLEANUP(json_free) json_t *root = NULL;
	json_t *linux_part, *seccomp;
	int r = 0;

	if (options->base) {
		snprintf(ret_base, AGENT_BASE_BYTES, "%s", options->base);
		r = read_base(options->base, &root, err);
	} else {
		root = json_object();
	}
	if (r < 0)
		return r;
	linux_part = child_of(root, "linux", json_object());
	seccomp = json_object_get(linux_part, "seccomp");
	if (!json_is_object(seccomp)) {
		seccomp = json_pack("{s:s, s:[s,s,s]}", "defaultAction", "SCMP_ACT_ALLOW", "architectures",
				    "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32");
		json_object_set_new(linux_part, "seccomp", seccomp);
	}
	r = add_rings(seccomp, options, err);
	if (r < 0)
		return r;
	if (strcmp(options->runtime->name, "crun") == 0)
		wait_killable(seccomp);
	add_limits(root, options->policy);
	*ret_root = root;
	root = NULL;
	return 0;
}

static int make_profile(const struct agent_profile_options *options, bool flat, char *ret_base, json_t **ret_root,
			struct err *err)
{
	CLEANUP(json_free) json_t *root = NULL;
	int r = find_base(options, ret_base, &root, err);

	if (r < 0)
		return r;
	if (flat)
		flatten(root);
	r = add_rings(root, options, err);
	if (r < 0)
		return err_wrap(err, r, "%s", ret_base);
	*ret_root = root;
	root = NULL;
	return 0;
}

enum form { BUNDLE, CONDITIONAL, FLAT, MANIFEST };

/* Versions: read in the projects' histories; an earlier one may do, none was seen that does. */
static const enum form forms[] = { BUNDLE, BUNDLE, CONDITIONAL, CONDITIONAL, FLAT, FLAT, MANIFEST };

const struct agent_runtime agent_runtimes[] = {
	{ "runc", "runc 1.1.0 (opencontainers/runc pull request 2682)",
	  "put \"linux.seccomp\" into the bundle's config.json, or give that file with --base" },
	{ "crun",
	  "crun 0.19 (its NEWS); from 1.6 on, and on Linux 5.19, also for the flag that is in it: older ones want "
	  "\"flags\" removed",
	  "put \"linux.seccomp\" into the bundle's config.json, or give that file with --base; the annotation "
	  "run.oci.seccomp.receiver=SOCKET can name the agent in place of listenerPath" },
	{ "docker", "Docker Engine 23.0 (moby/moby pull request 42604), with runc 1.1.0; tried: 26.1.5 and 28.5.2",
	  "docker run --security-opt seccomp=FILE ..., or \"seccomp-profile\": \"FILE\" in /etc/docker/daemon.json",
	  "docker run --ulimit" },
	{ "podman",
	  "Podman 4.1 (containers/common 0.48.0, pull request 945), with runc 1.1.0 or crun 0.19; tried: 4.3.1 with "
	  "runc",
	  "podman run --security-opt seccomp=FILE ..., or seccomp_profile in containers.conf", "podman run --ulimit" },
	{ "containerd", "containerd 1.5.5 (by the runtime-spec that it is built with), with runc 1.1.0; tried: 1.6.20",
	  "nerdctl run --security-opt seccomp=FILE ..., or a Localhost profile under Kubernetes",
	  "nerdctl run --ulimit" },
	{ "cri-o", "CRI-O 1.25 (containers/common 0.49.1), with runc 1.1.0 or crun 0.19",
	  "/var/lib/kubelet/seccomp/circlip.json, and a pod's seccompProfile of type Localhost" },
	{ "kubernetes",
	  "what the nodes' container runtime needs: containerd 1.5.5 or CRI-O 1.25; Localhost profiles are "
	  "stable since Kubernetes 1.19",
	  "kubectl apply -f FILE, after reading it: it names an image that you build" },
	{ NULL },
};

int agent_profile_make(const struct agent_profile_options *options, char **ret_text,
		       char ret_base[static AGENT_BASE_BYTES], struct err *err)
{
	enum form form = forms[options->runtime - agent_runtimes];
	CLEANUP(json_free) json_t *root = NULL;
	CLEANUP(cleanup_free) char *profile = NULL;
	char *text;
	int r;

	ret_base[0] = '\0';
	r = form == BUNDLE ? make_bundle(options, ret_base, &root, err)
			   : make_profile(options, form != CONDITIONAL, ret_base, &root, err);
	if (r < 0)
		return r;
	profile = text_of(root);
	text = form == MANIFEST && profile ? agent_manifest_make(options, profile) : profile;
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	if (text == profile)
		profile = NULL;
	*ret_text = text;
	return 0;
}
