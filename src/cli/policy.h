/* SPDX-License-Identifier: MIT */
/* The verbs of circlip policy, and what they share. */
#pragma once

#include "cli/command.h"
#include "enforce/policy.h"

extern const struct command policy_check_command, policy_explain_command, policy_learn_command, policy_mechanisms_command;

/* The curated profiles' names. */
command_names policy_profile_name;

/* Finds what was named on the command line, or tells why not on stderr. COMMAND_OK, or the exit status. */
int policy_take(const char *verb, const char *name_or_path, struct policy *ret_policy);

/* The table of what each mechanism enforces, as scdoc's. */
void policy_mechanisms_manual(void);
