/* SPDX-License-Identifier: MIT */
/* The verbs of circlip agent. */
#pragma once

#include "cli/command.h"

extern const struct command agent_status_command, agent_profile_command;
