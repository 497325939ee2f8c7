/* SPDX-License-Identifier: MIT */
/*
 * The listener. A caller that is taken in hand asks again from there, and its question must be answered before all
 * others; those that come first are held, and the guardian knows of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "enforce/serve-setup.h"

#ifndef SECCOMP_USER_NOTIF_FLAG_CONTINUE
#define SECCOMP_USER_NOTIF_FLAG_CONTINUE (1u << 0)
#endif

static int control(int listener, unsigned long request, void *argument)
{
	int r;

	do
		r = ioctl(listener, request, argument);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int serve_answer(int listener, uint64_t id, int64_t value, int error)
{
	struct seccomp_notif_resp response = { .id = id, .val = value, .error = -error };

	return control(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

int serve_continue(int listener, uint64_t id)
{
	struct seccomp_notif_resp response = { .id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	return control(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void serve_refuse(int listener, uint64_t notification, int error)
{
	(void)serve_answer(listener, notification, 0, error);
}

bool serve_is_valid(int listener, uint64_t id)
{
	return control(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

int serve_put_ring(int listener, uint64_t id, int ring)
{
	struct seccomp_notif_addfd add = { .id = id, .srcfd = (uint32_t)ring, .newfd_flags = O_CLOEXEC };

	return control(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
}

/* ---- receiving ---- */

static int receive(struct serve_worker *w, struct seccomp_notif *ret_notification)
{
	int r;

	memset(w->buffer, 0, w->buffer_bytes);
	r = control(w->options->listener, SECCOMP_IOCTL_NOTIF_RECV, w->buffer);
	if (r < 0)
		return r;
	memcpy(ret_notification, w->buffer, sizeof(*ret_notification));
	atomic_store(&w->options->shared->last, ret_notification->id);
	return 0;
}

bool serve_has_held(const struct serve_worker *w)
{
	return w->first != w->end;
}

/* One too many is refused at once: the program chose to ask from that many threads. */
static void hold(struct serve_worker *w, const struct seccomp_notif *notification)
{
	struct serve_shared *shared = w->options->shared;

	if (w->end - w->first == SERVE_HELD) {
		serve_refuse(w->options->listener, notification->id, serve_errno(&w->options->policy));
		atomic_fetch_add(&shared->failed, 1);
		atomic_fetch_add(&shared->unreported, 1);
		return;
	}
	w->held[w->end % SERVE_HELD] = *notification;
	atomic_store(&shared->held[w->end % SERVE_HELD], notification->id);
	w->end++;
}

int serve_receive(struct serve_worker *w, struct seccomp_notif *ret_notification)
{
	struct serve_shared *shared = w->options->shared;
	size_t slot = w->first % SERVE_HELD;

	if (!serve_has_held(w))
		return receive(w, ret_notification);
	*ret_notification = w->held[slot];
	/* At no moment unknown to the guardian. */
	atomic_store(&shared->notification, ret_notification->id);
	atomic_store(&shared->held[slot], 0);
	w->first++;
	return 0;
}

static bool is_own(const struct seccomp_notif *notification, const struct injection *injection,
		   const struct inject_call *call)
{
	const struct seccomp_data *data = &notification->data;

	return (pid_t)notification->pid == injection->thread && data->arch == SERVE_ARCH &&
	       (uint64_t)data->nr == call->number && data->args[0] == call->args[0] && data->args[1] == call->args[1] &&
	       data->instruction_pointer == injection->before.rip;
}

static void drain(int signals)
{
	struct signalfd_siginfo signal;

	while (read(signals, &signal, sizeof(signal)) == sizeof(signal))
		;
}

int serve_receive_own(struct serve_worker *w, struct injection *injection, const struct inject_call *call,
		      uint64_t *ret_id)
{
	struct pollfd fds[] = { { .fd = w->options->listener, .events = POLLIN },
				{ .fd = w->children, .events = POLLIN } };
	struct seccomp_notif notification;
	int r;

	while ((r = inject_look(injection)) == INJECT_RUNNING) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			drain(w->children);
		if (!(fds[0].revents & POLLIN) || receive(w, &notification) < 0)
			continue;
		if (is_own(&notification, injection, call)) {
			/* The one that was asked about at first is answered: should we end, it waits for this. */
			atomic_store(&w->options->shared->notification, notification.id);
			*ret_id = notification.id;
			return 0;
		}
		hold(w, &notification);
	}
	return r;
}
