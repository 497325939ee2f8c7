/* SPDX-License-Identifier: MIT */
#include "report/common.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

const struct report_format report_formats[] = {
	{ "text", report_text_new, false },
	{ "json", report_json_new, false },
	{ "sarif", report_sarif_new, true },
	{ NULL, NULL, false },
};

const char *common_level(enum hazard_level level)
{
	static const char *const names[] = { "note", "note", "warning", "error" };

	return level <= HAZARD_ERROR ? names[level] : "error";
}

const char *common_path(const char *path)
{
	char cwd[PATH_MAX];
	size_t n;

	/* Where there is a build directory, names begin with the way out of it: "../src/x.c". */
	if (!getcwd(cwd, sizeof cwd) || strcmp(cwd, "/") == 0)
		return path;
	n = strlen(cwd);
	return strncmp(path, cwd, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

size_t common_frames(const struct stack *stack)
{
	for (size_t i = 0; i < stack->n_frames; i++)
		if (stack->frames[i].name && strcmp(stack->frames[i].name, "main") == 0)
			return i + 1;
	return stack->n_frames;
}

static bool begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Debug information for libc or liburing may be installed, and inline functions of their headers are everywhere. */
static bool is_users(const struct stack_frame *frame)
{
	static const char *const systems[] = { "/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/" };

	for (size_t i = 0; i < sizeof systems / sizeof *systems; i++)
		if (begins_with(frame->module, systems[i]))
			return false;
	return frame->file && !begins_with(frame->file, "/usr/include/");
}

size_t common_user_frame(const struct stack *stack)
{
	size_t n = common_frames(stack);

	for (size_t i = 0; i < n; i++)
		if (is_users(&stack->frames[i]))
			return i;
	for (size_t i = 0; i < n; i++)
		if (stack->frames[i].file)
			return i;
	return 0;
}

const struct stack_frame *common_place(struct stacks *stacks, const struct finding_stack *stack)
{
	const struct stack *named = stack->stack ? stacks_symbolize(stacks, stack->pid, stack->stack) : NULL;
	const struct stack_frame *frame = named && named->n_frames ? &named->frames[common_user_frame(named)] : NULL;

	return frame && frame->file ? frame : NULL;
}

json_t *common_string(const char *text)
{
	json_t *string = json_string(text);
	CLEANUP(cleanup_free) char *plain = string ? NULL : strdup(text);

	if (string || !plain)
		return string;
	for (char *c = plain; *c; c++)
		if (*c & 0x80)
			*c = '?';
	return json_string(plain);
}

void common_set(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, common_string(text));
}

int common_flush(FILE *file)
{
	errno = 0;
	if (fflush(file) == 0 && !ferror(file))
		return 0;
	return errno ? -errno : -EIO;
}
