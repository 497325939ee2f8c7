/* SPDX-License-Identifier: MIT */
/* Enough of BTF, the kernel's description of its own types, to find the number of a function. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The id of the function of that name in a .BTF section, or -ENOENT, -EINVAL. */
int btf_find_function(const void *btf, size_t size, const char *name);

/* The running kernel's, into memory that the caller frees; -errno. */
int btf_read_kernel(void **ret_btf, size_t *ret_size);
