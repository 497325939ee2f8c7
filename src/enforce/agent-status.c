/* SPDX-License-Identifier: MIT */
/* What the agent says of itself: JSON for `circlip agent status`, and Prometheus' text format. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-rules.h"

static const struct agent_page *page_of(const struct agent *agent, size_t i)
{
	return agent_board_page(agent->board, i);
}

static struct agent_numbers sum_of(const struct agent *agent)
{
	struct agent_numbers sum = agent->gone;

	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		if (agent->containers[i].kept)
			agent_board_add(&sum, page_of(agent, i));
	return sum;
}

static double seconds_since(uint64_t then)
{
	return (double)(agent_board_now() - then) / 1e9;
}

/* ---- JSON ---- */

static json_t *denied_json(const struct agent_numbers *numbers)
{
	json_t *object = json_object();

	for (size_t i = 0; i < AGENT_DENIED_N; i++)
		if (numbers->denied[i])
			json_object_set_new(object, agent_board_reason(i),
					    json_integer((json_int_t)numbers->denied[i]));
	return object;
}

static json_t *numbers_json(const struct agent_numbers *numbers)
{
	return json_pack("{s:I, s:I, s:I, s:o, s:I, s:I}", "made", (json_int_t)numbers->made, "altered",
			 (json_int_t)numbers->altered, "pollers", (json_int_t)numbers->pollers, "denied",
			 denied_json(numbers), "untold", (json_int_t)numbers->untold, "unreported",
			 (json_int_t)numbers->unreported);
}

static json_t *sqpoll_json(const struct policy *policy)
{
	if (!policy->sqpoll.allowed)
		return json_integer(0);
	return policy->sqpoll.per_container == POLICY_NO_LIMIT ? json_null()
							       : json_integer(policy->sqpoll.per_container);
}

static json_t *container_json(const struct agent *agent, size_t i)
{
	const struct agent_container *container = &agent->containers[i];
	const struct oci_state *state = &container->kept->state;
	struct agent_numbers numbers = { 0 };

	agent_board_add(&numbers, page_of(agent, i));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:b, s:f, s:o, s:o}", "id", state->id,
			 "bundle", state->bundle, "metadata", state->metadata, "annotation", state->policy, "policy",
			 container->policy.name, "policy_file", container->policy.file, "why", container->why, "worker",
			 (int)container->worker, "listeners", (int)agent_crew_listeners(container), "execs",
			 (int)container->kept->execs, "mechanism", mechanism_name(container->mechanism), "killed",
			 container->killed, "seconds", seconds_since(container->kept->since), "sqpoll_budget",
			 sqpoll_json(&container->policy), "setups", numbers_json(&numbers));
}

static json_t *limits_json(const struct agent *agent)
{
	return json_pack("{s:i, s:i, s:i, s:i}", "containers", AGENT_CONTAINERS, "listeners_per_container",
			 (int)AGENT_LISTENERS, "patience_ms", (int)agent->options.patience_ms, "silence_ms",
			 (int)agent->options.silence_ms);
}

static json_t *counts_json(const struct agent *agent)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "begun", (json_int_t)agent->begun, "restored",
			 (json_int_t)agent->restored, "refused", (json_int_t)agent->refused, "workers_killed",
			 (json_int_t)agent->killed, "workers_crashed", (json_int_t)agent->crashed, "workers_revived",
			 (json_int_t)agent->revived, "callers_rejected", (json_int_t)agent->rejected, "reloads",
			 (json_int_t)agent->reloads);
}

char *agent_status_json(const struct agent *agent)
{
	struct agent_numbers sum = sum_of(agent);
	json_t *list = json_array(), *root;
	char *text;

	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		if (agent->containers[i].kept)
			json_array_append_new(list, container_json(agent, i));
	root = json_pack("{s:i, s:s, s:i, s:f, s:s, s:s?, s:i, s:I, s:o, s:o, s:o, s:o}", "format", 1, "version",
			 CIRCLIP_VERSION, "pid", (int)getpid(), "seconds", seconds_since(agent->started_at),
			 "mechanism", agent_mechanism(agent), "rules_file", agent->options.rules, "rules",
			 (int)agent_rules_count(agent->rules), "rules_read", (json_int_t)agent->rules_read, "limits",
			 limits_json(agent), "counts", counts_json(agent), "setups", numbers_json(&sum), "containers",
			 list);
	text = root ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	json_decref(root);
	return text;
}

/* ---- Prometheus ---- */

static void put_simple(FILE *to, const char *name, const char *type, const char *help, double value)
{
	fprintf(to, "# HELP circlip_%s %s\n# TYPE circlip_%s %s\ncirclip_%s %.15g\n", name, help, name, type, name,
		value);
}

static void put_denied(FILE *to, const struct agent_numbers *sum)
{
	fputs("# HELP circlip_setups_denied_total Set-ups that got no ring, by the field of the policy that denied "
	      "them.\n"
	      "# TYPE circlip_setups_denied_total counter\n",
	      to);
	for (size_t i = 0; i < AGENT_DENIED_N; i++)
		fprintf(to, "circlip_setups_denied_total{reason=\"%s\"} %" PRIu64 "\n", agent_board_reason(i),
			sum->denied[i]);
}

