/* SPDX-License-Identifier: MIT */
/*
 * Which memory a request uses: what its row in the op table says of the entry's own pointers, and what the sensor kept
 * of the vectors and headers behind them. Lengths are the program's; nothing is followed.
 */
#include <errno.h>
#include <string.h>

#include "model/inner.h"

enum { VECTOR_NAMES = 16, RANGES_MAX = 1024 };

static const char *const iov_names[VECTOR_NAMES + 1] = {
	"iov[0]", "iov[1]",  "iov[2]",  "iov[3]",  "iov[4]",  "iov[5]",  "iov[6]",  "iov[7]", "iov[8]",
	"iov[9]", "iov[10]", "iov[11]", "iov[12]", "iov[13]", "iov[14]", "iov[15]", "iov[]",
};

static const char *const msg_names[VECTOR_NAMES + 1] = {
	"msg_iov[0]",  "msg_iov[1]",  "msg_iov[2]",  "msg_iov[3]",  "msg_iov[4]",  "msg_iov[5]",
	"msg_iov[6]",  "msg_iov[7]",  "msg_iov[8]",  "msg_iov[9]",  "msg_iov[10]", "msg_iov[11]",
	"msg_iov[12]", "msg_iov[13]", "msg_iov[14]", "msg_iov[15]", "msg_iov[]",
};

/* struct iovec and struct msghdr of 64-bit programs. */
struct vector {
	uint64_t base, length;
};

struct header {
	uint64_t name;
	uint32_t name_length, pad;
	uint64_t iov, n_iov, control, control_length;
	uint32_t flags, pad2;
};
_Static_assert(sizeof(struct header) == 56, "kernel ABI");

struct builder {
	struct model *model;
	struct model_request *request;
	const struct event_submit *event;
	struct model_range **end;
	unsigned n;
	int error;
};

static void add(struct builder *builder, struct model_range what)
{
	struct model_range *range;

	if (!what.address || !what.length || builder->n == RANGES_MAX || builder->error)
		return;
	range = pool_take(&builder->model->ranges);
	if (!range) {
		builder->error = -ENOMEM;
		return;
	}
	*range = what;
	range->request = builder->request;
	*builder->end = range;
	builder->end = &range->next;
	builder->n++;
}

static const struct event_arg *next_arg(const struct event_submit *event, const struct event_arg *arg)
{
	const char *end = (const char *)event + event->h.size;
	const char *at =
		arg ? (const char *)arg + arg->size : (const char *)(event + 1) + (event->sqe_size == 128 ? 64 : 0);

	if (at > end || (size_t)(end - at) < sizeof(*arg))
		return NULL;
	arg = (const struct event_arg *)at;
	if (arg->size < sizeof(*arg) || arg->size % 8 || arg->size > (size_t)(end - at) ||
	    arg->length > arg->size - sizeof(*arg))
		return NULL;
	return arg;
}

/* The bytes of the event's argument of that kind, and their number; NULL = it has none. */
static const void *find_arg(const struct event_submit *event, enum event_arg_kind kind, uint32_t *ret_length)
{
	const struct event_arg *arg = NULL;

	for (unsigned i = 0; i < event->n_args; i++) {
		arg = next_arg(event, arg);
		if (!arg)
			return NULL;
		if (arg->kind != kind)
			continue;
		*ret_length = arg->length;
		return arg + 1;
	}
	return NULL;
}

static bool kernel_writes(const struct model_request *request)
{
	return request->op->traits & ABI_READS_FILE;
}

static void add_vector(struct builder *builder, enum event_arg_kind kind, const char *const *names)
{
	const struct model_request *request = builder->request;
	uint32_t length = 0;
	const struct vector *vector = find_arg(builder->event, kind, &length);

	if (!vector || request->sqe.flags & URING_SQE_BUFFER_SELECT)
		return;
	for (uint32_t i = 0; i < length / sizeof(*vector); i++)
		add(builder,
		    (struct model_range){
			    .address = vector[i].base,
			    .length = vector[i].length,
			    .name = names[i < VECTOR_NAMES ? i : VECTOR_NAMES],
			    .direction = kernel_writes(request) ? ABI_OUT : ABI_IN,
			    .lifetime = request->op->traits & ABI_ZERO_COPY ? ABI_UNTIL_NOTIF : ABI_UNTIL_COMPLETE,
			    .kind = ABI_DATA,
		    });
}

