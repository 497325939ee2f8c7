/* SPDX-License-Identifier: MIT */
/* The Kubernetes manifest: the agent on each node, the profile where the kubelet looks for it, and a database that uses
 * both. */
#pragma once

struct agent_profile_options;

/* `profile`: the seccomp profile as JSON. The caller frees the text; NULL = out of memory. */
char *agent_manifest_make(const struct agent_profile_options *options, const char *profile);
