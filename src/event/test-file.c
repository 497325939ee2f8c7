/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "event/event.h"
#include "event/file.h"
#include "event/source.h"

static char path[] = "/tmp/circlip-test-file-XXXXXX";

static const struct event_file_info info = { .abilities = SOURCE_SQES | SOURCE_FDS, .sqpoll_emulated = 1, .program = "/bin/program" };

static struct event_enter enter_event(uint64_t seq)
{
	return (struct event_enter){ .h = { .kind = EVENT_ENTER, .size = sizeof(struct event_enter), .pid = 7, .seq = seq },
				     .to_submit = (uint32_t)seq };
}

static void record(unsigned n)
{
	struct event_writer *writer = NULL;
	struct err err;

	assert_int_equal(event_writer_new(path, &info, &writer, &err), 0);
	for (unsigned i = 1; i <= n; i++) {
		struct event_enter event = enter_event(i);

		assert_int_equal(event_writer_write(writer, &event.h, &err), 0);
	}
	assert_int_equal(event_writer_close(writer, &err), 0);
}

/* Reads until something else than an event comes; returns that. */
static int read_all(unsigned *ret_n, struct err *err)
{
	struct event_file_info got;
	struct source *source = NULL;
	const struct event *event;
	int r = event_file_source_new(path, &source, &got, err);

	*ret_n = 0;
	if (r < 0)
		return r;
	while ((r = source->next(source, 0, &event, err)) == SOURCE_EVENT)
		++*ret_n;
	source->destroy(source);
	return r;
}

static void reads_what_was_written(void **state)
{
	struct event_file_info got;
	struct source *source = NULL;
	const struct event *event;
	struct err err;

	record(3);
	assert_int_equal(event_file_source_new(path, &source, &got, &err), 0);
	assert_int_equal(source->abilities, info.abilities);
	assert_int_equal(got.sqpoll_emulated, 1);
	assert_string_equal(got.program, "/bin/program");
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(source->next(source, 0, &event, &err), SOURCE_EVENT);
		assert_int_equal(event->seq, i);
		assert_int_equal(((const struct event_enter *)event)->to_submit, i);
	}
	assert_int_equal(source->next(source, 0, &event, &err), SOURCE_END);
	source->destroy(source);
}

static void a_cut_file_yields_what_came_before(void **state)
{
	struct err err;
	unsigned n;
	size_t whole = 64 + 16 + 3 * sizeof(struct event_enter);

	for (size_t cut = 1; cut < sizeof(struct event_enter); cut += 7) {
		record(3);
		assert_int_equal(truncate(path, (off_t)(whole - cut)), 0);
		assert_int_equal(read_all(&n, &err), -EBADMSG);
		assert_int_equal(n, 2);
		assert_non_null(strstr(err.text, "offset"));
	}
}

static void poke(size_t offset, uint32_t value)
{
	FILE *file = fopen(path, "r+b");

	assert_non_null(file);
	assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
	assert_int_equal(fwrite(&value, sizeof(value), 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

static void damage_is_named_with_its_place(void **state)
{
	struct err err;
	unsigned n;

	record(3);
	poke(64 + 16 + sizeof(struct event_enter), 4u << 16 | EVENT_ENTER); /* an event of 4 bytes */
	assert_int_equal(read_all(&n, &err), -EBADMSG);
	assert_int_equal(n, 1);
	assert_non_null(strstr(err.text, "offset"));
	record(1);
	poke(8, EVENT_VERSION + 1);
	assert_int_equal(read_all(&n, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "version"));
	record(1);
	poke(0, 0);
	assert_int_equal(read_all(&n, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "not a recording"));
	record(1);
	poke(24, 100000);
	assert_int_equal(read_all(&n, &err), -EBADMSG);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(read_all(&n, &err), -EBADMSG);
}

static void an_event_must_hold_what_it_claims(void **state)
{
	struct event_stack event = { .h = { .kind = EVENT_STACK, .size = sizeof(event) } };
	struct err err;

	assert_int_equal(event_check(&event.h, sizeof(event), &err), 0);
	event.bytes = 8;
	assert_int_equal(event_check(&event.h, sizeof(event), &err), -EBADMSG);
	event.bytes = 0;
	assert_int_equal(event_check(&event.h, sizeof(event) - 8, &err), -EBADMSG);
	event.h.size -= 8;
	assert_int_equal(event_check(&event.h, sizeof(event), &err), -EBADMSG);
	event.h.size = sizeof(struct event);
	event.h.kind = EVENT_KIND_COUNT; /* of a later version */
	assert_int_equal(event_check(&event.h, sizeof(event), &err), 0);
}

static void an_array_ends_where_it_is_damaged(void **state)
{
	struct event_enter events[2] = { enter_event(1), enter_event(2) };
	struct source *source = event_array_source_new(events, sizeof(events), SOURCE_SQES);
	const struct event *event;
	struct err err;

	assert_int_equal(source->next(source, 0, &event, &err), SOURCE_EVENT);
	events[1].h.size = 3;
	assert_int_equal(source->next(source, 0, &event, &err), -EBADMSG);
	events[1].h.size = sizeof(events[1]);
	assert_int_equal(source->next(source, 0, &event, &err), SOURCE_EVENT);
	assert_int_equal(source->next(source, 0, &event, &err), SOURCE_END);
	source->destroy(source);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(a_cut_file_yields_what_came_before),
		cmocka_unit_test(damage_is_named_with_its_place),
		cmocka_unit_test(an_event_must_hold_what_it_claims),
		cmocka_unit_test(an_array_ends_where_it_is_damaged),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	(void)close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	return failed;
}
