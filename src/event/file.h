/* SPDX-License-Identifier: MIT */
/*
 * Recorded events. A file is a 64-byte header (magic "circlip\n", version, abilities, byte order mark, options) and then the events as they are
 * in memory. A truncated or damaged file gives -EBADMSG with the offset in the text; what came before it has been yielded.
 */
#pragma once

#include <stdint.h>
#include <stddef.h>

struct err;
struct event;
struct source;
struct event_writer;

struct event_file_info { uint32_t version, abilities; uint32_t sqpoll_emulated; char program[256]; };

int event_writer_new(const char *path, const struct event_file_info *info, struct event_writer **ret_writer, struct err *err);
int event_writer_write(struct event_writer *writer, const struct event *event, struct err *err);
int event_writer_close(struct event_writer *writer, struct err *err);	/* flushes and frees; NULL is fine */

/* A source that reads the file; `ret_info` says what the recording sensor could see. */
int event_file_source_new(const char *path, struct source **ret_source, struct event_file_info *ret_info, struct err *err);

/* A source over events lying one after the other in memory (tests, fuzzing); the memory is not owned. Malformed sizes end it with -EBADMSG. */
struct source *event_array_source_new(const void *events, size_t bytes, uint32_t abilities);

/* 0 when size, alignment and per-kind minimum lengths hold within `available` bytes; else -EBADMSG and what is wrong. */
int event_check(const struct event *event, size_t available, struct err *err);
