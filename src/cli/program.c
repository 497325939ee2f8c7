/* SPDX-License-Identifier: MIT */
#include "cli/program.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "sense/shm.h"

/* Those that are left run on unobserved, or are dying. */
static void leave(struct program *p)
{
	if (!p->left)
		sense_shm_detach(p->shm);
	p->left = true;
}

/*
 * The first signal lets the program end in its own way. One that came from the terminal has reached it too; one that
 * was sent to us alone is passed on. With the program itself gone, those it left behind hear of no terminal.
 */
static void pass_on(struct program *p, const struct interrupt *interrupt)
{
	int status;

	p->interrupted = true;
	if (sense_shm_status(p->shm, &status))
		sense_shm_signal(p->shm, SIGTERM);
	else if (!interrupt->from_terminal)
		sense_shm_signal(p->shm, interrupt->signal);
}

static void end_now(struct program *p)
{
	sense_shm_signal(p->shm, SIGKILL);
	leave(p);
}

void program_turn(struct program *p)
{
	struct interrupt interrupt;
	int status;

	if (interrupt_take(&interrupt)) {
		if (p->interrupted)
			end_now(p);
		else
			pass_on(p, &interrupt);
	}
	if (p->detach && !p->left && sense_shm_status(p->shm, &status))
		leave(p);
}

int program_start_status(int r)
{
	return r == -ENOENT ? COMMAND_NOT_FOUND : r == -EACCES ? COMMAND_NOT_EXECUTABLE : COMMAND_BROKEN;
}

int program_status(const struct program *p)
{
	int status;

	if (!sense_shm_status(p->shm, &status))
		return 128 + SIGKILL;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
