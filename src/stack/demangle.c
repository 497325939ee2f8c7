/* SPDX-License-Identifier: MIT */
#include "stack/demangle.h"

#include <libiberty/demangle.h>
#include <stddef.h>
#include <string.h>

enum { MAX_MANGLED = 4096 };

char *demangle(const char *name)
{
	char *plain;

	if (strnlen(name, MAX_MANGLED) == MAX_MANGLED)
		return NULL;
	/* Rust's older scheme is C++'s with a hash at the end: it has to be asked first. */
	plain = rust_demangle(name, DMGL_NO_OPTS);
	return plain ? plain : cplus_demangle_v3(name, DMGL_PARAMS | DMGL_ANSI);
}
