/* SPDX-License-Identifier: MIT */
/*
 * The caller. A signal ends its call while we are at it, unless the filter was installed with WAIT_KILLABLE_RECV
 * (Linux 5.19; runc 1.1 does not). The program may then ask again, from the same place, with other parameters at the
 * same address; or keep something else there. A ring that was meant for the call before would be the wrong one, and its
 * parameters written over what is none of theirs.
 *
 * So a caller that may be gone at any moment is bound first: seized, and then seen to wait still. From then on it can
 * leave the call for nothing but the tracing stop before a signal's handler (inject.h), and whatever is done to it
 * there is done to the call that was asked about. The parameters that were read are that call's too, for they were
 * read while it waited. Nothing has to be compared, and nobody is sent round again: a program whose other threads
 * rewrite its parameters meanwhile gets what it asked for when they were read. Nor can signals, however many, keep it
 * from its ring once it is bound.
 *
 * Who cannot be seized (strip, which never does; a program under strace) has the rest of a risk, of those microseconds
 * between seeing that it waits and writing. No supervisor that does not trace can be without it: the kernel has no way
 * to write on condition of a notification, only to add a descriptor.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "enforce/serve-setup.h"
#include "kernel/proc.h"

enum { TRIES = 16, LOOKS = 200, RESTART_FIRST = 512, RESTART_LAST = 516 /* ERESTARTSYS to ERESTART_RESTARTBLOCK */ };

/* ---- how it waits ---- */

bool serve_is_fleeting(const struct serve_worker *w)
{
	return w->waits != SERVE_WAITS_TO_THE_END;
}

/* As /proc/PID/stat has it, behind a name that may hold anything: 'S', 'D', ...; 0 = not known. */
static char state_of(pid_t thread)
{
	char path[64], text[1024], *end;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)thread);
	n = proc_read(path, text, sizeof(text));
	end = n < 0 ? NULL : strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : 0;
}

/*
 * Told to stop, it stops; or it sleeps on, and shows as 'D' then, which a signal does not wake. True in the latter case
 * (or where a lock kept it just then; the result of the call will tell).
 */
static bool sleeps_on(struct injection *caller)
{
	for (unsigned int i = 0; i < LOOKS && inject_look(caller) == INJECT_RUNNING; i++) {
		if (state_of(caller->thread) == 'D')
			return true;
		sched_yield();
	}
	return false;
}

/* One filter, so what one caller does all do. */
static void learn(struct serve_worker *w, const struct injection *caller, bool slept_on)
{
	bool answered = (int64_t)caller->before.rax == -EAGAIN;

	if (!answered)
		w->waits = SERVE_WAITS_UNTIL_SIGNAL;
	else if (slept_on)
		w->waits = SERVE_WAITS_TO_THE_END;
}

/* ---- taken in hand ---- */

int serve_bind(const struct serve_worker *w, struct serve_setup *s)
{
	if (s->caller.thread)
		return 0;
	if (inject_begin(&s->caller, (pid_t)s->asked.pid) < 0)
		return SERVE_OUT_OF_REACH;
	if (serve_is_valid(w->options->listener, s->asked.id))
		return 0;
	inject_end(&s->caller);
	return -EINTR;
}

void serve_leave(struct serve_setup *s, int64_t result)
{
	inject_return(&s->caller, result);
	inject_end(&s->caller);
}

int serve_take(struct serve_worker *w, struct serve_setup *s, bool kill)
{
	const struct seccomp_data *data = &s->asked.data;
	const struct inject_call call = { (uint64_t)data->nr, { data->args[0], data->args[1] } };
	bool slept_on = false;
	int r = serve_bind(w, s);

	if (r)
		return r;
	r = inject_stop(&s->caller);
	if (r == 0 && w->waits == SERVE_WAITS_UNKNOWN)
		slept_on = sleeps_on(&s->caller);
	/* Refused where being told to stop has ended the wait already. */
	(void)serve_answer(w->options->listener, s->asked.id, 0, EAGAIN);
	if (r == 0)
		r = inject_take(&s->caller, &call, data->instruction_pointer, kill);
	if (r)
		inject_end(&s->caller);
	else if (w->waits == SERVE_WAITS_UNKNOWN)
		learn(w, &s->caller, slept_on);
	return r == INJECT_GONE ? -ESRCH : r;
}

void serve_turn_away(struct serve_worker *w, struct serve_setup *s, int error)
{
	if (s->caller.thread && serve_take(w, s, false) == 0)
		serve_leave(s, -error);
	else
		serve_refuse(w->options->listener, s->asked.id, error);
}

/* ---- its calls ---- */

static bool is_interrupted(int64_t result)
{
	return result <= -RESTART_FIRST && result >= -RESTART_LAST;
}

static int call_once(struct serve_worker *w, struct injection *injection, const struct inject_call *call,
		     serve_deal *deal, void *context, int64_t *ret_result)
{
	uint64_t id;
	int r = inject_start(injection, call);

	if (r == 0)
		r = serve_receive_own(w, injection, call, &id);
	if (r == 0)
		(void)deal(w, context, id); /* what became of it, the result says */
	if (r == 0 || r == INJECT_STOPPED)
		r = inject_finish(injection, ret_result);
	return r == INJECT_GONE ? -ESRCH : r;
}

int serve_call(struct serve_worker *w, struct serve_setup *s, const struct inject_call *call, serve_deal *deal,
	       void *context, int64_t *ret_result)
{
	int64_t result = -EAGAIN;

	for (unsigned int i = 0; i < TRIES; i++) {
		int r = call_once(w, &s->caller, call, deal, context, &result);

		if (r < 0)
			return r;
		if (!is_interrupted(result))
			break;
	}
	*ret_result = is_interrupted(result) ? -EAGAIN : result;
	return 0;
}
