/* SPDX-License-Identifier: MIT */
/*
 * io_uring_register calls that change what requests mean: buffers, files, provided buffers, enabling. The event carries
 * the argument's bytes; where an argument is a struct that points to an array, the array follows it.
 */
#include <errno.h>
#include <string.h>

#include "model/inner.h"

enum { SKIP_FILE = -2, RSRC_SPARSE = 1 };

struct argument {
	struct step *step;
	const struct event_register *event;
	const uint8_t *bytes;
	size_t length;
};

/* struct io_uring_rsrc_register and io_uring_rsrc_update2: 32 bytes each, the array appended. */
struct rsrc_register {
	uint32_t nr, flags;
	uint64_t resv2, data, tags;
};

struct rsrc_update {
	uint32_t offset, resv;
	uint64_t data, tags;
	uint32_t nr, resv2;
};

struct files_update {
	uint32_t offset, resv;
	uint64_t fds;
};

static bool head_of(const struct argument *argument, void *to, size_t size)
{
	if (argument->length < size)
		return false;
	memcpy(to, argument->bytes, size);
	return true;
}

/* ---- buffers ---- */

static int buffers_resize(struct step *step, uint32_t n)
{
	struct model_ring *ring = step->ring;

	model_give_bytes(step->model, ring->buffers, ring->n_buffers, sizeof(*ring->buffers));
	ring->buffers = NULL;
	ring->n_buffers = 0;
	if (!n || n > MODEL_BUFFERS)
		return 0;
	ring->buffers = model_take_bytes(step->model, n, sizeof(*ring->buffers));
	if (!ring->buffers)
		return -ENOMEM;
	ring->n_buffers = n;
	return 0;
}

/* What the event does not show is not to be accused of: it is everywhere. */
static struct model_buffer buffer_at(const uint8_t *array, size_t bytes, uint32_t i)
{
	uint64_t vector[2];

	if ((i + UINT64_C(1)) * sizeof(vector) > bytes)
		return (struct model_buffer){ .length = UINT64_MAX };
	memcpy(vector, array + i * sizeof(vector), sizeof(vector));
	return (struct model_buffer){ .address = vector[0], .length = vector[1] };
}

static int set_buffers(struct argument *argument, uint32_t n, size_t skip)
{
	struct model_ring *ring = argument->step->ring;
	int r = buffers_resize(argument->step, n);

	for (uint32_t i = 0; i < ring->n_buffers; i++)
		ring->buffers[i] = buffer_at(argument->bytes + skip, argument->length - skip, i);
	return r;
}

static int register_buffers(struct argument *argument)
{
	return set_buffers(argument, argument->event->nr_args, 0);
}

static int register_buffers2(struct argument *argument)
{
	struct rsrc_register head;
	int r;

	if (!head_of(argument, &head, sizeof(head)))
		return -EBADMSG;
	r = set_buffers(argument, head.nr, sizeof(head));
	if (head.flags & RSRC_SPARSE)
		for (uint32_t i = 0; i < argument->step->ring->n_buffers; i++)
			argument->step->ring->buffers[i] = (struct model_buffer){ 0 };
	return r;
}

static int update_buffers(struct argument *argument)
{
	struct model_ring *ring = argument->step->ring;
	struct rsrc_update head;

	if (!head_of(argument, &head, sizeof(head)))
		return -EBADMSG;
	for (uint32_t i = 0; i < head.nr && (uint64_t)head.offset + i < ring->n_buffers; i++)
		ring->buffers[head.offset + i] =
			buffer_at(argument->bytes + sizeof(head), argument->length - sizeof(head), i);
	return 0;
}

static int unregister_buffers(struct argument *argument)
{
	return buffers_resize(argument->step, 0);
}

/* From another ring, by a struct of its own: how many there are is not followed. */
static int clone_buffers(struct argument *argument)
{
	struct model_ring *ring = argument->step->ring;
	int r = buffers_resize(argument->step, MODEL_BUFFERS);

	for (uint32_t i = 0; i < ring->n_buffers; i++)
		ring->buffers[i] = (struct model_buffer){ .length = UINT64_MAX };
	return r;
}

