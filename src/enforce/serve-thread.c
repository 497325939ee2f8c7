/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "enforce/serve-setup.h"

enum { TRIES = 16, RESTART_FIRST = 512, RESTART_LAST = 516 /* ERESTARTSYS to ERESTART_RESTARTBLOCK */ };

int serve_take(const struct serve_worker *w, const struct seccomp_notif *asked, bool kill, struct injection *injection)
{
	const struct seccomp_data *data = &asked->data;
	const struct inject_call call = { (uint64_t)data->nr, { data->args[0], data->args[1] } };
	int r = inject_begin(injection, (pid_t)asked->pid, kill);

	if (!injection->thread)
		return SERVE_OUT_OF_REACH;
	/* Refused where being told to stop has ended the wait already. */
	(void)serve_answer(w->options->listener, asked->id, 0, EAGAIN);
	if (r == 0)
		r = inject_take(injection, &call, data->instruction_pointer);
	if (r)
		inject_end(injection);
	return r == INJECT_GONE ? -ESRCH : r;
}

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

int serve_call(struct serve_worker *w, struct injection *injection, const struct inject_call *call, serve_deal *deal,
	       void *context, int64_t *ret_result)
{
	int64_t result = -EAGAIN;

	for (unsigned int i = 0; i < TRIES; i++) {
		int r = call_once(w, injection, call, deal, context, &result);

		if (r < 0)
			return r;
		if (!is_interrupted(result))
			break;
	}
	*ret_result = is_interrupted(result) ? -EAGAIN : result;
	return 0;
}
