/* SPDX-License-Identifier: MIT */
#include "cli/protections.h"

#include <string.h>

#include "advise/doctor.h"
#include "base/err.h"
#include "enforce/guard.h"
#include "enforce/mechanism.h"
#include "enforce/plan.h"
#include "enforce/policy.h"

/* A plan for a policy that restricts nothing fails only when the mechanism cannot be used at all. */
static void add_mechanism(struct doctor *doctor, enum mechanism mechanism)
{
	static struct plan plan;
	struct policy policy = policy_allow_all();
	const struct plan_request request = { .policy = &policy, .mechanism = (int)mechanism };
	struct err err = { "" };
	const char *why;

	memset(&plan, 0, sizeof plan);
	if (plan_make(&request, &plan, &err) == 0) {
		doctor_say(doctor, DOCTOR_PROTECTIONS, mechanism_name(mechanism), DOCTOR_GOOD, NULL, "%s",
			   mechanism_summary(mechanism));
	} else {
		why = plan.n_candidates && *plan.candidates[0].why_not ? plan.candidates[0].why_not : err.text;
		doctor_say(doctor, DOCTOR_PROTECTIONS, mechanism_name(mechanism), DOCTOR_PLAIN, NULL, "not here: %s",
			   why);
	}
	plan_done(&plan);
}

void protections_add(struct doctor *doctor)
{
	struct err err = { "" };

	for (int mechanism = 0; mechanism < MECHANISM_N; mechanism++)
		add_mechanism(doctor, (enum mechanism)mechanism);
	if (guard_probe(&err) == 0)
		doctor_say(
			doctor, DOCTOR_PROTECTIONS, "host", DOCTOR_GOOD, NULL,
			"budgets and bans of the kernel's own, for the whole host or a control group (circlip host)");
	else
		doctor_say(doctor, DOCTOR_PROTECTIONS, "host", DOCTOR_PLAIN, NULL, "not here: %s", err.text);
}
