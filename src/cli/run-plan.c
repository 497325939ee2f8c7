/* SPDX-License-Identifier: MIT */
#include "cli/run-plan.h"

#include "cli/print.h"
#include "enforce/plan.h"

enum { INDENT = 26 };

void run_plan_print_candidates(FILE *file, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_candidates; i++)
		if (*plan->candidates[i].why_not) {
			fputs("  not ", file);
			print_item(file, mechanism_name(plan->candidates[i].mechanism), plan->candidates[i].why_not,
				   INDENT);
		}
}

static void print_field(FILE *file, const struct plan *plan, enum policy_field field)
{
	const char *how;
	enum mechanism_force force = plan_force(plan, field, &how);
	char text[512];

	if (!policy_restricts(&plan->policy, field))
		return;
	snprintf(text, sizeof(text), "%s%s: %s", mechanism_force_name(force),
		 plan->unenforced[field] ? ", accepted as not enforced" : "", how);
	fputs("  ", file);
	print_item(file, policy_field_name(field), text, INDENT);
}

void run_plan_print(FILE *file, const struct plan *plan, char *const program[])
{
	const char *remains;

	fprintf(file, "policy: %s (%s)\n", plan->policy.name, plan->policy.file);
	fputs("mechanism: ", file);
	print_item(file, mechanism_name(plan->mechanism), mechanism_summary(plan->mechanism), INDENT);
	run_plan_print_candidates(file, plan);
	fputs("\nwhat the policy restricts, and who enforces it:\n", file);
	for (int field = 0; field < POLICY_N_FIELDS; field++)
		print_field(file, plan, field);
	fputs("\nwhat remains possible:\n", file);
	for (size_t i = 0; (remains = plan_remains(plan, i)); i++) {
		fputs("  - ", file);
		print_wrapped(file, remains, 4, 4);
	}
	fputs("\nsteps:\n", file);
	for (size_t i = 0; i < plan->n_steps; i++) {
		fprintf(file, "  %2zu. ", i + 1);
		print_wrapped(file, plan->steps[i].text, 6, 6);
	}
	if (program && *program)
		fprintf(file, "program: %s\n", *program);
}
