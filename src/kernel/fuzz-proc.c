/* SPDX-License-Identifier: MIT */
/* Any text as each of the files of /proc; any bytes as type information, and as a seccomp filter, which must end and
 * give the same answer twice. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/btf.h"
#include "kernel/cbpf.h"
#include "kernel/host.h"
#include "kernel/proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_texts(const char *text)
{
	static const char *const names[] = { "", "memory", "cpu" };
	struct proc_status status;
	uint64_t soft, hard;
	char path[48], root[48];

	proc_parse_status(text, &status);
	if (status.n_groups > PROC_GROUPS_MAX || !memchr(status.name, '\0', sizeof(status.name)))
		abort();
	proc_parse_limit(text, "Max locked memory", &soft, &hard);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (proc_parse_cgroup(text, names[i], path, sizeof(path)) == 0 && !memchr(path, '\0', sizeof(path)))
			abort();
	if (proc_parse_mount(text, "cgroup2", NULL, path, root, sizeof(path)) == 0 &&
	    (!memchr(path, '\0', sizeof(path)) || !memchr(root, '\0', sizeof(root))))
		abort();
	proc_parse_mount(text, "cgroup", "memory", path, NULL, sizeof(path));
	proc_parse_release(text);
	host_lsm_has(text, "bpf");
}

static void as_filter(const uint8_t *data, size_t size)
{
	static struct cbpf_insn program[CBPF_MAX + 1];
	const struct cbpf_call call = { .nr = 425, .arch = 0xc000003e };
	struct cbpf_result first = { 0 }, second = { 0 };
	size_t n = size / sizeof(*program);
	int r;

	if (n > CBPF_MAX + 1)
		n = CBPF_MAX + 1;
	memcpy(program, data, n * sizeof(*program));
	r = cbpf_run(program, n, &call, &first);
	if (r != cbpf_run(program, n, &call, &second) || first.action != second.action)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	as_texts(text);
	as_filter(data, size);
	if (btf_find_function(data, size, "f") > (int)size)
		abort();
	free(text);
	return 0;
}
