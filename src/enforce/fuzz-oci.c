/* SPDX-License-Identifier: MIT */
/* Whatever a runtime, or something that says it is one, sends to the agent. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "enforce/oci.h"

static void must(int holds)
{
	if (!holds)
		abort();
}

static void check(const struct oci_state *state)
{
	must(*state->id && memchr(state->id, '\0', sizeof state->id));
	must(!strpbrk(state->id, "/\" \n"));
	must(!!memchr(state->metadata, '\0', sizeof state->metadata));
	must(!!memchr(state->policy, '\0', sizeof state->policy));
	must(!!memchr(state->bundle, '\0', sizeof state->bundle));
	must(state->pid >= 0 && state->n_fds <= OCI_MAX_FDS && state->seccomp_fd < state->n_fds);
	must(*oci_status_name(state->status) != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_state state;
	struct err err = { "" };
	int r = oci_parse((const char *)data, size, &state, &err);

	if (r == 0)
		check(&state);
	else
		must(r == OCI_INCOMPLETE || *err.text);
	return 0;
}
