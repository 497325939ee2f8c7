/* SPDX-License-Identifier: MIT */
/* Fields of an entry as rows of tables name them: by their place, because several names share one place. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "abi/uring.h"

struct field {
	uint8_t offset, size; /* 1, 2, 4 or 8 bytes */
};

#define FIELD(member)                                                                                                  \
	{                                                                                                              \
		.offset = offsetof(struct uring_sqe, member), .size = sizeof(((struct uring_sqe *)0)->member)          \
	}

static inline uint64_t field_value(const struct field *field, const struct uring_sqe *sqe)
{
	const unsigned char *at = (const unsigned char *)sqe + field->offset;
	uint64_t value64;
	uint32_t value32;
	uint16_t value16;

	switch (field->size) {
	case sizeof(value64):
		memcpy(&value64, at, sizeof(value64));
		return value64;
	case sizeof(value32):
		memcpy(&value32, at, sizeof(value32));
		return value32;
	case sizeof(value16):
		memcpy(&value16, at, sizeof(value16));
		return value16;
	default:
		return *at;
	}
}
