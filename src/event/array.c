/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "event/event.h"
#include "event/file.h"
#include "event/source.h"

struct array {
	struct source source; /* first: the source is the array */
	const char *events;
	size_t bytes, at;
};

static int array_next(struct source *source, uint64_t deadline_ns, const struct event **ret_event, struct err *err)
{
	struct array *array = (struct array *)source;
	const struct event *event = (const struct event *)(array->events + array->at);

	if (array->at == array->bytes)
		return SOURCE_END;
	if (event_check(event, array->bytes - array->at, err) < 0)
		return err_wrap(err, -EBADMSG, "at byte %zu", array->at);
	array->at += event->size;
	*ret_event = event;
	return SOURCE_EVENT;
}

static struct source *array_destroy(struct source *source)
{
	free(source);
	return NULL;
}

struct source *event_array_source_new(const void *events, size_t bytes, uint32_t abilities)
{
	struct array *array = calloc(1, sizeof(*array));

	if (!array)
		return NULL;
	array->source = (struct source){ "array", abilities, array_next, array_destroy };
	array->events = events;
	array->bytes = bytes;
	return &array->source;
}
