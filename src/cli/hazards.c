/* SPDX-License-Identifier: MIT */
/* circlip hazards: the catalogue as a list. */
#include "cli/hazards.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/abilities.h"
#include "cli/command.h"
#include "cli/print.h"
#include "hazard/hazard.h"
#include "report/common.h"

enum { ANY = -1 };

struct hazards_options {
	int family, level, sensor; /* index of the name, or ANY */
	unsigned int format;
};

static const struct hazards_options hazards_defaults = { .family = ANY, .level = ANY, .sensor = ANY };

const char *hazards_name(size_t i)
{
	return hazard_catalogue[i] ? hazard_catalogue[i]->name : NULL;
}

COMMAND_NAMES(level_name, "note", "warning", "error");
COMMAND_NAMES(format_name, "text", "json");

/* Families are what the hazards say; in the order of their first members. */
static const char *family_name(size_t wanted)
{
	for (size_t i = 0; hazard_catalogue[i]; i++) {
		size_t j = 0;

		while (strcmp(hazard_catalogue[j]->family, hazard_catalogue[i]->family) != 0)
			j++;
		if (j == i && wanted-- == 0)
			return hazard_catalogue[i]->family;
	}
	return NULL;
}

static bool is_wanted(const struct hazards_options *o, const struct hazard *hazard)
{
	if (o->family >= 0 && strcmp(family_name((size_t)o->family), hazard->family) != 0)
		return false;
	if (o->level >= 0 && hazard->level != HAZARD_NOTE + (enum hazard_level)o->level)
		return false;
	return o->sensor < 0 || !(hazard->needs & ~abilities_of_sensor((size_t)o->sensor));
}

static void put_json(const struct hazard *hazard)
{
	json_t *object = json_object(), *needs = json_array();

	common_set(object, "name", hazard->name);
	common_set(object, "family", hazard->family);
	common_set(object, "level", common_level(hazard->level));
	for (size_t bit = 0; abilities_name(bit); bit++)
		if (hazard->needs & 1u << bit)
			json_array_append_new(needs, common_string(abilities_name(bit)));
	json_object_set_new(object, "needs", needs);
	common_set(object, "why", hazard->why);
	common_set(object, "fix", hazard->fix);
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(object);
}

static void put_text(const struct hazard *hazard)
{
	printf("%-34s %-8s %s\n", hazard->name, common_level(hazard->level), hazard->family);
}

static int hazards_run(void *options, char **words, size_t n_words)
{
	static void (*const put[])(const struct hazard *) = { put_text, put_json };
	const struct hazards_options *o = options;

	for (size_t i = 0; hazard_catalogue[i]; i++)
		if (is_wanted(o, hazard_catalogue[i]))
			put[o->format](hazard_catalogue[i]);
	return COMMAND_OK;
}

static const struct command_option hazards_rows[] = {
	{ "family", "FAMILY", "Only those of one family.", COMMAND_CHOICE, offsetof(struct hazards_options, family),
	  family_name },
	{ "level", NULL, "Only those whose highest level this is.", COMMAND_CHOICE,
	  offsetof(struct hazards_options, level), level_name },
	{ "sensor", NULL, "Only those that this sensor can see.", COMMAND_CHOICE,
	  offsetof(struct hazards_options, sensor), abilities_sensor },
	{ "format", NULL, "How to write them: a line each, or an object each (JSON Lines).", COMMAND_CHOICE,
	  offsetof(struct hazards_options, format), format_name },
	{ NULL },
};

const struct command hazards_command = {
	.name = "hazards",
	.summary = "List the hazards that Circlip knows.",
	.about = "circlip explain NAME says more about one of them.",
	.options = hazards_rows,
	.defaults = &hazards_defaults,
	.size = sizeof hazards_defaults,
	.run = hazards_run,
};
