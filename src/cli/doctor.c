/* SPDX-License-Identifier: MIT */
/* circlip doctor: what this host, a process or a container allows io_uring to do, why, and what changes it. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advise/container.h"
#include "advise/doctor.h"
#include "advise/fix.h"
#include "base/err.h"
#include "cli/command.h"
#include "cli/print.h"
#include "cli/protections.h"
#include "report/common.h"

enum { NO_FIX = -1, INDENT = 32, NO_THRESHOLD = 101, TENTHS = 10, DIGITS = 3 };

struct doctor_options {
	const char *pid, *container, *threshold, *base, *unit, *user;
	int fix;
	unsigned int format, colour;
	bool json, no_stop;
};

static const struct doctor_options doctor_defaults = { .fix = NO_FIX };

COMMAND_NAMES(format_name, "text", "json");

/* ---- text ---- */

static const struct {
	const char *sign, *colour;
} signs[] = {
	[DOCTOR_GOOD] = { "[+]", "\033[32m" },    [DOCTOR_PLAIN] = { "[ ]", "" },
	[DOCTOR_WARNING] = { "[!]", "\033[33m" }, [DOCTOR_OBSTACLE] = { "[x]", "\033[31m" },
	[DOCTOR_UNKNOWN] = { "[?]", "\033[36m" },
};

static void put_item(const struct doctor_item *item, bool colour)
{
	char text[DOCTOR_TEXT + 64];

	snprintf(text, sizeof text, "%s%s%s%s", item->text, item->fix ? " (circlip doctor --fix " : "",
		 item->fix ? item->fix : "", item->fix ? ")" : "");
	printf("  %s%s%s ", colour ? signs[item->mark].colour : "", signs[item->mark].sign,
	       colour && *signs[item->mark].colour ? "\033[0m" : "");
	printf("%-*s", INDENT - 7, item->name);
	if (strlen(item->name) >= INDENT - 7)
		printf("\n%*s", INDENT - 1, "");
	print_wrapped(stdout, text, INDENT, INDENT);
}

static void put_section(const struct doctor *d, enum doctor_section section, bool colour)
{
	static const char *const titles[] = { "Who may make rings", "What bounds them", "This kernel's io_uring",
					      "Known vulnerabilities", "Circlip's protections" };

	printf("\n%s\n", titles[section]);
	for (size_t i = 0; i < d->n_items; i++)
		if (d->items[i].section == section)
			put_item(&d->items[i], colour);
}

static void put_version(char *text, size_t size, const struct cve *cve, uint32_t version)
{
	uint32_t to = cve_repaired(cve, version);

	if (to)
		snprintf(text, size, ", repaired in %u.%u.%u", to >> 24, to >> 16 & 0xff, to & 0xffff);
	else
		snprintf(text, size, ", no repair of this branch on record");
}

static void put_cves(const struct doctor *d)
{
	for (size_t i = 0; i < d->n_cves; i++) {
		const struct cve *cve = d->cves[i];
		char text[512], repaired[64];

		put_version(repaired, sizeof repaired, cve, d->kernel.version);
		snprintf(text, sizeof text, "%s (%s%s%s)", cve->title, cve->feature, repaired,
			 cve->unsure ? "; not all of its versions are known" : "");
		printf("      %-*s", INDENT - 7, cve->id);
		print_wrapped(stdout, text, INDENT, INDENT);
	}
}

static void put_exposures(const struct doctor *d)
{
	printf("\nExposure\n");
	for (size_t i = 0; i < d->n_exposures; i++) {
		const struct doctor_exposure *e = &d->exposures[i];

		printf("  %4u.%u of %-4.1f %-*s", e->weight * (unsigned int)e->badness / 1000,
		       e->weight * (unsigned int)e->badness / 100 % TENTHS, e->weight / 10.0, INDENT - 15, e->name);
		print_wrapped(stdout, e->text, INDENT, INDENT);
	}
	printf("\n-> exposure of %s: %u.%u %s\n", d->subject.label, d->score / TENTHS, d->score % TENTHS,
	       doctor_grade(d->score));
}

