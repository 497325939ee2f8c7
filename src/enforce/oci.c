/* SPDX-License-Identifier: MIT */
#include "enforce/oci.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

static void json_free(json_t **json)
{
	json_decref(*json);
}

static const char *const statuses[] = {
	[OCI_CREATING] = "creating",
	[OCI_CREATED] = "created",
	[OCI_RUNNING] = "running",
	[OCI_STOPPED] = "stopped",
};

const char *oci_status_name(enum oci_status status)
{
	return statuses[status];
}

/* jansson recurses; how deep, the sender must not choose. Brackets inside strings do not nest. */
static bool is_too_deep(const char *text, size_t size)
{
	bool in_string = false;
	unsigned int depth = 0;

	for (size_t i = 0; i < size; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!in_string && (text[i] == '}' || text[i] == ']'))
			depth -= depth > 0;
		if (depth > OCI_MAX_DEPTH)
			return true;
	}
	return false;
}

/* A text without control characters, so that it can stand in a log, a label or a file's name. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			return false;
	return true;
}

static bool is_id(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!isgraph((unsigned char)*text) || strchr("/\"'\\", *text))
			return false;
	return true;
}

struct text_field {
	const char *name;
	char *to;
	size_t size;
	bool needed;
};

static int take_text(const json_t *object, const struct text_field *field, struct err *err)
{
	const json_t *value = json_object_get(object, field->name);
	const char *text = json_string_value(value);

	if ((!value || json_is_null(value)) && !field->needed)
		return 0;
	if (!text)
		return err_set(err, -EINVAL, "\"%s\" is %s", field->name, value ? "no string" : "missing");
	if (json_string_length(value) >= field->size || strlen(text) != json_string_length(value))
		return err_set(err, -EINVAL, "\"%s\" is longer than %zu bytes or contains a NUL", field->name,
			       field->size - 1);
	if (!is_plain(text))
		return err_set(err, -EINVAL, "\"%s\" contains control characters", field->name);
	memcpy(field->to, text, json_string_length(value) + 1);
	return 0;
}

static int take_texts(const json_t *object, const struct text_field *fields, size_t n, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = take_text(object, &fields[i], err);
	return r;
}

/* The listener must be named exactly once. */
static int take_fds(const json_t *root, struct oci_state *state, struct err *err)
{
	const json_t *fds = json_object_get(root, "fds"), *name;
	unsigned int found = 0;
	size_t i;

	if (!json_is_array(fds))
		return err_set(err, -EINVAL, "\"fds\" is no array");
	if (json_array_size(fds) > OCI_MAX_FDS)
		return err_set(err, -EINVAL, "\"fds\" names more than %d descriptors", OCI_MAX_FDS);
	json_array_foreach(fds, i, name)
	{
		if (!json_is_string(name))
			return err_set(err, -EINVAL, "\"fds\" contains what is no string");
		if (strcmp(json_string_value(name), "seccompFd") == 0)
			found++, state->seccomp_fd = (unsigned int)i;
	}
	state->n_fds = (unsigned int)json_array_size(fds);
	if (found != 1)
		return err_set(err, -EINVAL, "\"fds\" names \"seccompFd\" %u times, not once", found);
	return 0;
}

static int take_pid(const json_t *object, struct oci_state *state, struct err *err)
{
	const json_t *pid = json_object_get(object, "pid");

	if (!pid)
		return 0;
	if (!json_is_integer(pid) || json_integer_value(pid) < 0 || json_integer_value(pid) > INT32_MAX)
		return err_set(err, -EINVAL, "\"pid\" is no process id");
	state->pid = (pid_t)json_integer_value(pid);
	return 0;
}

static int take_status(const char *name, struct oci_state *state, struct err *err)
{
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		if (strcmp(statuses[i], name) == 0)
			return state->status = (enum oci_status)i, 0;
	return err_set(err, -EINVAL, "\"status\" is none of creating, created, running, stopped");
}

static int take_state(const json_t *object, struct oci_state *state, struct err *err)
{
	char status[16] = "";
	const struct text_field fields[] = {
		{ "id", state->id, sizeof state->id, true },
		{ "status", status, sizeof status, true },
		{ "bundle", state->bundle, sizeof state->bundle, false },
	};
	const struct text_field annotation = { OCI_POLICY_ANNOTATION, state->policy, sizeof state->policy, false };
	const json_t *annotations = json_object_get(object, "annotations");
	int r;

	if (!json_is_object(object))
		return err_set(err, -EINVAL, "\"state\" is no object");
	r = take_texts(object, fields, sizeof fields / sizeof *fields, err);
	if (r == 0 && !is_id(state->id))
		r = err_set(err, -EINVAL, "\"id\" is empty, or contains blanks, slashes, quotes or no ASCII");
	if (r == 0)
		r = take_status(status, state, err);
	if (r == 0 && annotations && !json_is_null(annotations) && !json_is_object(annotations))
		r = err_set(err, -EINVAL, "\"annotations\" is no object");
	if (r == 0 && json_is_object(annotations))
		r = take_text(annotations, &annotation, err);
	return r < 0 ? err_wrap(err, r, "state") : 0;
}

static int take_root(const json_t *root, struct oci_state *state, struct err *err)
{
	const struct text_field metadata = { "metadata", state->metadata, sizeof state->metadata, false };
	int r;

	if (!json_is_object(root))
		return err_set(err, -EINVAL, "it is no JSON object");
	r = take_text(root, &metadata, err);
	if (r == 0)
		r = take_pid(root, state, err);
	if (r == 0)
		r = take_fds(root, state, err);
	return r == 0 ? take_state(json_object_get(root, "state"), state, err) : r;
}

int oci_parse(const char *text, size_t size, struct oci_state *ret_state, struct err *err)
{
	CLEANUP(json_free) json_t *root = NULL;
	struct oci_state state = { 0 };
	json_error_t error;
	int r;

	if (size > OCI_MAX_BYTES)
		return err_set(err, -EINVAL, "the state is larger than %d bytes", OCI_MAX_BYTES);
	if (is_too_deep(text, size))
		return err_set(err, -EINVAL, "the state nests deeper than %d levels", OCI_MAX_DEPTH);
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!root && json_error_code(&error) == json_error_premature_end_of_input)
		return OCI_INCOMPLETE;
	if (!root)
		return err_set(err, -EINVAL, "the state is no JSON: line %d, column %d: %s", error.line, error.column,
			       error.text);
	r = take_root(root, &state, err);
	if (r < 0)
		return err_wrap(err, r, "the runtime's state");
	*ret_state = state;
	return 0;
}
