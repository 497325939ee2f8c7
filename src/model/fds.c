/* SPDX-License-Identifier: MIT */
/* Descriptors of a process and what is behind them. */
#include <errno.h>
#include <stdlib.h>

#include "model/inner.h"

struct model_fd *model_fd_get(struct model_process *process, int32_t fd)
{
	return fd < 0 ? NULL : map_get(&process->fds, (uint64_t)fd + 1);
}

/* Makes it; NULL for what cannot be a descriptor, and when there is no room. */
static struct model_fd *fd_get(struct model_process *process, int32_t number)
{
	struct model_fd *fd = model_fd_get(process, number);

	if (fd || number < 0 || process->fds.n_used >= MODEL_FDS)
		return fd;
	fd = calloc(1, sizeof(*fd));
	if (!fd)
		return NULL;
	fd->fd = number;
	if (map_put(&process->fds, (uint64_t)number + 1, fd) < 0) {
		free(fd);
		return NULL;
	}
	return fd;
}

static void fd_open(struct model_fd *fd, const struct model_object *object)
{
	fd->open = object->type != EVENT_FD_BAD;
	fd->object = *object;
}

static void fd_shut(struct model_fd *fd)
{
	fd->open = false;
	fd->private_pair = false;
	fd->generation++;
	fd->object = (struct model_object){ .type = EVENT_FD_BAD };
}

int fd_described(struct step *step)
{
	const struct event_fd *event = (const struct event_fd *)step->event;
	struct model_fd *fd = fd_get(step->process, event->fd);
	struct model_object object = {
		.type = event->type,
		.device = event->device,
		.inode = event->inode,
		.open_flags = event->open_flags,
		.access = event->access,
		.ring = event->ring,
		.file_size = event->file_size,
	};

	if (!fd)
		return event->fd < 0 ? -EBADMSG : -ENOMEM;
	/* The ends of a pair are known from their making. */
	if (fd->open && fd->object.type == object.type && fd->object.inode == object.inode &&
	    fd->object.device == object.device)
		object.peer_inode = fd->object.peer_inode;
	else
		fd->private_pair = false;
	fd_open(fd, &object);
	return 0;
}

int fd_closed(struct step *step)
{
	const struct event_fd *event = (const struct event_fd *)step->event;
	struct model_fd *fd = fd_get(step->process, event->fd);

	if (!fd)
		return event->fd < 0 ? -EBADMSG : -ENOMEM;
	model_tell_fd(step, fd);
	fd_shut(fd);
	return 0;
}

int fd_dup(struct step *step)
{
	const struct event_fd_dup *event = (const struct event_fd_dup *)step->event;
	struct model_fd *from = model_fd_get(step->process, event->from), *to = fd_get(step->process, event->to);

	if (!to)
		return event->to < 0 ? -EBADMSG : -ENOMEM;
	if (from == to)
		return 0;
	if (to->open) {
		model_tell_fd(step, to);
		fd_shut(to);
	}
	if (from && from->open)
		fd_open(to, &from->object);
	else
		fd_open(to, &(struct model_object){ .type = EVENT_FD_UNKNOWN });
	return 0;
}

int fd_pair(struct step *step)
{
	const struct event_fd_pair *event = (const struct event_fd_pair *)step->event;

	for (unsigned i = 0; i < 2; i++) {
		struct model_fd *fd = fd_get(step->process, event->fd[i]);
		struct model_object object = {
			.type = event->type,
			.device = event->device,
			.inode = event->inode[i],
			.peer_inode = event->inode[!i],
			.access = event->type == EVENT_FD_PIPE ? (uint16_t)i : 2,
		};

		if (!fd)
			return event->fd[i] < 0 ? -EBADMSG : -ENOMEM;
		fd_open(fd, &object);
		fd->private_pair = !step->process->forked;
	}
	return 0;
}

void fd_close_number(struct model_process *process, int32_t number)
{
	struct model_fd *fd = model_fd_get(process, number);

	if (fd && fd->open)
		fd_shut(fd);
}

int fds_copy(struct model_process *from, struct model_process *to)
{
	MAP_FOR_EACH(&from->fds, entry)
	{
		struct model_fd *fd = entry->value, *copy;

		fd->private_pair = false;
		if (!fd->open)
			continue;
		copy = fd_get(to, fd->fd);
		if (!copy)
			return -ENOMEM;
		fd_open(copy, &fd->object);
	}
	return 0;
}

void fds_clear(struct model_process *process)
{
	MAP_FOR_EACH(&process->fds, entry)
	{
		free(entry->value);
	}
	map_deinit(&process->fds);
	process->fds = (struct map){ 0 };
}
