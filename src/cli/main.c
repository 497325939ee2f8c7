/* SPDX-License-Identifier: MIT */
/* The way in. */
#include <stdio.h>
#include <string.h>

#include "base/near.h"
#include "cli/command.h"
#include "cli/help.h"

static int run(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : NULL;
	const struct command *command = verb ? command_find(verb) : NULL;
	char hint[128];

	if (command)
		return command_run(command, argv + 2, (size_t)argc - 2);
	if (!verb)
		return help_all(stderr), COMMAND_USAGE;
	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0)
		return help_all(stdout), COMMAND_OK;
	if (strcmp(verb, "--version") == 0)
		return help_version(stdout), COMMAND_OK;
	return command_fail(NULL, COMMAND_USAGE, "there is no %s \"%s\"%s (circlip --help lists them)",
			    *verb == '-' ? "option" : "command", verb,
			    near_hint(hint, sizeof hint, verb, command_name));
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	/* What was asked for must have arrived; a full disk is no success. */
	if (fflush(stdout) != 0 || ferror(stdout))
		return command_fail(NULL, status ? status : COMMAND_FAILED, "cannot write to standard output");
	return status;
}