/* ---- files ---- */

void register_slot(struct model_ring *ring, uint32_t index, bool used, const struct model_object *object, int32_t fd)
{
	if (index < ring->n_slots)
		ring->slots[index] = (struct model_slot){ .used = used, .object = *object, .fd = fd };
}

static int slots_resize(struct step *step, uint32_t n)
{
	struct model_ring *ring = step->ring;

	model_give_bytes(step->model, ring->slots, ring->n_slots, sizeof(*ring->slots));
	ring->slots = NULL;
	ring->n_slots = 0;
	ring->files_registered = n > 0;
	n = n < MODEL_SLOTS ? n : MODEL_SLOTS;
	if (!n)
		return 0;
	ring->slots = model_take_bytes(step->model, n, sizeof(*ring->slots));
	if (!ring->slots)
		return -ENOMEM;
	ring->n_slots = n;
	return 0;
}

static void set_files(struct argument *argument, uint32_t offset, uint32_t n, size_t skip)
{
	struct step *step = argument->step;

	for (uint32_t i = 0; i < n && i < MODEL_SLOTS; i++) {
		struct model_object object = { .type = EVENT_FD_UNKNOWN };
		const struct model_fd *known;
		int32_t fd;

		if (skip + (i + UINT64_C(1)) * sizeof(fd) > argument->length) {
			register_slot(step->ring, offset + i, true, &object, -1); /* not shown: taken to be used */
			continue;
		}
		memcpy(&fd, argument->bytes + skip + i * sizeof(fd), sizeof(fd));
		if (fd == SKIP_FILE)
			continue;
		known = model_fd_get(step->process, fd);
		if (known && known->open)
			object = known->object;
		register_slot(step->ring, offset + i, fd >= 0, &object, fd);
	}
}

static int register_files(struct argument *argument)
{
	int r = slots_resize(argument->step, argument->event->nr_args);

	set_files(argument, 0, argument->event->nr_args, 0);
	return r;
}

static int register_files2(struct argument *argument)
{
	struct rsrc_register head;
	int r;

	if (!head_of(argument, &head, sizeof(head)))
		return -EBADMSG;
	r = slots_resize(argument->step, head.nr);
	if (!(head.flags & RSRC_SPARSE) && head.data)
		set_files(argument, 0, head.nr, sizeof(head));
	return r;
}

static int update_files(struct argument *argument)
{
	struct files_update head;

	if (!head_of(argument, &head, sizeof(head)))
		return -EBADMSG;
	set_files(argument, head.offset, argument->event->nr_args, sizeof(head));
	return 0;
}

static int update_files2(struct argument *argument)
{
	struct rsrc_update head;

	if (!head_of(argument, &head, sizeof(head)))
		return -EBADMSG;
	set_files(argument, head.offset, head.nr, sizeof(head));
	return 0;
}

static int unregister_files(struct argument *argument)
{
	return slots_resize(argument->step, 0);
}

/* ---- the rest ---- */

static int register_eventfd(struct argument *argument)
{
	struct model_ring *ring = argument->step->ring;

	ring->eventfd_registered = head_of(argument, &ring->eventfd, sizeof(ring->eventfd));
	return 0;
}

static int unregister_eventfd(struct argument *argument)
{
	argument->step->ring->eventfd_registered = false;
	return 0;
}

static int enable(struct argument *argument)
{
	argument->step->ring->disabled = false;
	argument->step->ring->submitter_tid = argument->event->h.tid;
	return 0;
}

/* struct io_uring_restriction: 16 bytes, of which the kind and one byte count. */
enum restriction { RESTRICT_REGISTER_OP, RESTRICT_SQE_OP, RESTRICT_SQE_FLAGS_ALLOWED, RESTRICT_SQE_FLAGS_REQUIRED };

