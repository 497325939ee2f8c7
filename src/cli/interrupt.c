/* SPDX-License-Identifier: MIT */
#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* One process, one terminal: handlers have no other place to write to. */
static volatile sig_atomic_t arrived, last_signal, last_from_terminal;

static void note(int number, siginfo_t *info, void *context)
{
	last_from_terminal = info->si_code > 0;
	last_signal = number;
	arrived = 1;
}

static void nothing(int number)
{
}

static void listen_to(int number)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };

	sigaction(number, &action, NULL);
}

/*
 * Handlers become the default action when the program is executed, which is what they were; an ignored signal would not
 * become ignored again, so these wait until it has started. A report may go into a pipe whose reader is gone: that is
 * an error to tell, not a reason to die.
 */
void interrupt_prepare(void)
{
	struct sigaction before, pipe_action = { .sa_handler = nothing, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			listen_to(signals[i]);
	if (sigaction(SIGPIPE, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
		sigaction(SIGPIPE, &pipe_action, NULL);
}

void interrupt_listen(void)
{
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		listen_to(signals[i]);
}

bool interrupt_take(struct interrupt *ret)
{
	if (!arrived)
		return false;
	arrived = 0; /* before the rest is read: what comes now is told the next time */
	*ret = (struct interrupt){ .signal = last_signal, .from_terminal = last_from_terminal };
	return true;
}
