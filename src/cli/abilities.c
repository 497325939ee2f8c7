/* SPDX-License-Identifier: MIT */
#include "cli/abilities.h"

#include "event/source.h"

const char *abilities_name(size_t bit)
{
	static const char *const names[] = {
		"entries",     "completions", "memory",        "bounds",           "descriptors", "cq-state", "threads",
		"credentials", "stacks",      "sqpoll-timing", "provided-buffers", "frames",      "waits",    "filters",
	};

	_Static_assert(SOURCE_FILTERS == 1u << (sizeof names / sizeof *names - 1), "an ability has no name");
	return bit < sizeof names / sizeof *names ? names[bit] : NULL;
}

static const struct {
	const char *name;
	uint32_t abilities;
} sensors[] = {
	/* Under emulation nothing polls, and with --sqpoll=keep nobody sees when it does. */
	{ "shim", ((SOURCE_WAITS << 1) - 1) & ~(uint32_t)SOURCE_SQPOLL_TIMING },
};

const char *abilities_sensor(size_t i)
{
	return i < sizeof sensors / sizeof *sensors ? sensors[i].name : NULL;
}

uint32_t abilities_of_sensor(size_t i)
{
	return sensors[i].abilities;
}