static int register_restrictions(struct argument *argument)
{
	struct model_ring *ring = argument->step->ring;
	const size_t each = 16;

	if (argument->event->nr_args * (uint64_t)each > argument->length)
		return -EBADMSG;
	ring->restricted = true;
	for (uint32_t i = 0; i < argument->event->nr_args; i++) {
		const uint8_t *entry = argument->bytes + i * each;
		unsigned int kind = entry[0] | (unsigned int)entry[1] << 8;

		if (kind == RESTRICT_SQE_OP)
			ring->allowed_ops[entry[2] / 64] |= UINT64_C(1) << entry[2] % 64;
		else if (kind == RESTRICT_SQE_FLAGS_ALLOWED)
			ring->allowed_flags = entry[2];
		else if (kind == RESTRICT_SQE_FLAGS_REQUIRED)
			ring->required_flags = entry[2];
	}
	return 0;
}

static int register_pbuf_ring(struct argument *argument)
{
	struct uring_buf_reg reg;
	struct model_group *group;

	if (!head_of(argument, &reg, sizeof(reg)))
		return -EBADMSG;
	group = pbuf_group_new(argument->step->model, argument->step->ring, reg.bgid);
	if (!group)
		return -ENOMEM;
	group->is_ring = true;
	group->flags = reg.flags;
	group->n_entries = reg.ring_entries;
	group->ring_address = reg.ring_addr;
	return 0;
}

static int unregister_pbuf_ring(struct argument *argument)
{
	struct uring_buf_reg reg;

	if (!head_of(argument, &reg, sizeof(reg)))
		return -EBADMSG;
	pbuf_group_drop(argument->step->model, argument->step->ring, reg.bgid);
	return 0;
}

static int register_personality(struct argument *argument)
{
	argument->step->ring->personalities = true;
	return 0;
}

static int sync_cancel(struct argument *argument)
{
	if (argument->length < 64)
		return -EBADMSG;
	cancel_sync(argument->step->ring, argument->bytes, false);
	if (argument->event->phase == 0)
		cancel_sync(argument->step->ring, argument->bytes, true);
	return 0;
}

typedef int apply_register(struct argument *argument);

static apply_register *const table[URING_REG_LAST] = {
	[URING_REG_REGISTER_BUFFERS] = register_buffers,
	[URING_REG_UNREGISTER_BUFFERS] = unregister_buffers,
	[URING_REG_REGISTER_FILES] = register_files,
	[URING_REG_UNREGISTER_FILES] = unregister_files,
	[URING_REG_REGISTER_EVENTFD] = register_eventfd,
	[URING_REG_UNREGISTER_EVENTFD] = unregister_eventfd,
	[URING_REG_FILES_UPDATE] = update_files,
	[URING_REG_EVENTFD_ASYNC] = register_eventfd,
	[URING_REG_REGISTER_PERSONALITY] = register_personality,
	[URING_REG_RESTRICTIONS] = register_restrictions,
	[URING_REG_ENABLE_RINGS] = enable,
	[URING_REG_FILES2] = register_files2,
	[URING_REG_FILES_UPDATE2] = update_files2,
	[URING_REG_BUFFERS2] = register_buffers2,
	[URING_REG_BUFFERS_UPDATE] = update_buffers,
	[URING_REG_REGISTER_PBUF_RING] = register_pbuf_ring,
	[URING_REG_UNREGISTER_PBUF_RING] = unregister_pbuf_ring,
	[URING_REG_SYNC_CANCEL] = sync_cancel,
	[URING_REG_CLONE_BUFFERS] = clone_buffers,
};

/* A cancellation counts as soon as it is asked for; all else when it has succeeded. */
static bool counts(const struct event_register *event, uint32_t opcode)
{
	if (opcode == URING_REG_SYNC_CANCEL)
		return true;
	return event->phase == 0 && event->result >= 0;
}

int register_applied(struct step *step)
{
	const struct event_register *event = (const struct event_register *)step->event;
	uint32_t opcode = event->opcode & ~URING_REG_USE_REGISTERED_RING;
	struct argument argument = { step, event, (const uint8_t *)(event + 1), event->h.size - sizeof(*event) };
	int r = 0;

	if (event->length < argument.length)
		argument.length = event->length;
	if (opcode < URING_REG_LAST && table[opcode] && counts(event, opcode))
		r = table[opcode](&argument);
	if (event->phase == 0)
		model_tell(step, MOMENT_REGISTER, NULL);
	return r;
}
