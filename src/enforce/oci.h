/* SPDX-License-Identifier: MIT */
/*
 * What a container runtime tells a seccomp agent (OCI runtime spec, "The Seccomp Notify" state): one JSON object over a
 * Unix socket, and beside it the descriptors that its `fds` names. The text is hostile: it is bounded before it is
 * parsed, and what is kept is copied into arrays of fixed size.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct err;

enum {
	OCI_MAX_BYTES = 256 * 1024, /* annotations of a Kubernetes pod may take as much */
	OCI_MAX_FDS = 16,
	OCI_ID_BYTES = 256,
	OCI_TEXT_BYTES = 256,
	OCI_BUNDLE_BYTES = 1024,
	OCI_MAX_DEPTH = 16,
};

#define OCI_POLICY_ANNOTATION "io.circlip.policy"

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_STOPPED };

struct oci_state {
	char id[OCI_ID_BYTES];         /* printable ASCII without blanks, slashes or quotes */
	char bundle[OCI_BUNDLE_BYTES]; /* may be empty */
	char metadata[OCI_TEXT_BYTES]; /* listenerMetadata */
	char policy[OCI_TEXT_BYTES];   /* the annotation; empty = none */
	enum oci_status status;
	pid_t pid;               /* as its sender's pid namespace numbers it; 0 where crun's exec says so */
	unsigned int n_fds;      /* names in `fds` */
	unsigned int seccomp_fd; /* which of them is the listener */
};

/* 0, OCI_INCOMPLETE (it may go on), or -EINVAL with a text. */
enum { OCI_INCOMPLETE = 1 };
int oci_parse(const char *text, size_t size, struct oci_state *ret_state, struct err *err);

const char *oci_status_name(enum oci_status status);
