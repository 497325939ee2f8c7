/* SPDX-License-Identifier: MIT */
/*
 * From what rules report to what people are told: one finding per misuse and place.
 *
 * Rules speak independently of one another, so one misuse may be seen by several. Findings of one event are collected and those that a better
 * one supersedes are dropped; so is what a finding told earlier supersedes. A finding may also be held until the call it belongs to has returned.
 */
#pragma once

#include "hazard/engine.h"

struct findings;

/* `n_rules` rules by number; `rules` is not owned. NULL when out of memory. */
struct findings *findings_new(const struct hazard *const *rules, size_t n_rules, hazard_sink *sink, void *context);
struct findings *findings_free(struct findings *findings);

/* Takes a copy. */
void findings_add(struct findings *findings, const struct finding *finding);

/* The same, told when call `call` of process `finding->pid` has returned. */
void findings_hold(struct findings *findings, const struct finding *finding, uint64_t call, bool only_if_consumed);

/* The same, told when its process ends or its time is over, unless findings_decide() lets it go before. */
void findings_keep(struct findings *findings, const struct finding *finding);
void findings_decide(struct findings *findings, const struct hazard *hazard, hazard_decide *decide, const void *opaque);

/* What was to be held until before `now` counts from now on. */
void findings_late(struct findings *findings, uint64_t now);

/* The request was taken by the kernel. */
void findings_consumed(struct findings *findings, uint64_t request_seq);

/* The call has returned: what was held for it counts from now on. */
void findings_returned(struct findings *findings, uint32_t pid, uint64_t call);

/* The process has ended: what was held for it counts from now on. */
void findings_process_ended(struct findings *findings, uint32_t pid);

/* The event is over: tells what is left of what was added. `all` also tells what is held. */
void findings_flush(struct findings *findings, bool all);

void findings_each_place(const struct findings *findings, hazard_sink *each, void *context);
