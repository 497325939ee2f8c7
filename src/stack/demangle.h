/* SPDX-License-Identifier: MIT */
#pragma once

/* The name as the programmer wrote it (C++, Rust), to be freed; NULL when it is not mangled. */
char *demangle(const char *name);
