/* SPDX-License-Identifier: MIT */
/*
 * Error texts.
 *
 * A function that can fail for a reason worth telling a person takes a `struct err *` as its last argument, writes
 * the text where the object's name is known, and returns the code. The struct belongs to the caller and never
 * allocates. Codes: 0 is success, a negative errno is forwarded unchanged, a positive value is an outcome that the
 * function's own comment names and that its direct caller handles.
 */
#pragma once

struct err {
	char text[512];
};

/* Writes the formatted text (truncated to fit) into `err`, which may be NULL, and returns `code` unchanged. */
int err_set(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text that is already there, and returns `code` unchanged. */
int err_wrap(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