static void put_latency(FILE *to, const struct agent_numbers *sum)
{
	uint64_t so_far = 0;

	fputs("# HELP circlip_setup_latency_seconds From a set-up's notification to its answer.\n"
	      "# TYPE circlip_setup_latency_seconds histogram\n",
	      to);
	for (size_t i = 0; i < AGENT_BUCKETS; i++) {
		char bound[32] = "+Inf";

		if (!isinf(agent_board_bound(i)))
			snprintf(bound, sizeof bound, "%g", agent_board_bound(i));
		so_far += sum->latency[i];
		fprintf(to, "circlip_setup_latency_seconds_bucket{le=\"%s\"} %" PRIu64 "\n", bound, so_far);
	}
	fprintf(to, "circlip_setup_latency_seconds_sum %.9f\ncirclip_setup_latency_seconds_count %" PRIu64 "\n",
		(double)sum->latency_ns / 1e9, so_far);
}

/* SQPOLL budgets: what the containers that run may have at most, and how many of them have no limit. */
static void put_budget(FILE *to, const struct agent *agent)
{
	uint64_t budget = 0, unlimited = 0;

	for (size_t i = 0; i < AGENT_CONTAINERS; i++) {
		const struct policy *policy = &agent->containers[i].policy;

		if (agent->containers[i].worker <= 0 || !policy->sqpoll.allowed)
			continue;
		unlimited += policy->sqpoll.per_container == POLICY_NO_LIMIT;
		budget += policy->sqpoll.per_container == POLICY_NO_LIMIT ? 0 : policy->sqpoll.per_container;
	}
	put_simple(to, "sqpoll_budget", "gauge",
		   "Polling threads that the running containers' policies allow together.", (double)budget);
	put_simple(to, "sqpoll_unlimited_containers", "gauge",
		   "Running containers whose policy allows any number of polling threads.", (double)unlimited);
}

/* An id is printable and has no quotes or backslashes (oci.h), so it can stand in a label. */
static void put_container(FILE *to, const struct agent *agent, size_t i)
{
	struct agent_numbers numbers = { 0 };

	agent_board_add(&numbers, page_of(agent, i));
	fprintf(to,
		"circlip_container_setups_total{id=\"%s\",worker=\"%d\",outcome=\"made\"} %" PRIu64 "\n"
		"circlip_container_setups_total{id=\"%s\",worker=\"%d\",outcome=\"denied\"} %" PRIu64 "\n",
		agent->containers[i].kept->state.id, (int)agent->containers[i].worker, numbers.made,
		agent->containers[i].kept->state.id, (int)agent->containers[i].worker, agent_numbers_denied(&numbers));
}

static void put_containers(FILE *to, const struct agent *agent)
{
	fputs("# HELP circlip_container_setups_total Set-ups of the containers that run now.\n"
	      "# TYPE circlip_container_setups_total counter\n",
	      to);
	for (size_t i = 0; i < AGENT_CONTAINERS; i++)
		if (agent->containers[i].kept)
			put_container(to, agent, i);
}

static void put_counts(FILE *to, const struct agent *agent)
{
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{ "containers", "gauge", "Containers that are served now; each has one worker.",
		  agent_crew_count(agent) },
		{ "containers_total", "counter", "Containers that were given a worker.", agent->begun },
		{ "containers_refused_total", "counter", "Containers and programs that were given none.",
		  agent->refused },
		{ "workers_killed_total", "counter", "Workers that fell silent and were killed.", agent->killed },
		{ "workers_crashed_total", "counter", "Workers that ended by themselves.", agent->crashed },
		{ "workers_revived_total", "counter", "Workers that took the place of one that ended too early.",
		  agent->revived },
		{ "containers_restored_total", "counter", "Containers taken over from an earlier agent.",
		  agent->restored },
		{ "callers_rejected_total", "counter", "Connections that brought nothing usable.", agent->rejected },
		{ "rules_reloads_total", "counter", "Times that the rules were read again.", agent->reloads },
		{ "metrics_restarts_total", "counter", "Times that the process behind this page was started again.",
		  agent->http_restarts },
		{ "log_dropped_total", "counter", "Lines that the log's reader did not take.", agent->log.dropped },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		put_simple(to, rows[i].name, rows[i].type, rows[i].help, (double)rows[i].value);
}

char *agent_status_metrics(const struct agent *agent)
{
	struct agent_numbers sum = sum_of(agent);
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	put_simple(to, "rings_made_total", "counter", "Rings made.", (double)sum.made);
	put_simple(to, "rings_altered_total", "counter",
		   "Of these, made smaller or without some flags that were asked for.", (double)sum.altered);
	put_simple(to, "pollers_made_total", "counter", "Of these, with a polling thread (SQPOLL).",
		   (double)sum.pollers);
	put_simple(to, "setups_unreported_total", "counter", "Set-ups that came too fast to be counted otherwise.",
		   (double)sum.unreported);
	put_denied(to, &sum);
	put_latency(to, &sum);
	put_budget(to, agent);
	put_counts(to, agent);
	put_containers(to, agent);
	if (fclose(to) != 0)
		free(text), text = NULL;
	return text;
}
