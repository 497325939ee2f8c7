/* SPDX-License-Identifier: MIT */
/* Finding functions in type information, written here and the kernel's. */
#include <errno.h>
#include <linux/btf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/bpf-lsm.h"
#include "kernel/btf.h"

#define INFO(kind, vlen) ((uint32_t)(kind) << 24 | (vlen))

struct small {
	struct btf_header head;
	uint32_t types[3 + 1 + 3 + 2 + 3 + 3];
	char strings[16];
};

static const struct small sample = {
	.head = { .magic = BTF_MAGIC,
		  .version = 1,
		  .hdr_len = sizeof(struct btf_header),
		  .type_len = sizeof(((struct small *)0)->types),
		  .str_off = sizeof(((struct small *)0)->types),
		  .str_len = 12 },
	.types = { 1, INFO(BTF_KIND_INT, 0), 4, 32,          /* 1: int */
		   0, INFO(BTF_KIND_FUNC_PROTO, 1), 1, 0, 1, /* 2: int (int) */
		   8, INFO(BTF_KIND_FUNC, 1), 2,             /* 3: g */
		   5, INFO(BTF_KIND_FUNC, 1), 2 },           /* 4: fn */
	.strings = "\0int\0fn\0g\0\0",
};

static void test_found(void **state)
{
	assert_int_equal(btf_find_function(&sample, sizeof(sample), "g"), 3);
	assert_int_equal(btf_find_function(&sample, sizeof(sample), "fn"), 4);
	assert_int_equal(btf_find_function(&sample, sizeof(sample), "f"), -ENOENT);
	assert_int_equal(btf_find_function(&sample, sizeof(sample), "int"), -ENOENT);
}

static void test_broken(void **state)
{
	struct small broken = sample;

	broken.head.type_len += 40;
	assert_int_equal(btf_find_function(&broken, sizeof(broken), "g"), -EINVAL);
	broken = sample;
	broken.types[1] = INFO(31, 0);
	assert_int_equal(btf_find_function(&broken, sizeof(broken), "g"), -EINVAL);
	broken = sample;
	broken.types[5] = INFO(BTF_KIND_FUNC_PROTO, 60000);
	assert_int_equal(btf_find_function(&broken, sizeof(broken), "g"), -EINVAL);
	assert_int_equal(btf_find_function(&sample, 8, "g"), -EINVAL);
}

static void test_kernel(void **state)
{
	struct bpf_lsm_found found;
	size_t size = 0;
	void *btf = NULL;
	int r;

	if (btf_read_kernel(&btf, &size) < 0)
		skip();
	assert_true(btf_find_function(btf, size, "vfs_read") > 0);
	assert_int_equal(btf_find_function(btf, size, "no_such_function"), -ENOENT);
	free(btf);
	r = bpf_lsm_find(&found);
	print_message("programs on security hooks: %d, %u, of io_uring %u: %s\n", r, r ? 0 : found.n_all,
		      r ? 0 : found.n_programs, r ? "" : found.names);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_found), cmocka_unit_test(test_broken),
					    cmocka_unit_test(test_kernel) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
