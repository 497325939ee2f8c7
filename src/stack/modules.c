/* SPDX-License-Identifier: MIT */
#include "stack/modules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_MODULES = 4096 };

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

struct modules *modules_new(void)
{
	struct modules *modules = calloc(1, sizeof *modules);

	if (modules)
		modules->refs = 1;
	return modules;
}

struct modules *modules_ref(struct modules *modules)
{
	modules->refs++;
	return modules;
}

void modules_close(struct modules *modules)
{
	if (modules->dwfl)
		dwfl_end(modules->dwfl);
	modules->dwfl = NULL;
	for (size_t i = 0; i < modules->n; i++) {
		modules->list[i].opened = NULL;
		modules->list[i].tried = false;
	}
}

struct modules *modules_unref(struct modules *modules)
{
	if (!modules || --modules->refs)
		return NULL;
	modules_close(modules);
	for (size_t i = 0; i < modules->n; i++)
		free(modules->list[i].path);
	free(modules->list);
	free(modules);
	return NULL;
}

static bool overlap(const struct module *a, const struct module *b)
{
	return a->low < b->high && b->low < a->high;
}

static bool same(const struct module *a, const struct module *b)
{
	return a->base == b->base && a->low == b->low && a->high == b->high && strcmp(a->path, b->path) == 0;
}

static int append(struct modules *modules, const struct module *added)
{
	struct module *list = realloc(modules->list, (modules->n + 1) * sizeof *list);
	struct module module = { .base = added->base, .low = added->low, .high = added->high };

	if (!list)
		return -ENOMEM;
	modules->list = list;
	module.path = strdup(added->path);
	if (!module.path)
		return -ENOMEM;
	module.shim = strstr(module.path, "libcirclip-shim") != NULL;
	modules->list[modules->n++] = module;
	return 0;
}

/* All objects but those that `without` lies over. */
static struct modules *copy(const struct modules *from, const struct module *without)
{
	struct modules *to = modules_new();

	for (size_t i = 0; to && i < from->n; i++)
		if (!overlap(&from->list[i], without) && append(to, &from->list[i]) < 0)
			return modules_unref(to);
	return to;
}

int modules_add(struct modules **modules, const struct module *added)
{
	struct modules *now = *modules;
	bool replaces = false;

	if (added->low >= added->high)
		return 0;
	for (size_t i = 0; i < now->n; i++) {
		if (same(&now->list[i], added))
			return 0;
		replaces |= overlap(&now->list[i], added);
	}
	if (now->n >= MAX_MODULES)
		return 0;
	if (replaces || now->refs > 1) {
		now = copy(now, added);
		if (!now)
			return -ENOMEM;
		modules_unref(*modules);
		*modules = now;
	}
	return append(now, added);
}

struct module *modules_find(struct modules *modules, uint64_t address)
{
	for (size_t i = 0; i < modules->n; i++)
		if (address >= modules->list[i].low && address < modules->list[i].high)
			return &modules->list[i];
	return NULL;
}

/* The path comes from another process: a pipe or device of that name must not hold us up. */
static bool regular_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

Dwfl_Module *modules_open(struct modules *modules, struct module *module)
{
	if (module->tried)
		return module->opened;
	module->tried = true;
	if (!regular_file(module->path))
		return NULL;
	if (!modules->dwfl)
		modules->dwfl = dwfl_begin(&callbacks);
	if (!modules->dwfl)
		return NULL;
	dwfl_report_begin_add(modules->dwfl);
	module->opened = dwfl_report_elf(modules->dwfl, module->path, module->path, -1, module->base, true);
	if (dwfl_report_end(modules->dwfl, NULL, NULL) != 0)
		module->opened = NULL;
	return module->opened;
}