static void put_text(const struct doctor *d, bool colour)
{
	printf("%s: Linux %s\n", d->subject.label, d->release);
	for (int section = 0; section < DOCTOR_SECTIONS; section++) {
		put_section(d, (enum doctor_section)section, colour);
		if (section == DOCTOR_CVES)
			put_cves(d);
	}
	put_exposures(d);
}

/* ---- JSON Lines ---- */

static void put_object(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(DIGITS));
	putchar('\n');
	json_decref(object);
}

static json_t *object_of(const char *type)
{
	json_t *object = json_object();

	common_set(object, "type", type);
	return object;
}

static void put_json_item(const struct doctor_item *item)
{
	json_t *object = object_of("item");

	common_set(object, "section", doctor_section_name(item->section));
	common_set(object, "name", item->name);
	common_set(object, "mark", doctor_mark_name(item->mark));
	common_set(object, "text", item->text);
	if (item->fix)
		common_set(object, "fix", item->fix);
	put_object(object);
}

static void put_json_cve(const struct doctor *d, const struct cve *cve)
{
	json_t *object = object_of("vulnerability");
	uint32_t to = cve_repaired(cve, d->kernel.version);
	char version[32];

	common_set(object, "id", cve->id);
	common_set(object, "title", cve->title);
	common_set(object, "feature", cve->feature);
	json_object_set_new(object, "unsure", json_boolean(cve->unsure || d->kernel.backports));
	snprintf(version, sizeof version, "%u.%u.%u", to >> 24, to >> 16 & 0xff, to & 0xffff);
	if (to)
		common_set(object, "repaired_in", version);
	put_object(object);
}

static void put_json_exposure(const struct doctor_exposure *e)
{
	json_t *object = object_of("exposure");

	common_set(object, "name", e->name);
	json_object_set_new(object, "weight", json_integer(e->weight));
	json_object_set_new(object, "badness", json_integer(e->badness));
	json_object_set_new(object, "untold", json_boolean(e->untold));
	common_set(object, "text", e->text);
	put_object(object);
}

static void put_json(const struct doctor *d)
{
	json_t *summary = object_of("summary");

	for (size_t i = 0; i < d->n_items; i++)
		put_json_item(&d->items[i]);
	for (size_t i = 0; i < d->n_cves; i++)
		put_json_cve(d, d->cves[i]);
	for (size_t i = 0; i < d->n_exposures; i++)
		put_json_exposure(&d->exposures[i]);
	common_set(summary, "subject", d->subject.label);
	if (d->subject.pid)
		json_object_set_new(summary, "pid", json_integer(d->subject.pid));
	common_set(summary, "kernel", d->release);
	common_set(summary, "usable", kernel_state_name(d->usable));
	json_object_set_new(summary, "exposure", json_real(d->score / 10.0));
	common_set(summary, "grade", doctor_grade(d->score));
	put_object(summary);
}

/* ---- the verb ---- */

/* "6.5" as tenths; -EINVAL. */
static int parse_threshold(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	return end == text || *end || !(value >= 0 && value <= 10) ? -EINVAL : (int)(value * TENTHS + 0.5);
}

static int find_subject(const struct doctor_options *o, struct doctor *d, struct err *err)
{
	struct container container = { .pid = 0 };
	char *end = NULL;
	long pid = o->pid ? strtol(o->pid, &end, 10) : 0;
	int r;

	if (o->pid && (end == o->pid || *end || pid <= 0 || pid > INT32_MAX))
		return err_set(err, -EINVAL, "\"%s\" is no process id", o->pid);
	if (!o->container)
		return subject_look(&d->subject, o->pid ? SUBJECT_PROCESS : SUBJECT_HOST, (pid_t)pid, !o->no_stop, err);
	r = container_find(o->container, &container, err);
	if (r == 0)
		r = subject_look(&d->subject, SUBJECT_CONTAINER, container.pid, !o->no_stop, err);
	if (r == 0) {
		char label[sizeof d->subject.label];

		snprintf(label, sizeof label, "container %.64s (%s), %.160s", container.id, container.how,
			 d->subject.label);
		memcpy(d->subject.label, label, sizeof label);
	}
	return r;
}

