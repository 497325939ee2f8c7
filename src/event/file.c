/* SPDX-License-Identifier: MIT */
/*
 * The recording: header, then the events as they are. Its byte order is the machine's; a foreign file is refused rather than
 * turned. Events carry what the sensor knew, so that the same engine comes to the same findings later.
 */
#include "event/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "event/event.h"
#include "event/source.h"

enum { BYTE_ORDER_MARK = 0x01020304, EMULATED = 1, BUFFER = 1 << 20 };

static const char magic[8] = { 'c', 'i', 'r', 'c', 'l', 'i', 'p', '\n' };

struct file_header {
	char magic[8];
	uint32_t version, order;
	uint32_t abilities, options;
	uint32_t program_length; /* of the path that follows, padded to 8 bytes */
	uint32_t reserved[9];
};
_Static_assert(sizeof(struct file_header) == 64, "file format");

/* ---- writing ---- */

struct event_writer {
	FILE *file;
	char path[256];
};

static int write_failed(const struct event_writer *writer, struct err *err)
{
	int code = errno ? -errno : -EIO;

	return err_set(err, code, "%s: %s", writer->path, strerror(-code));
}

static int write_header(struct event_writer *writer, const struct event_file_info *info, struct err *err)
{
	char program[sizeof(info->program) + 8] = "";
	struct file_header header = {
		.version = EVENT_VERSION,
		.order = BYTE_ORDER_MARK,
		.abilities = info->abilities,
		.options = info->sqpoll_emulated ? EMULATED : 0,
		.program_length = (uint32_t)strnlen(info->program, sizeof(info->program)),
	};
	size_t padded = (header.program_length + 7) / 8 * 8;

	memcpy(header.magic, magic, sizeof(magic));
	memcpy(program, info->program, header.program_length);
	if (fwrite(&header, sizeof(header), 1, writer->file) != 1 ||
	    (padded && fwrite(program, padded, 1, writer->file) != 1))
		return write_failed(writer, err);
	return 0;
}

int event_writer_new(const char *path, const struct event_file_info *info, struct event_writer **ret_writer,
		     struct err *err)
{
	struct event_writer *writer = calloc(1, sizeof(*writer));
	int r;

	if (!writer)
		return err_set(err, -ENOMEM, "out of memory");
	(void)snprintf(writer->path, sizeof(writer->path), "%s", path);
	writer->file = fopen(path, "wbe");
	if (!writer->file) {
		r = write_failed(writer, err);
		free(writer);
		return r;
	}
	(void)setvbuf(writer->file, NULL, _IOFBF, BUFFER);
	r = write_header(writer, info, err);
	if (r < 0) {
		(void)fclose(writer->file);
		free(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}

int event_writer_write(struct event_writer *writer, const struct event *event, struct err *err)
{
	errno = 0;
	return fwrite(event, event->size, 1, writer->file) == 1 ? 0 : write_failed(writer, err);
}

int event_writer_close(struct event_writer *writer, struct err *err)
{
	int r = 0;

	if (!writer)
		return 0;
	errno = 0;
	if (fclose(writer->file) != 0)
		r = write_failed(writer, err);
	free(writer);
	return r;
}

/* ---- reading ---- */

struct file_source {
	struct source source; /* first */
	FILE *file;
	char path[256];
	uint64_t offset;
	uint64_t event[UINT16_MAX / 8 + 1]; /* the newest, aligned */
};

/* 1 when `size` bytes were read, 0 at the end of the file before any, -EBADMSG or -errno. */
static int read_exactly(struct file_source *file, void *to, size_t size, struct err *err)
{
	size_t got = fread(to, 1, size, file->file);

	if (got < size && ferror(file->file))
		return err_set(err, errno ? -errno : -EIO, "%s: %s", file->path, strerror(errno));
	if (got < size && got)
		return err_set(err, -EBADMSG, "%s: the file ends inside an event at offset %llu", file->path,
			       (unsigned long long)file->offset);
	return got == size;
}

static int file_next(struct source *source, uint64_t deadline_ns, const struct event **ret_event, struct err *err)
{
	struct file_source *file = (struct file_source *)source;
	struct event *event = (struct event *)file->event;
	int r = read_exactly(file, event, sizeof(*event), err);

	if (r <= 0)
		return r < 0 ? r : SOURCE_END;
	r = event->size < sizeof(*event) || event->size % 8 ? event_check(event, UINT16_MAX, err) : 0;
	if (r == 0 && event->size > sizeof(*event)) {
		r = read_exactly(file, event + 1, event->size - sizeof(*event), err);
		if (r == 0)
			return err_set(err, -EBADMSG, "%s: the file ends inside an event at offset %llu", file->path,
				       (unsigned long long)file->offset);
		r = r < 0 ? r : event_check(event, event->size, err);
		if (r < 0 && r != -EBADMSG)
			return r;
	}
	if (r < 0)
		return err_wrap(err, r, "%s: offset %llu", file->path, (unsigned long long)file->offset);
	file->offset += event->size;
	*ret_event = event;
	return SOURCE_EVENT;
}

static struct source *file_destroy(struct source *source)
{
	struct file_source *file = (struct file_source *)source;

	if (!file)
		return NULL;
	if (file->file)
		(void)fclose(file->file);
	free(file);
	return NULL;
}

static int check_header(const struct file_source *file, const struct file_header *header, struct err *err)
{
	if (memcmp(header->magic, magic, sizeof(magic)) != 0)
		return err_set(err, -EBADMSG, "%s: not a recording of circlip", file->path);
	if (header->order != BYTE_ORDER_MARK)
		return err_set(err, -EBADMSG, "%s: recorded on a machine of another byte order", file->path);
	if (header->version > EVENT_VERSION)
		return err_set(err, -EBADMSG, "%s: format version %u, this circlip reads up to %u", file->path,
			       header->version, EVENT_VERSION);
	if (header->program_length >= sizeof(((struct event_file_info *)0)->program))
		return err_set(err, -EBADMSG, "%s: offset 24: a program path of %u bytes", file->path,
			       header->program_length);
	return 0;
}

static int read_header(struct file_source *file, struct event_file_info *info, struct err *err)
{
	struct file_header header;
	int r = read_exactly(file, &header, sizeof(header), err);
	size_t padded;

	if (r == 0)
		return err_set(err, -EBADMSG, "%s: the file is empty", file->path);
	if (r == 1)
		r = check_header(file, &header, err);
	if (r < 0)
		return r;
	padded = (header.program_length + 7) / 8 * 8;
	*info = (struct event_file_info){ .version = header.version,
					  .abilities = header.abilities,
					  .sqpoll_emulated = header.options & EMULATED };
	if (padded && read_exactly(file, info->program, padded, err) != 1)
		return err_set(err, -EBADMSG, "%s: the file ends inside its header", file->path);
	info->program[header.program_length] = 0;
	file->offset = sizeof(header) + padded;
	return 0;
}

int event_file_source_new(const char *path, struct source **ret_source, struct event_file_info *ret_info,
			  struct err *err)
{
	struct file_source *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return err_set(err, -ENOMEM, "out of memory");
	(void)snprintf(file->path, sizeof(file->path), "%s", path);
	file->source = (struct source){ "file", 0, file_next, file_destroy };
	file->file = fopen(path, "rbe");
	r = file->file ? read_header(file, ret_info, err) : err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (r < 0) {
		(void)file_destroy(&file->source);
		return r;
	}
	file->source.abilities = ret_info->abilities;
	*ret_source = &file->source;
	return 0;
}
