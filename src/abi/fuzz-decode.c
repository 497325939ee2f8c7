/* SPDX-License-Identifier: MIT */
/*
 * Any entry and completion into a buffer of any size: input is the size, an entry, a completion and a file's name. Also
 * asks the rows about the entry, which comes from the same untrusted place.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "abi/decode.h"
#include "abi/op.h"
#include "abi/uring.h"

struct input {
	uint16_t size;
	uint16_t ops_known;
	uint32_t setup_flags;
	struct uring_sqe sqe;
	struct uring_cqe cqe;
	char name[32];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_end(const char *text, size_t size, size_t length)
{
	if (size ? length >= size || text[length] || strlen(text) != length : length != 0)
		abort();
}

static void ask(const struct input *input)
{
	const struct abi_op *op = abi_op(input->sqe.opcode);
	const char *field = NULL;

	for (int i = 0; i < ABI_MAX_POINTERS && op->pointers[i].name; i++)
		if (abi_pointer_applies(&op->pointers[i], &input->sqe)) {
			abi_pointer_address(&op->pointers[i], &input->sqe);
			abi_pointer_length(&op->pointers[i], &input->sqe);
		}
	abi_sqe_is_multishot(&input->sqe);
	if ((abi_sqe_refused(&input->sqe, input->setup_flags, input->ops_known, &field) < 0) != (field != NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { 0 };
	size_t room;
	char *text;

	memcpy(&input, data, size < sizeof(input) ? size : sizeof(input));
	input.name[sizeof(input.name) - 1] = '\0';
	room = input.size % 600;
	text = malloc(room ? room : 1);
	if (!text)
		return 0;
	must_end(text, room, abi_decode_sqe(text, room, &input.sqe, input.name));
	must_end(text, room, abi_decode_sqe(text, room, &input.sqe, NULL));
	must_end(text, room, abi_decode_cqe(text, room, &input.cqe));
	for (int which = ABI_FLAGS_SQE; which <= ABI_FLAGS_FEATURES; which++)
		must_end(text, room, abi_decode_flags(text, room, (enum abi_flags)which, input.setup_flags));
	abi_register_name(input.setup_flags);
	ask(&input);
	free(text);
	return 0;
}