/* What hangs on a msghdr: vectors, name and control (lifetimes as measured on Linux 6.18). */
static void add_header(struct builder *builder)
{
	bool receives = kernel_writes(builder->request);
	uint32_t length = 0;
	const void *bytes = find_arg(builder->event, EVENT_ARG_MSGHDR, &length);
	struct header header;

	if (!bytes || length < sizeof(header))
		return;
	memcpy(&header, bytes, sizeof(header));
	add_vector(builder, EVENT_ARG_MSG_IOVEC, msg_names);
	add(builder, (struct model_range){ .address = header.iov,
					   .length = header.n_iov < 1024 ? header.n_iov * sizeof(struct vector) : 0,
					   .name = "msg_iov",
					   .direction = ABI_IN,
					   .lifetime = ABI_UNTIL_CONSUMED,
					   .kind = ABI_IOVEC });
	add(builder, (struct model_range){ .address = header.control,
					   .length = header.control_length,
					   .name = "msg_control",
					   .direction = receives ? ABI_OUT : ABI_IN,
					   .lifetime = ABI_UNTIL_COMPLETE,
					   .kind = ABI_STRUCT });
	add(builder, (struct model_range){ .address = header.name,
					   .length = header.name_length,
					   .name = "msg_name",
					   .direction = receives ? ABI_OUT : ABI_IN,
					   .lifetime = receives ? ABI_UNTIL_COMPLETE : ABI_UNTIL_CONSUMED,
					   .kind = ABI_SOCKADDR });
}

/* Lengths that only the memory says. */
static uint64_t length_in_memory(const struct builder *builder, const struct abi_pointer *pointer)
{
	uint32_t length = 0, value = 0;
	const void *bytes;

	if (pointer->length != ABI_LEN_SOCKLEN)
		return 0;
	bytes = find_arg(builder->event, EVENT_ARG_SOCKLEN, &length);
	if (!bytes || length < sizeof(value))
		return 0;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void add_pointer(struct builder *builder, const struct abi_pointer *pointer)
{
	const struct uring_sqe *sqe = &builder->request->sqe;
	uint64_t length = abi_pointer_length(pointer, sqe);

	add(builder, (struct model_range){ .address = abi_pointer_address(pointer, sqe),
					   .length = length ? length : length_in_memory(builder, pointer),
					   .name = pointer->name,
					   .direction = pointer->direction,
					   .lifetime = pointer->lifetime,
					   .kind = pointer->kind });
	if (pointer->kind == ABI_IOVEC)
		add_vector(builder, EVENT_ARG_IOVEC, iov_names);
	else if (pointer->kind == ABI_MSGHDR)
		add_header(builder);
}

int arguments_ranges(struct model *model, struct model_request *request, const struct event_submit *event)
{
	struct builder builder = { .model = model, .request = request, .event = event, .end = &request->ranges };

	for (unsigned i = 0; i < ABI_MAX_POINTERS && request->op->pointers[i].name; i++)
		if (abi_pointer_applies(&request->op->pointers[i], &request->sqe))
			add_pointer(&builder, &request->op->pointers[i]);
	return builder.error;
}

static void give(struct model *model, struct model_request *request, bool consumed_only)
{
	struct model_range **at = &request->ranges;

	while (*at) {
		struct model_range *range = *at;

		if (consumed_only && range->lifetime != ABI_UNTIL_CONSUMED) {
			at = &range->next;
			continue;
		}
		*at = range->next;
		ranges_remove(&request->process->ranges, range);
		pool_give(&model->ranges, range);
	}
}

void arguments_give(struct model *model, struct model_request *request)
{
	give(model, request, false);
}

void arguments_give_consumed(struct model *model, struct model_request *request)
{
	give(model, request, true);
}
