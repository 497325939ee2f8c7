/* SPDX-License-Identifier: MIT */
/* Any bytes as a runtime's state, as what a kernel says of its version, and as a limit of a control group. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "advise/budget.h"
#include "advise/container.h"
#include "advise/cve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned long long start;
	struct cve_kernel kernel;
	char *text = malloc(size + 1);
	pid_t pid = 0;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (container_parse_state(text, size, &pid, &start) == 0 && pid <= 0)
		abort();
	cve_parse_kernel(text, text, text, &kernel);
	for (size_t i = 0; cve_get(i); i++)
		if (cve_repaired(cve_get(i), kernel.version) && !cve_affects(cve_get(i), kernel.version))
			abort();
	budget_parse_cpu(text);
	free(text);
	return 0;
}
