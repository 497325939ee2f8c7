/* SPDX-License-Identifier: MIT */
#include "enforce/agent-log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

static const char *const levels[] = { [AGENT_INFO] = "info", [AGENT_WARNING] = "warning", [AGENT_ERROR] = "error" };

int agent_log_open(const char *path, struct agent_log *ret_log, struct err *err)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640) : STDERR_FILENO;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	*ret_log = (struct agent_log){ .fd = fd };
	return 0;
}

void agent_log_close(struct agent_log *log)
{
	if (log->fd > STDERR_FILENO)
		(void)close(log->fd);
	log->fd = -1;
}

static json_t *now(void)
{
	char date[32], text[48];
	struct timespec at;
	struct tm parts;

	clock_gettime(CLOCK_REALTIME, &at);
	gmtime_r(&at.tv_sec, &parts);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text, sizeof text, "%s.%06uZ", date, (unsigned int)(at.tv_nsec / 1000) % 1000000u);
	return json_string(text);
}

/* True when the whole line is out. */
static bool put(int fd, const char *line, size_t length)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };

	while (length) {
		ssize_t n;

		if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
			return false;
		n = write(fd, line, length);
		if (n < 0 && errno != EINTR)
			return false;
		line += n > 0 ? n : 0;
		length -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

static void put_line(struct agent_log *log, json_t *object)
{
	CLEANUP(cleanup_free) char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	size_t length = text ? strlen(text) : 0;

	if (!text) {
		log->dropped++;
		return;
	}
	text[length] = '\n'; /* in place of the NUL; the length is passed on */
	if (put(log->fd, text, length + 1))
		log->dropped_before = log->dropped;
	else
		log->dropped++;
}

void agent_log(struct agent_log *log, enum agent_level level, const char *event, const char *format, ...)
{
	json_t *object = json_object(), *more;
	char whole[256];
	va_list args;

	snprintf(whole, sizeof whole, "{%s}", format);
	va_start(args, format);
	more = json_vpack_ex(NULL, 0, whole, args);
	va_end(args);
	json_object_set_new(object, "time", now());
	json_object_set_new(object, "level", json_string(levels[level]));
	json_object_set_new(object, "event", json_string(event));
	if (log->dropped > log->dropped_before)
		json_object_set_new(object, "dropped", json_integer((json_int_t)(log->dropped - log->dropped_before)));
	if (more)
		json_object_update(object, more);
	put_line(log, object);
	json_decref(more);
	json_decref(object);
}
