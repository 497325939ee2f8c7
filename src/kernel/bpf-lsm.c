/* SPDX-License-Identifier: MIT */
#include "kernel/bpf-lsm.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/btf.h"
#include "kernel/call.h"

static const char *const hooks[] = { "uring_allowed", "uring_cmd", "uring_override_creds", "uring_sqpoll" };
enum { N_HOOKS = sizeof(hooks) / sizeof(*hooks), PROGRAMS_MAX = 65536 };

struct numbers {
	int any;            /* of a hook that every kernel with BPF modules has */
	int uring[N_HOOKS]; /* -ENOENT where the kernel is too old */
};

static int read_numbers(struct numbers *ret_numbers)
{
	CLEANUP(cleanup_free) void *btf = NULL;
	size_t size;
	int r = btf_read_kernel(&btf, &size);

	if (r < 0)
		return r;
	ret_numbers->any = btf_find_function(btf, size, "bpf_lsm_file_open");
	for (int i = 0; i < N_HOOKS; i++) {
		char name[64];

		snprintf(name, sizeof(name), "bpf_lsm_%s", hooks[i]);
		ret_numbers->uring[i] = btf_find_function(btf, size, name);
	}
	return 0;
}

int bpf_lsm_try(void)
{
	static const struct bpf_insn allow[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	CLEANUP(cleanup_fd) int fd = -1;
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_LSM };
	struct numbers numbers;
	int r = read_numbers(&numbers);

	if (r < 0 || numbers.any < 0)
		return r < 0 ? r : numbers.any;
	attr.expected_attach_type = BPF_LSM_MAC;
	attr.attach_btf_id = (uint32_t)numbers.any;
	attr.insns = (uint64_t)(uintptr_t)allow;
	attr.insn_cnt = sizeof(allow) / sizeof(*allow);
	attr.license = (uint64_t)(uintptr_t) "GPL";
	fd = kernel_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? fd : 0;
}

static int info_of(uint32_t id, struct bpf_prog_info *ret_info)
{
	union bpf_attr attr = { .prog_id = id };
	CLEANUP(cleanup_fd) int fd = kernel_bpf(BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr));

	if (fd < 0)
		return fd;
	memset(&attr, 0, sizeof(attr));
	memset(ret_info, 0, sizeof(*ret_info));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(*ret_info);
	attr.info.info = (uint64_t)(uintptr_t)ret_info;
	return kernel_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr));
}

static void note(struct bpf_lsm_found *found, const char *hook, const struct bpf_prog_info *info)
{
	size_t used = strlen(found->names);

	snprintf(found->names + used, sizeof(found->names) - used, "%s%s by %.16s (id %u)", used ? ", " : "", hook,
		 info->name, info->id);
	found->n_programs++;
}

int bpf_lsm_find(struct bpf_lsm_found *ret_found)
{
	struct bpf_lsm_found found = { 0 };
	union bpf_attr next = { .start_id = 0 };
	struct bpf_prog_info info;
	struct numbers numbers;
	int r = read_numbers(&numbers);

	for (int n = 0; r == 0 && n < PROGRAMS_MAX; n++) {
		r = kernel_bpf(BPF_PROG_GET_NEXT_ID, &next, sizeof(next));
		if (r < 0)
			break;
		next.start_id = next.next_id;
		if (info_of(next.start_id, &info) < 0 || info.type != BPF_PROG_TYPE_LSM)
			continue;
		found.n_all++;
		for (int i = 0; i < N_HOOKS; i++)
			if (numbers.uring[i] >= 0 && info.attach_btf_id == (uint32_t)numbers.uring[i])
				note(&found, hooks[i], &info);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_found = found;
	return 0;
}
