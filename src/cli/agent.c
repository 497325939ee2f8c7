/* SPDX-License-Identifier: MIT */
/* circlip agent: answers io_uring_setup for the containers of runc, crun and what is built on them. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "cli/agent.h"
#include "cli/command.h"
#include "enforce/agent.h"
#include "enforce/policy.h"
#include "kernel/feature.h"

enum { DEFAULT_PATIENCE_MS = 3000, SILENCE_MS = 5000 };

struct agent_words {
	const char *listen, *control, *rules, *policy, *metrics, *log;
	unsigned int mechanism;
	uint64_t patience_ns;
	struct command_list unenforced;
};

static const struct agent_words agent_defaults = {
	.listen = AGENT_DEFAULT_LISTEN,
	.control = AGENT_DEFAULT_CONTROL,
	.policy = "default",
	.patience_ns = DEFAULT_PATIENCE_MS * UINT64_C(1000000),
};

COMMAND_NAMES(mechanism_choice, "auto", "caller", "enable", "strip");
static const struct {
	enum agent_callers callers;
	enum mechanism others;
} mechanisms[] = {
	{ AGENT_CALLERS_WHERE_POSSIBLE, MECHANISM_ENABLE },
	{ AGENT_CALLERS_ALWAYS, MECHANISM_ENABLE },
	{ AGENT_CALLERS_NEVER, MECHANISM_ENABLE },
	{ AGENT_CALLERS_NEVER, MECHANISM_STRIP },
};

static const char *field_name(size_t i)
{
	return i < POLICY_N_FIELDS ? policy_field_name((enum policy_field)i) : NULL;
}

/* What it cannot do without, asked before it begins. */
static int check_kernel(struct err *err)
{
	static const struct {
		enum kernel_feature feature;
		const char *what;
	} needed[] = {
		{ KERNEL_URING, "this process cannot make rings" },
		{ KERNEL_RING_RESTRICTIONS, "rings cannot be restricted" },
		{ KERNEL_SECCOMP_ADDFD, "the kernel cannot put a descriptor into another process" },
		{ KERNEL_PROCESS_VM_READ, "other processes' memory cannot be read" },
	};

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (kernel_feature(needed[i].feature)->state == KERNEL_NO)
			return err_set(err, -EOPNOTSUPP, "%s: %s", needed[i].what,
				       kernel_feature(needed[i].feature)->why);
	return 0;
}

static int agent_run_command(void *options, char **words, size_t n_words)
{
	const struct agent_words *given = options;
	struct agent_options agent = {
		.listen = given->listen,
		.control = given->control,
		.rules = given->rules,
		.fallback = given->policy,
		.metrics = given->metrics,
		.log = given->log,
		.force.mechanism = mechanisms[given->mechanism].others,
		.callers = mechanisms[given->mechanism].callers,
		.patience_ms = (uint32_t)(given->patience_ns / 1000000),
		.silence_ms = SILENCE_MS,
	};
	struct err err = { "" };
	int r = check_kernel(&err);

	for (size_t i = 0; i < given->unenforced.n; i++)
		agent.force.accepted[policy_field_find(given->unenforced.items[i])] = true;
	if (agent.patience_ms == 0 || agent.patience_ms > 60000)
		return command_fail("agent", COMMAND_USAGE, "--patience is from 0.001 to 60 seconds");
	if (r == 0)
		r = agent_run(&agent, &err);
	return r < 0 ? command_fail("agent", COMMAND_FAILED, "%s", err.text) : COMMAND_OK;
}

#define AT(field) offsetof(struct agent_words, field)
static const struct command_option agent_rows[] = {
	{ "listen", "PATH", "The socket that runtimes connect to (listenerPath); unused when systemd passes one.",
	  COMMAND_FILE, AT(listen) },
	{ "control", "PATH", "The socket for circlip agent status; empty for none.", COMMAND_FILE, AT(control) },
	{ "rules", "FILE", "Which policy for which container; read again on SIGHUP.", COMMAND_FILE, AT(rules) },
	{ "policy", "POLICY",
	  "For containers that no rule names: a profile's name, a policy's file, or \"refuse\" (default: default).",
	  COMMAND_TEXT, AT(policy) },
	{ "allow-unenforced", "FIELD",
	  "Accept policies with this field, which the agent cannot enforce, or not in all containers.", COMMAND_NAME,
	  AT(unenforced), field_name },
	{ "mechanism", NULL,
	  "caller: programs make their rings themselves, held by the BPF guard (profiles of circlip agent profile are "
	  "made for it; others are refused); enable: a helper makes them, and those with SINGLE_ISSUER are enabled by "
	  "their caller; strip: never touch the caller. auto, the default: caller for containers where that can be, "
	  "enable for the others.",
	  COMMAND_CHOICE, AT(mechanism), mechanism_choice },
	{ "patience", "SECONDS", "How long one set-up may take before it is refused (default: 3).", COMMAND_SECONDS,
	  AT(patience_ns) },
	{ "metrics", "HOST:PORT", "Prometheus metrics there, at /metrics.", COMMAND_TEXT, AT(metrics) },
	{ "log", "FILE", "JSON Lines there instead of stderr.", COMMAND_FILE, AT(log) },
	{ NULL },
};

static const struct command *const agent_verbs[] = { &agent_status_command, &agent_profile_command, NULL };

const struct command agent_command = {
	.name = "agent",
	.words = "[status|profile]",
	.summary = "Give the containers of runc, crun and what is built on them rings that the kernel restricts.",
	.about = "A container whose seccomp profile sends io_uring_setup to the agent's socket gets its rings from the "
		 "agent, "
		 "restricted by the policy that the rules choose. circlip agent profile makes such profiles. Without "
		 "the "
		 "agent such a container does not start.",
	.options = agent_rows,
	.defaults = &agent_defaults,
	.size = sizeof agent_defaults,
	.verbs = agent_verbs,
	.run = agent_run_command,
};
