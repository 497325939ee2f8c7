/* SPDX-License-Identifier: MIT */
/* The ELF objects of one address space, opened with libdwfl when first asked for. Shared by forked children until one
 * of them changes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <elfutils/libdwfl.h>

struct module {
	uint64_t base, low, high;
	char *path;
	bool shim;  /* our own object: its frames are not the program's */
	bool tried; /* opening it was tried since the last modules_close() */
	Dwfl_Module *opened;
};

/* Where the function around a pc starts. libdw goes through the whole symbol table for each question. */
enum { MODULES_STARTS = 512 };
struct modules_start {
	uint64_t pc, start;
};

struct modules {
	struct module *list;
	size_t n;
	Dwfl *dwfl;
	unsigned refs;
	struct modules_start starts[MODULES_STARTS]; /* by pc; a later one takes an older one's place */
	uint64_t used;                               /* when it was last opened: the longest unused is closed first */
};

struct modules *modules_new(void);
struct modules *modules_ref(struct modules *modules);
struct modules *modules_unref(struct modules *modules);

/*
 * Adds an object; `*modules` becomes a copy first where somebody else shares it or where an object was replaced (older
 * stacks keep the older picture). 0 or -ENOMEM.
 */
int modules_add(struct modules **modules, const struct module *added);

/* The object that holds this address, or NULL. */
struct module *modules_find(struct modules *modules, uint64_t address);

/* Its file, opened; NULL when it cannot be read. */
Dwfl_Module *modules_open(struct modules *modules, struct module *module);

/* Closes all files; modules_open() opens them again. */
void modules_close(struct modules *modules);
