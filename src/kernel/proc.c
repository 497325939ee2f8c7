/* SPDX-License-Identifier: MIT */
#include "kernel/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"

/* ---- texts ---- */

/* What follows "key:" at the beginning of a line, or NULL. */
static const char *line_of(const char *text, const char *key)
{
	size_t length = strlen(key);

	while (text) {
		if (strncmp(text, key, length) == 0)
			return text + length;
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

/* The number at or after *text on this line, which moves on behind it; false when there is none. */
static bool number(const char **text, int base, uint64_t *ret_number)
{
	char *end;
	uint64_t value;

	*text += strspn(*text, " \t");
	if (**text < '0' || (**text > '9' && base == 10))
		return false;
	errno = 0;
	value = strtoull(*text, &end, base);
	if (end == *text || errno)
		return false;
	*text = end;
	*ret_number = value;
	return true;
}

static int64_t number_of(const char *text, const char *key, int nth)
{
	uint64_t value = 0;

	text = line_of(text, key);
	if (!text)
		return -1;
	for (int i = 0; i < nth; i++)
		if (!number(&text, 10, &value))
			return -1;
	return value > INT64_MAX ? -1 : (int64_t)value;
}

static bool mask_of(const char *text, const char *key, uint64_t *ret_mask)
{
	text = line_of(text, key);
	return text && number(&text, 16, ret_mask);
}

void proc_parse_status(const char *text, struct proc_status *ret_status)
{
	struct proc_status status = { .name = "" };
	const char *name = line_of(text, "Name:"), *groups = line_of(text, "Groups:");
	uint64_t group;

	if (name) {
		name += strspn(name, " \t");
		snprintf(status.name, sizeof(status.name), "%.*s", (int)strcspn(name, "\n"), name);
	}
	status.pid = number_of(text, "Pid:", 1);
	status.tgid = number_of(text, "Tgid:", 1);
	status.parent = number_of(text, "PPid:", 1);
	status.tracer = number_of(text, "TracerPid:", 1);
	status.uid = number_of(text, "Uid:", 2);
	status.gid = number_of(text, "Gid:", 2);
	while (groups && status.n_groups < PROC_GROUPS_MAX && number(&groups, 10, &group))
		status.groups[status.n_groups++] = (int64_t)group;
	status.threads = number_of(text, "Threads:", 1);
	status.no_new_privs = (int)number_of(text, "NoNewPrivs:", 1);
	status.seccomp = (int)number_of(text, "Seccomp:", 1);
	status.seccomp_filters = (int)number_of(text, "Seccomp_filters:", 1);
	status.has_caps =
		mask_of(text, "CapEff:", &status.cap_effective) && mask_of(text, "CapBnd:", &status.cap_bounding);
	*ret_status = status;
}

static bool limit(const char **text, uint64_t *ret_limit)
{
	static const char unlimited[] = "unlimited";

	*text += strspn(*text, " \t");
	if (strncmp(*text, unlimited, sizeof(unlimited) - 1) != 0)
		return number(text, 10, ret_limit);
	*text += sizeof(unlimited) - 1;
	*ret_limit = UINT64_MAX;
	return true;
}

int proc_parse_limit(const char *text, const char *name, uint64_t *ret_soft, uint64_t *ret_hard)
{
	uint64_t soft, hard;

	text = line_of(text, name);
	if (!text || !limit(&text, &soft) || !limit(&text, &hard))
		return -ENOENT;
	*ret_soft = soft;
	*ret_hard = hard;
	return 0;
}

/* Whether `word` is one of those that commas part, in the first `length` bytes. */
static bool is_among(const char *words, size_t length, const char *word)
{
	const char *end = words + length;
	size_t n = strlen(word);

	while (words < end) {
		size_t m = strcspn(words, ",");

		if (m > (size_t)(end - words))
			m = (size_t)(end - words);
		if (m == n && memcmp(words, word, n) == 0)
			return true;
		words += m + 1;
	}
	return false;
}

int proc_parse_cgroup(const char *text, const char *controller, char *path, size_t size)
{
	while (text && *text) {
		const char *names = strchr(text, ':'), *end = strchr(text, '\n'), *value;
		size_t length = end ? (size_t)(end - text) : strlen(text);
		const char *stop = text + length;

		value = names && names < stop ? strchr(names + 1, ':') : NULL;
		if (value && value < stop) {
			size_t n_names = (size_t)(value - names - 1), n = (size_t)(stop - value - 1);

			if ((*controller ? is_among(names + 1, n_names, controller) : n_names == 0) && n < size) {
				memcpy(path, value + 1, n);
				path[n] = '\0';
				return 0;
			}
		}
		text = end ? end + 1 : NULL;
	}
	return -ENOENT;
}

/* mountinfo writes blanks, tabs, newlines and backslashes as \ooo. */
static int unescape(const char *from, size_t length, char *to, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned int c = (unsigned char)from[i];

		if (c == '\\' && i + 3 < length && from[i + 1] >= '0' && from[i + 1] <= '3') {
			c = (unsigned int)((from[i + 1] - '0') << 6 | (from[i + 2] & 7) << 3 | (from[i + 3] & 7));
			i += 3;
		}
		if (n + 1 >= size)
			return -ENAMETOOLONG;
		to[n++] = (char)c;
	}
	to[n] = '\0';
	return 0;
}

struct word {
	const char *at;
	size_t length;
};

static struct word next_word(const char **line, const char *end)
{
	struct word word = { *line, 0 };

	while (word.at + word.length < end && word.at[word.length] != ' ')
		word.length++;
	*line = word.at + word.length + (word.at + word.length < end);
	return word;
}

static bool is_word(const struct word *word, const char *text)
{
	return word->length == strlen(text) && memcmp(word->at, text, word->length) == 0;
}

/* Of the fields before and after the separator "-" those that matter. */
enum { MOUNT_ROOT = 3, MOUNT_POINT = 4, MOUNT_BEFORE = 6, MOUNT_TYPE = 6, MOUNT_SUPER = 8, MOUNT_WORDS };

static void split_mount(const char *line, const char *end, struct word *words)
{
	struct word separator;

	for (int i = 0; i < MOUNT_BEFORE; i++)
		words[i] = next_word(&line, end);
	do
		separator = next_word(&line, end);
	while (line < end && !is_word(&separator, "-"));
	for (int i = MOUNT_BEFORE; i < MOUNT_WORDS; i++)
		words[i] = next_word(&line, end);
}

int proc_parse_mount(const char *text, const char *type, const char *option, char *point, char *root, size_t size)
{
	while (text && *text) {
		const char *end = strchr(text, '\n');
		struct word w[MOUNT_WORDS];

		split_mount(text, end ? end : text + strlen(text), w);
		if (is_word(&w[MOUNT_TYPE], type) &&
		    (!option || is_among(w[MOUNT_SUPER].at, w[MOUNT_SUPER].length, option)) &&
		    unescape(w[MOUNT_POINT].at, w[MOUNT_POINT].length, point, size) == 0 &&
		    (!root || unescape(w[MOUNT_ROOT].at, w[MOUNT_ROOT].length, root, size) == 0))
			return 0;
		text = end ? end + 1 : NULL;
	}
	return -ENOENT;
}

uint32_t proc_parse_release(const char *release)
{
	static const uint64_t most[] = { UINT8_MAX, UINT8_MAX, UINT16_MAX };
	uint64_t part[3] = { 0 };

	for (int i = 0; i < 3 && number(&release, 10, &part[i]); i++) {
		if (part[i] > most[i])
			part[i] = most[i];
		if (*release != '.')
			break;
		release++;
	}
	return PROC_VERSION(part[0], part[1], part[2]);
}

/* ---- files ---- */

ssize_t proc_read_at(int at, const char *path, char *buf, size_t size)
{
	CLEANUP(cleanup_fd) int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t n = 0;

	if (fd < 0)
		return -errno;
	while (n + 1 < size) {
		ssize_t r = read(fd, buf + n, size - 1 - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	buf[n] = '\0';
	return (ssize_t)n;
}

ssize_t proc_read(const char *path, char *buf, size_t size)
{
	return proc_read_at(AT_FDCWD, path, buf, size);
}

int proc_read_number(const char *path, int64_t *ret_number)
{
	char text[64], *end;
	ssize_t n = proc_read(path, text, sizeof(text));
	int64_t value;

	if (n < 0)
		return (int)n;
	if (strcmp(text, "max\n") == 0) {
		*ret_number = INT64_MAX;
		return 0;
	}
	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || errno || (*end && *end != '\n'))
		return -EINVAL;
	*ret_number = value;
	return 0;
}

int proc_read_status(pid_t pid, struct proc_status *ret_status)
{
	char path[64], text[8192];
	ssize_t n;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/status");
	n = proc_read(path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	proc_parse_status(text, ret_status);
	return 0;
}

int proc_shares_namespace(pid_t pid, const char *kind)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	if (stat(path, &ours) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	if (stat(path, &theirs) < 0)
		return -errno;
	return ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

uint32_t proc_kernel_version(void)
{
	struct utsname name;

	return uname(&name) < 0 ? 0 : proc_parse_release(name.release);
}
