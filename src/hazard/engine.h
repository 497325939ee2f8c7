/* SPDX-License-Identifier: MIT */
/*
 * The engine: a model, the rules that watch it, and what they found. It gets the catalogue as an argument, so that a test can run one rule
 * alone. Everything between an event and a finding happens inside hazard_engine_apply().
 */
#pragma once

#include "hazard/hazard.h"

typedef void hazard_sink(void *context, const struct finding *finding);

/*
 * `rules` is a NULL-terminated list (at most 192); rules that need abilities the source lacks are not run. `sink` gets each
 * finding once per place: hazard, entry's opcode and primary stack; later ones only count. Returns NULL when out of memory.
 */
struct hazard_engine *hazard_engine_new(const struct hazard *const *rules, uint32_t abilities, const struct hazard_options *options,
					hazard_sink *sink, void *context);
struct hazard_engine *hazard_engine_free(struct hazard_engine *engine);

/* 0, or -ENOMEM (state was lost; the report says so). */
int hazard_engine_apply(struct hazard_engine *engine, const struct event *event);

/* The observation is over: what can only be said at the end is said now. */
void hazard_engine_finish(struct hazard_engine *engine);

struct model *hazard_engine_model(struct hazard_engine *engine);

/* Calls `each` for every rule that was not run, with the reason ("needs the shim's view of memory" ...). */
void hazard_engine_unchecked(const struct hazard_engine *engine, void (*each)(void *context, const struct hazard *hazard, const char *reason),
			     void *context);

/* Every place with its count so far. */
void hazard_engine_places(const struct hazard_engine *engine, hazard_sink *each, void *context);
