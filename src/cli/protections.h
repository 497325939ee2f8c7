/* SPDX-License-Identifier: MIT */
/* For doctor: which of Circlip's own protections can be used here. What src/enforce knows meets src/advise in this place. */
#pragma once

struct doctor;

/* Adds an item for each mechanism of `circlip run`, and one for the guard of `circlip host`. */
void protections_add(struct doctor *doctor);
