/* SPDX-License-Identifier: MIT */
#include "stack/symbolize.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stack/demangle.h"

enum { MAX_FRAMES = 128 };

struct name {
	struct name *next;
	char text[];
};

static uint64_t hash_text(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}

const char *symbolize_names_keep(struct names *names, const char *text)
{
	uint64_t hash;
	struct name *first, *name;
	size_t length;

	if (!text)
		return NULL;
	hash = hash_text(text);
	first = map_get(&names->by_hash, hash);
	for (name = first; name; name = name->next)
		if (strcmp(name->text, text) == 0)
			return name->text;
	length = strlen(text);
	name = malloc(sizeof *name + length + 1);
	if (!name)
		return NULL;
	memcpy(name->text, text, length + 1);
	name->next = first;
	if (map_put(&names->by_hash, hash, name) < 0)
		return free(name), NULL;
	return name->text;
}

void symbolize_names_deinit(struct names *names)
{
	MAP_FOR_EACH(&names->by_hash, entry)
	for (struct name *name = entry->value, *next; name; name = next) {
		next = name->next;
		free(name);
	}
	map_deinit(&names->by_hash);
}

struct walk {
	struct names *names;
	struct stack_frame *frames;
	size_t n;
	Dwarf_Die *unit;
};

static const char *keep_name(struct names *names, const char *mangled)
{
	CLEANUP(cleanup_free) char *plain = mangled ? demangle(mangled) : NULL;

	return symbolize_names_keep(names, plain ? plain : mangled);
}

static const char *die_name(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));

	return name ? name : dwarf_diename(die);
}

static int call_number(Dwarf_Die *die, unsigned int which)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	return dwarf_formudata(dwarf_attr(die, which, &attribute), &value) == 0 && value < 1 << 30 ? (int)value : 0;
}

static const char *call_file(struct walk *walk, Dwarf_Die *die)
{
	Dwarf_Files *files;
	size_t n_files, index = (size_t)call_number(die, DW_AT_call_file);

	if (dwarf_getsrcfiles(walk->unit, &files, &n_files) != 0 || index >= n_files)
		return NULL;
	return symbolize_names_keep(walk->names, dwarf_filesrc(files, index, NULL, NULL));
}

static bool is_function(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

/* The function of the frame in hand is this one; where it was inlined, the frame above is where it was called. */
static void enter_function(struct walk *walk, Dwarf_Die *die)
{
	struct stack_frame *frame = &walk->frames[walk->n - 1];
	const char *name = keep_name(walk->names, die_name(die));

	if (name)
		frame->name = name;
	if (dwarf_tag(die) != DW_TAG_inlined_subroutine || walk->n >= MAX_FRAMES)
		return;
	walk->frames[walk->n] = *frame;
	frame->inlined = 1;
	frame->cfa = 0;
	frame++;
	frame->file = call_file(walk, die);
	frame->line = call_number(die, DW_AT_call_line);
	frame->column = call_number(die, DW_AT_call_column);
	walk->n++;
}

static void add_inlined(struct walk *walk, Dwarf_Addr address)
{
	CLEANUP(cleanup_free) Dwarf_Die *scopes = NULL;
	CLEANUP(cleanup_free) Dwarf_Die *around = NULL;
	int n = dwarf_getscopes(walk->unit, address, &scopes), n_around = 0, i = 0;

	while (i < n && !is_function(&scopes[i]))
		i++;
	if (i >= n)
		return;
	/* Scopes around an inlined function are where it was written; its parents in the tree, where it was called. */
	n_around = dwarf_getscopes_die(&scopes[i], &around);
	for (i = 0; i < n_around; i++)
		if (is_function(&around[i])) {
			enter_function(walk, &around[i]);
			if (dwarf_tag(&around[i]) == DW_TAG_subprogram)
				return;
		}
}

static void add_line(struct walk *walk, Dwfl_Module *opened, uint64_t pc)
{
	struct stack_frame *frame = &walk->frames[walk->n - 1];
	Dwfl_Line *line = dwfl_module_getsrc(opened, pc);
	const char *file = line ? dwfl_lineinfo(line, NULL, &frame->line, &frame->column, NULL, NULL) : NULL;

	frame->file = symbolize_names_keep(walk->names, file);
}

static void add_frame(struct walk *walk, struct modules *modules, const struct stack_frame *plain)
{
	struct module *module = modules_find(modules, plain->pc);
	Dwfl_Module *opened = module ? modules_open(modules, module) : NULL;
	Dwarf_Addr bias = 0;
	GElf_Off offset = 0;
	GElf_Sym symbol;

	walk->frames[walk->n++] = *plain;
	if (!opened)
		return;
	walk->frames[walk->n - 1].name =
		keep_name(walk->names, dwfl_module_addrinfo(opened, plain->pc, &offset, &symbol, NULL, NULL, NULL));
	add_line(walk, opened, plain->pc);
	walk->unit = dwfl_module_addrdie(opened, plain->pc, &bias);
	if (walk->unit)
		add_inlined(walk, plain->pc - bias);
}

struct stack *symbolize(struct modules *modules, const struct stack *plain, struct names *names)
{
	CLEANUP(cleanup_free) struct stack_frame *frames = calloc(MAX_FRAMES, sizeof *frames);
	struct walk walk = { .names = names, .frames = frames };
	struct stack *stack;

	if (!frames)
		return NULL;
	for (size_t i = 0; i < plain->n_frames && walk.n < MAX_FRAMES; i++)
		add_frame(&walk, modules, &plain->frames[i]);
	stack = malloc(sizeof *stack + walk.n * sizeof *frames);
	if (!stack)
		return NULL;
	*stack = *plain;
	stack->n_frames = walk.n;
	memcpy(stack->frames, frames, walk.n * sizeof *frames);
	return stack;
}
