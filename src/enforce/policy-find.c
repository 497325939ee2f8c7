/* SPDX-License-Identifier: MIT */
/* Where policies come from: profiles that are built in, and files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/near.h"
#include "enforce/policy-inner.h"
#include "enforce/profiles.h"

enum { FILE_MAX = 1024 * 1024 };

const char *policy_profile(size_t i)
{
	return profiles_texts[i].name;
}

/* Of `ret_text` there are ret_size bytes; it is the caller's to free. Pipes and devices could make us wait for ever. */
static int read_file(const char *path, char **ret_text, size_t *ret_size, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	CLEANUP(cleanup_free) char *text = NULL;
	struct stat st;
	size_t used = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, -errno, "cannot read the policy %s: %m", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "cannot read the policy %s: it is no ordinary file", path);
	text = malloc(FILE_MAX + 1);
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	while (used <= FILE_MAX && (n = read(fd, text + used, FILE_MAX + 1 - used)) != 0) {
		if (n < 0)
			return err_set(err, -errno, "cannot read the policy %s: %m", path);
		used += (size_t)n;
	}
	*ret_text = text;
	*ret_size = used;
	text = NULL;
	return 0;
}

static int load_at(const char *path, unsigned int depth, struct policy *ret_policy, struct err *err)
{
	CLEANUP(cleanup_free) char *text = NULL;
	size_t size = 0;
	int r = read_file(path, &text, &size, err);

	return r < 0 ? r : policy_parse_at(text, size, path, depth, ret_policy, err);
}

static int find_profile(const char *name, unsigned int depth, struct policy *ret_policy, struct err *err)
{
	char file[POLICY_FILE_BYTES], hint[128];
	struct policy policy;
	int r;

	for (const struct profiles_text *profile = profiles_texts; profile->name; profile++) {
		if (strcmp(profile->name, name) != 0)
			continue;
		snprintf(file, sizeof file, "built-in %s", name);
		r = policy_parse_at(profile->text, strlen(profile->text), file, depth, &policy, err);
		if (r < 0)
			return r;
		snprintf(policy.name, sizeof policy.name, "%s", name);
		*ret_policy = policy;
		return 0;
	}
	return err_set(err, -ENOENT, "there is no profile \"%s\"%s (a file's name has a '/' or a '.')", name,
		       near_hint(hint, sizeof hint, name, policy_profile));
}

int policy_find_at(const char *name_or_path, const char *beside, unsigned int depth, struct policy *ret_policy,
		   struct err *err)
{
	const char *slash = beside ? strrchr(beside, '/') : NULL;
	char path[POLICY_FILE_BYTES * 2];

	if (!strpbrk(name_or_path, "/."))
		return find_profile(name_or_path, depth, ret_policy, err);
	if (!slash || *name_or_path == '/')
		return load_at(name_or_path, depth, ret_policy, err);
	if (snprintf(path, sizeof path, "%.*s%s", (int)(slash + 1 - beside), beside, name_or_path) >= (int)sizeof path)
		return err_set(err, -ENAMETOOLONG, "the path of the policy %s is too long", name_or_path);
	return load_at(path, depth, ret_policy, err);
}

int policy_load(const char *path, struct policy *ret_policy, struct err *err)
{
	return load_at(path, 0, ret_policy, err);
}

int policy_find(const char *name_or_path, struct policy *ret_policy, struct err *err)
{
	return policy_find_at(name_or_path, NULL, 0, ret_policy, err);
}
