/* SPDX-License-Identifier: MIT */
/* What workers tell. */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>

#include "base/err.h"
#include "enforce/agent-inner.h"
#include "enforce/agent-pass.h"

/* What a program calls itself may be any bytes, and what a worker says too, should somebody have taken it over. */
static void clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (!isprint((unsigned char)*text))
			*text = '?';
}

static void log_denied(struct agent *agent, const struct agent_container *container, struct serve_report *report)
{
	static const char *const kinds[] = {
		[SERVE_DENIED] = "denied",
		[SERVE_FAILED] = "failed",
		[SERVE_KILLED] = "hung",
	};
	const char *kind = report->kind >= SERVE_DENIED && report->kind <= SERVE_KILLED ? kinds[report->kind] : "?";
	bool has_field = report->field >= 0 && report->field < POLICY_N_FIELDS;

	clean(report->comm, sizeof report->comm);
	clean(report->what, sizeof report->what);
	clean(report->remedy, sizeof report->remedy);
	agent_log(&agent->log, AGENT_WARNING, "setup-denied", "s:s, s:i, s:s, s:s, s:s?, s:i, s:s, s:s, s:s, s:I", "id",
		  container->kept->state.id, "pid", (int)report->pid, "comm", report->comm, "outcome", kind, "field",
		  has_field ? policy_field_name((enum policy_field)report->field) : NULL, "errno", report->error,
		  "what", report->what, "remedy", report->remedy, "policy", container->policy.file, "line",
		  (json_int_t)report->line);
}

static void hear(struct agent *agent, struct agent_container *container, struct agent_word *word)
{
	clean(word->problem.text, sizeof word->problem.text);
	if (word->kind == AGENT_WORD_DENIED)
		log_denied(agent, container, &word->report);
	if (word->kind == AGENT_WORD_PROBLEM)
		agent_log(&agent->log, AGENT_ERROR, "worker-problem", "s:s, s:s", "id", container->kept->state.id,
			  "text", word->problem.text);
}

void agent_hear(struct agent *agent, struct agent_source *source)
{
	struct agent_container *container = (struct agent_container *)source;
	struct agent_word word;
	size_t n_fds = 0;

	for (int i = 0; i < 16; i++) { /* the others shall have their turn */
		ssize_t n = agent_pass_receive(source->fd, &word, sizeof word, NULL, 0, &n_fds);

		if (n == -EAGAIN)
			return;
		if (n != (ssize_t)sizeof word) {
			agent_unwatch(agent, source);
			return;
		}
		hear(agent, container, &word);
	}
}
