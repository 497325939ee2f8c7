/* SPDX-License-Identifier: MIT */
#include "enforce/agent-manifest.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/agent-profile.h"
#include "enforce/policy.h"

static const char head[] =
	"# The Circlip agent on every node, the seccomp profile that sends io_uring_setup to it, and PostgreSQL 18 as "
	"an\n"
	"# example of a program that uses both. Made by `circlip agent profile --runtime kubernetes`.\n"
	"#\n"
	"# Build the image that the DaemonSet names from a Debian 12 base with circlip installed in it.\n"
	"# Needed on the nodes: containerd 1.5.5 or CRI-O 1.25, with runc 1.1.0 or crun 0.19.\n"
	"# A pod that uses the profile does not start on a node where the agent does not run.\n"
	"# Without the agent, rings that exist go on, and the pods that were running get ENOSYS for new ones until\n"
	"# their containers are restarted too: hence updateStrategy OnDelete. As a service of the node's systemd\n"
	"# (circlip-agent.service, instead of the DaemonSet) the agent may be restarted at any time.\n"
	"apiVersion: v1\n"
	"kind: Namespace\n"
	"metadata:\n"
	"  name: circlip\n"
	"  labels:\n"
	"    pod-security.kubernetes.io/enforce: privileged\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: ConfigMap\n"
	"metadata:\n"
	"  name: circlip\n"
	"  namespace: circlip\n"
	"data:\n"
	"  rules.yaml: |\n"
	"    # circlip-agent(1) describes this file. What no rule names gets no ring.\n"
	"    default: refuse\n"
	"    rules:\n";

static const char daemon_set[] = "---\n"
				 "apiVersion: apps/v1\n"
				 "kind: DaemonSet\n"
				 "metadata:\n"
				 "  name: circlip-agent\n"
				 "  namespace: circlip\n"
				 "spec:\n"
				 "  selector:\n"
				 "    matchLabels: {app: circlip-agent}\n"
				 "  updateStrategy:\n"
				 "    type: OnDelete\n"
				 "  template:\n"
				 "    metadata:\n"
				 "      labels: {app: circlip-agent}\n"
				 "      annotations:\n"
				 "        prometheus.io/scrape: \"true\"\n"
				 "        prometheus.io/port: \"9180\"\n"
				 "    spec:\n"
				 "      hostPID: true # it reads and stops processes of other containers\n"
				 "      priorityClassName: system-node-critical\n"
				 "      tolerations:\n"
				 "      - operator: Exists\n"
				 "      initContainers:\n"
				 "      - name: profile\n"
				 "        image: circlip:" CIRCLIP_VERSION "\n"
				 "        command: [cp, /config/circlip.json, /seccomp/circlip.json]\n"
				 "        volumeMounts:\n"
				 "        - {name: config, mountPath: /config}\n"
				 "        - {name: seccomp, mountPath: /seccomp}\n"
				 "      containers:\n"
				 "      - name: agent\n"
				 "        image: circlip:" CIRCLIP_VERSION "\n";

static const char after_command[] =
	"        ports:\n"
	"        - {name: metrics, containerPort: 9180}\n"
	"        securityContext:\n"
	"          readOnlyRootFilesystem: true\n"
	"          seccompProfile: {type: Unconfined} # RuntimeDefault denies ptrace and io_uring_setup, its work\n"
	"          appArmorProfile: {type: Unconfined}\n"
	"          capabilities:\n"
	"            drop: [ALL]\n"
	"            add: [SYS_PTRACE, SETUID, SETGID, DAC_OVERRIDE, KILL, IPC_LOCK]\n"
	"        volumeMounts:\n"
	"        - {name: config, mountPath: /config}\n"
	"        - {name: run, mountPath: RUN}\n"
	"        - {name: cgroup, mountPath: /sys/fs/cgroup}\n"
	"      volumes:\n"
	"      - name: config\n"
	"        configMap: {name: circlip}\n"
	"      - name: run\n"
	"        hostPath: {path: RUN, type: DirectoryOrCreate}\n"
	"      - name: cgroup\n"
	"        hostPath: {path: /sys/fs/cgroup}\n"
	"      - name: seccomp\n"
	"        hostPath: {path: /var/lib/kubelet/seccomp, type: DirectoryOrCreate}\n";

static const char example[] =
	"---\n"
	"# Example: PostgreSQL 18 with io_method=io_uring; it must be built --with-liburing (ldd on\n"
	"# postgres names it). It makes max_connections + 42 rings when it starts, and as many again\n"
	"# after a crash. Each counts 8 KiB against RLIMIT_MEMLOCK, which a pod cannot set: it comes from\n"
	"# the container runtime's unit on the node (LimitMEMLOCK=), for the agent too. 8 MiB are enough\n"
	"# for some 950 connections. That a ring with NO_MMAP is denied once, at its start, is as it should be.\n"
	"apiVersion: v1\n"
	"kind: Pod\n"
	"metadata:\n"
	"  name: postgres\n"
	"spec:\n"
	"  securityContext:\n"
	"    seccompProfile:\n"
	"      type: Localhost\n"
	"      localhostProfile: circlip.json\n"
	"  containers:\n"
	"  - name: postgres\n"
	"    image: postgres:18\n"
	"    args: [-c, io_method=io_uring]\n"
	"    env:\n"
	"    - {name: POSTGRES_PASSWORD, value: change-me}\n"
	"    securityContext:\n"
	"      allowPrivilegeEscalation: false\n"
	"    volumeMounts:\n"
	"    - {name: data, mountPath: /var/lib/postgresql}\n"
	"  volumes:\n"
	"  - name: data\n"
	"    emptyDir: {}\n";

/* A block scalar: each line further in. */
static void put_indented(FILE *to, const char *text, const char *indent)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		fprintf(to, "%s%.*s\n", indent, (int)length, text);
		text += length + (text[length] == '\n');
	}
}

/* In double quotes: what YAML and JSON agree on. */
static void put_quoted(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			fprintf(to, "\\%c", *text);
		else
			fputc(*text, to);
	fputc('"', to);
}

/* Each "RUN" is the socket's folder. */
static void put_with_folder(FILE *to, const char *text, const char *folder)
{
	const char *at;

	for (; (at = strstr(text, "RUN")); text = at + 3)
		fprintf(to, "%.*s%s", (int)(at - text), text, folder);
	fputs(text, to);
}

static void put_rule(FILE *to, const struct agent_profile_options *options)
{
	fputs("    - metadata: ", to);
	put_quoted(to, options->metadata);
	fputs("\n      policy: ", to);
	put_quoted(to, options->policy->name);
	fputs("\n  circlip.json: |\n", to);
}

static void put_command(FILE *to, const struct agent_profile_options *options)
{
	fputs("        command: [circlip, agent, --rules, /config/rules.yaml, --metrics, \":9180\", --listen, ", to);
	put_quoted(to, options->socket);
	fputs("]\n", to);
}

char *agent_manifest_make(const struct agent_profile_options *options, const char *profile)
{
	char *text = NULL, *folder = strdup(options->socket);
	size_t size;
	FILE *to = folder ? open_memstream(&text, &size) : NULL;

	if (to) {
		fputs(head, to);
		put_rule(to, options);
		put_indented(to, profile, "    ");
		fputs(daemon_set, to);
		put_command(to, options);
		put_with_folder(to, after_command, dirname(folder));
		fputs(example, to);
		if (fclose(to) != 0)
			free(text), text = NULL;
	}
	free(folder);
	return text;
}