static int put_fix(const struct doctor_options *o)
{
	const struct fix_request request = { .base = o->base, .unit = o->unit, .user = o->user };
	struct err err = { "" };

	if (fix_write((size_t)o->fix, &request, stdout, stderr, &err) < 0)
		return command_fail("doctor", COMMAND_FAILED, "%s", err.text);
	return COMMAND_OK;
}

static int doctor_run(void *options, char **words, size_t n_words)
{
	static struct doctor doctor;
	const struct doctor_options *o = options;
	int threshold = o->threshold ? parse_threshold(o->threshold) : NO_THRESHOLD;
	struct err err = { "" };
	int r;

	if (threshold < 0)
		return command_fail("doctor", COMMAND_USAGE, "--threshold: \"%s\" is not a number from 0 to 10",
				    o->threshold);
	if (o->pid && o->container)
		return command_fail("doctor", COMMAND_USAGE, "--pid and --container exclude each other");
	if (o->fix != NO_FIX)
		return put_fix(o);
	r = find_subject(o, &doctor, &err);
	if (r < 0)
		return command_fail("doctor", r == -EINVAL ? COMMAND_USAGE : COMMAND_FAILED, "%s", err.text);
	doctor_examine(&doctor);
	protections_add(&doctor);
	if (o->json || o->format)
		put_json(&doctor);
	else
		put_text(&doctor, print_in_colour(stdout, (enum print_colour)o->colour));
	if (o->threshold)
		return (int)doctor.score > threshold ? COMMAND_FINDINGS : COMMAND_OK;
	return doctor.usable == KERNEL_NO ? COMMAND_FINDINGS : COMMAND_OK;
}

#define AT(field) offsetof(struct doctor_options, field)

static const struct command_option doctor_rows[] = {
	{ "pid", "PID", "Look at this process instead of the host.", COMMAND_TEXT, AT(pid), .letter = 'p' },
	{ "container", "ID", "Look at this container: its id, a beginning of it, or its name.", COMMAND_TEXT,
	  AT(container) },
	{ "no-stop", NULL,
	  "Do not stop the process for a moment to read its seccomp filters; what they say stays open.", COMMAND_FLAG,
	  AT(no_stop) },
	{ "threshold", "N", "Fail (status 1) when the exposure is above this, and only then.", COMMAND_TEXT,
	  AT(threshold) },
	{ "fix", "KIND", "Write the file or the commands of this kind, and look at nothing.", COMMAND_CHOICE, AT(fix),
	  fix_kind },
	{ "base", "FILE", "The seccomp profile that --fix docker, podman and oci add to.", COMMAND_FILE, AT(base) },
	{ "unit", "UNIT", "The service that --fix systemd and limits are for.", COMMAND_TEXT, AT(unit) },
	{ "user", "USER", "Whom --fix memlock and sysctl-group are for.", COMMAND_TEXT, AT(user) },
	{ "format", NULL, "How to write it: text, or an object for each statement (JSON Lines).", COMMAND_CHOICE,
	  AT(format), format_name },
	{ "json", NULL, "The same as --format=json.", COMMAND_FLAG, AT(json) },
	{ "color", NULL, "When to use colours.", COMMAND_CHOICE, AT(colour), print_colour_name },
	{ NULL },
};

const struct command doctor_command = {
	.name = "doctor",
	.summary = "Say what a host, process or container allows io_uring to do, why, and what changes it.",
	.about = "Everything is found out by trying it, or by running the seccomp filters of the process; what could "
		 "not be told is said to be so. The status is 1 when no ring can be made, or, with --threshold, when "
		 "the exposure is above it. KIND is one of sysctl, sysctl-group, docker, podman, kubernetes, oci, "
		 "systemd, memlock, limits, selinux and update.",
	.options = doctor_rows,
	.defaults = &doctor_defaults,
	.size = sizeof doctor_defaults,
	.run = doctor_run,
};
