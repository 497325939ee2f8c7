/* SPDX-License-Identifier: MIT */
/* What circlip host tells. */
#pragma once

#include <stdio.h>

/* What else can be held to rules on this host, where the guard cannot. */
void host_put_instead(FILE *file);

/* `format`: 0 text, 1 JSON. An exit status: COMMAND_FINDINGS when no guard is at work. */
int host_put_status(unsigned int format);
