/* SPDX-License-Identifier: MIT */
#include "hazard/findings.h"

#include <stdlib.h>
#include <string.h>

enum {
	PENDING_MAX = 32,
	HELD_MAX = 64,
	PLACES_MAX = 16384,
	NO_CALL = 0,     /* held, and for no call's return */
	TOLD_MAX = 4096, /* remembered findings for supersession */
	RULES_MAX = 192,
};

struct held {
	struct finding finding;
	uint64_t call;
	bool only_if_consumed, consumed;
};

/* What is remembered of a finding that was told. */
struct told {
	uint32_t rule, ring;
	uint64_t request_seq;
};

struct findings {
	const struct hazard *const *rules;
	size_t n_rules;
	uint64_t superseded_by[RULES_MAX][RULES_MAX / 64]; /* by rule: bits of the rules that supersede it */
	hazard_sink *sink;
	void *context;
	struct finding pending[PENDING_MAX];
	size_t n_pending;
	struct held held[HELD_MAX];
	size_t n_held;
	struct map places; /* key of a place -> struct finding, owned */
	struct finding **order;
	size_t n_places, n_order_room;
	struct told told[TOLD_MAX]; /* the newest, round */
	uint64_t n_told;
};

static size_t rule_number(const struct findings *findings, const struct hazard *hazard)
{
	size_t i = 0;

	while (i < findings->n_rules && findings->rules[i] != hazard)
		i++;
	return i;
}

static void learn_supersession(struct findings *findings, size_t better)
{
	const char *const *names = findings->rules[better]->supersedes;

	for (; names && *names; names++)
		for (size_t i = 0; i < findings->n_rules; i++)
			if (!strcmp(findings->rules[i]->name, *names))
				findings->superseded_by[i][better / 64] |= UINT64_C(1) << (better % 64);
}

struct findings *findings_new(const struct hazard *const *rules, size_t n_rules, hazard_sink *sink, void *context)
{
	struct findings *findings = calloc(1, sizeof(*findings));

	if (!findings)
		return NULL;
	findings->rules = rules;
	findings->n_rules = n_rules < RULES_MAX ? n_rules : RULES_MAX;
	findings->sink = sink;
	findings->context = context;
	for (size_t i = 0; i < findings->n_rules; i++)
		learn_supersession(findings, i);
	return findings;
}

struct findings *findings_free(struct findings *findings)
{
	if (!findings)
		return NULL;
	for (size_t i = 0; i < findings->n_places; i++)
		free(findings->order[i]);
	free(findings->order);
	map_deinit(&findings->places);
	free(findings);
	return NULL;
}

/* ---- places ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 31);
}

static uint64_t place_key(const struct finding *finding)
{
	const struct finding_stack *stack = &finding->stacks[0];
	uint64_t key = mix(0, (uint64_t)(uintptr_t)finding->hazard);

	key = mix(key, finding->has_sqe ? finding->sqe.opcode + 1 : 0);
	key = mix(key, (uint64_t)finding->level);
	if (stack->stack)
		return mix(mix(key, stack->pid), stack->stack);
	return mix(mix(key, finding->pid), (uint64_t)finding->ring + UINT32_MAX);
}

static struct finding *place_of(const struct findings *findings, const struct finding *finding)
{
	return map_get(&findings->places, place_key(finding));
}

static struct finding *place_new(struct findings *findings, const struct finding *finding)
{
	struct finding *place;

	if (findings->n_places >= PLACES_MAX)
		return NULL;
	if (findings->n_places == findings->n_order_room) {
		size_t room = findings->n_order_room ? findings->n_order_room * 2 : 64;
		struct finding **order = realloc(findings->order, room * sizeof(struct finding *));

		if (!order)
			return NULL;
		findings->order = order;
		findings->n_order_room = room;
	}
	place = malloc(sizeof(*place));
	if (!place || map_put(&findings->places, place_key(finding), place) < 0) {
		free(place);
		return NULL;
	}
	*place = *finding;
	place->count = 1 + finding->count; /* those of one place are counted while they are held */
	findings->order[findings->n_places++] = place;
	return place;
}

void findings_each_place(const struct findings *findings, hazard_sink *each, void *context)
{
	for (size_t i = 0; i < findings->n_places; i++)
		each(context, findings->order[i]);
}

/* ---- supersession ---- */

static bool is_better(const struct findings *findings, size_t better, size_t rule)
{
	return findings->superseded_by[rule][better / 64] >> (better % 64) & 1;
}

static bool any_better(const struct findings *findings, size_t rule)
{
	uint64_t any = 0;

	for (size_t i = 0; i < RULES_MAX / 64; i++)
		any |= findings->superseded_by[rule][i];
	return any;
}

/* Both speak of one request; or of one ring where either names no request. */
static bool same_subject(uint64_t seq_a, uint32_t ring_a, uint64_t seq_b, uint32_t ring_b)
{
	if (seq_a && seq_b)
		return seq_a == seq_b;
	return ring_a && ring_a == ring_b;
}

static bool same_place(const struct finding *a, const struct finding *b)
{
	return a->stacks[0].stack && a->stacks[0].stack == b->stacks[0].stack && a->stacks[0].pid == b->stacks[0].pid &&
	       a->ring == b->ring;
}

static bool told_better(const struct findings *findings, const struct finding *finding, size_t rule)
{
	uint64_t first = findings->n_told > TOLD_MAX ? findings->n_told - TOLD_MAX : 0;

	for (uint64_t i = findings->n_told; i-- > first;) {
		const struct told *told = &findings->told[i % TOLD_MAX];

		if (is_better(findings, told->rule, rule) &&
		    same_subject(told->request_seq, told->ring, finding->request_seq, finding->ring))
			return true;
	}
	return false;
}

static bool comes_better(const struct findings *findings, const struct finding *finding, size_t rule)
{
	for (size_t i = 0; i < findings->n_pending; i++) {
		const struct finding *other = &findings->pending[i];

		if (other != finding && is_better(findings, rule_number(findings, other->hazard), rule) &&
		    (same_subject(other->request_seq, other->ring, finding->request_seq, finding->ring) ||
		     same_place(other, finding)))
			return true;
	}
	for (size_t i = 0; i < findings->n_held; i++) {
		const struct finding *other = &findings->held[i].finding;

		if (is_better(findings, rule_number(findings, other->hazard), rule) &&
		    same_subject(other->request_seq, other->ring, finding->request_seq, finding->ring))
			return true;
	}
	return false;
}

static bool is_superseded(const struct findings *findings, const struct finding *finding)
{
	size_t rule = rule_number(findings, finding->hazard);

	return any_better(findings, rule) &&
	       (told_better(findings, finding, rule) || comes_better(findings, finding, rule));
}

/* ---- in and out ---- */

static void remember(struct findings *findings, const struct finding *finding)
{
	findings->told[findings->n_told++ % TOLD_MAX] =
		(struct told){ (uint32_t)rule_number(findings, finding->hazard), finding->ring, finding->request_seq };
}

static void tell(struct findings *findings, const struct finding *finding)
{
	struct finding *place = place_of(findings, finding);

	remember(findings, finding);
	if (place) {
		place->count += 1 + finding->count;
		return;
	}
	place = place_new(findings, finding);
	if (place && findings->sink)
		findings->sink(findings->context, place);
}

void findings_add(struct findings *findings, const struct finding *finding)
{
	if (findings->n_pending == PENDING_MAX)
		findings_flush(findings, false);
	findings->pending[findings->n_pending++] = *finding;
}

void findings_hold(struct findings *findings, const struct finding *finding, uint64_t call, bool only_if_consumed)
{
	if (findings->n_held == HELD_MAX) {
		findings_add(findings, finding);
		return;
	}
	findings->held[findings->n_held++] =
		(struct held){ .finding = *finding, .call = call, .only_if_consumed = only_if_consumed };
}

void findings_keep(struct findings *findings, const struct finding *finding)
{
	for (size_t i = 0; i < findings->n_held; i++)
		if (findings->held[i].call == NO_CALL && place_key(&findings->held[i].finding) == place_key(finding)) {
			findings->held[i].finding.count++;
			return;
		}
	findings_hold(findings, finding, NO_CALL, false);
}

void findings_consumed(struct findings *findings, uint64_t request_seq)
{
	for (size_t i = 0; i < findings->n_held; i++)
		if (findings->held[i].finding.request_seq == request_seq)
			findings->held[i].consumed = true;
}

static void drop_held(struct findings *findings, size_t i)
{
	memmove(&findings->held[i], &findings->held[i + 1], (--findings->n_held - i) * sizeof(findings->held[0]));
}

static void release_held(struct findings *findings, size_t i)
{
	if (!findings->held[i].only_if_consumed || findings->held[i].consumed)
		findings_add(findings, &findings->held[i].finding);
	drop_held(findings, i);
}

void findings_decide(struct findings *findings, const struct hazard *hazard, hazard_decide *decide, const void *opaque)
{
	static void (*const then[])(struct findings *,
				    size_t) = { [HAZARD_DROP] = drop_held, [HAZARD_TELL] = release_held };

	for (size_t i = 0; i < findings->n_held;) {
		struct held *held = &findings->held[i];
		enum hazard_decision decision = HAZARD_KEEP;

		if (held->call == NO_CALL && held->finding.hazard == hazard)
			decision = decide(&held->finding, opaque);
		if (decision == HAZARD_KEEP)
			i++;
		else
			then[decision](findings, i);
	}
}

void findings_late(struct findings *findings, uint64_t now)
{
	for (size_t i = 0; i < findings->n_held;)
		if (findings->held[i].finding.held_until && now > findings->held[i].finding.held_until)
			release_held(findings, i);
		else
			i++;
}

void findings_process_ended(struct findings *findings, uint32_t pid)
{
	for (size_t i = 0; i < findings->n_held;)
		if (findings->held[i].finding.pid == pid)
			release_held(findings, i);
		else
			i++;
}

void findings_returned(struct findings *findings, uint32_t pid, uint64_t call)
{
	for (size_t i = 0; i < findings->n_held;)
		if (findings->held[i].call == call && findings->held[i].finding.pid == pid)
			release_held(findings, i);
		else
			i++;
}

void findings_flush(struct findings *findings, bool all)
{
	while (all && findings->n_held)
		release_held(findings, 0);
	if (!findings->n_pending)
		return;
	for (size_t i = 0; i < findings->n_pending; i++)
		if (!is_superseded(findings, &findings->pending[i]))
			tell(findings, &findings->pending[i]);
	findings->n_pending = 0;
}
