/* SPDX-License-Identifier: MIT */
#include "advise/fix.h"

#include <errno.h>
#include <grp.h>
#include <string.h>

#include "advise/unblock.h"
#include "base/err.h"

/* ---- plain files ---- */

struct place {
	const char *path, *then; /* where it goes, and what makes it count */
};

static void head(FILE *to, const struct place *place)
{
	fprintf(to, "# %s\n# then: %s\n", place->path, place->then);
}

static int sysctl(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	static const struct place place = { "/etc/sysctl.d/60-io_uring.conf", "sysctl --system" };

	head(to, &place);
	fprintf(to,
		"# 0: everybody may make rings. 1: CAP_SYS_ADMIN and the group in kernel.io_uring_group. 2: nobody.\n"
		"kernel.io_uring_disabled = 0\n");
	return 0;
}

/* A number that is not the group's would let somebody else in; a word in its place is refused by sysctl. */
static int sysctl_group(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	static const struct place place = { "/etc/sysctl.d/60-io_uring.conf", "sysctl --system" };
	const char *user = request->user ? request->user : "USER";
	const struct group *group = getgrnam("io_uring");

	head(to, &place);
	if (!group)
		fprintf(to, "# First make the group, then write this again (or its number in place of GID):\n"
			    "#   groupadd --system io_uring\n");
	fprintf(to,
		"# Who is to make rings must be in it:\n#   gpasswd --add %s io_uring\nkernel.io_uring_disabled = 1\n",
		user);
	if (group)
		fprintf(to, "kernel.io_uring_group = %u\n", group->gr_gid);
	else
		fprintf(to, "kernel.io_uring_group = GID\n");
	return 0;
}

static int memlock(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	static const struct place place = { "/etc/security/limits.d/60-io_uring.conf",
					    "log in again (pam_limits); services do not read it: see --fix systemd" };

	head(to, &place);
	fprintf(to,
		"# KiB. What it bounds is the sum over all of the user's processes.\n"
		"%s\tsoft\tmemlock\t262144\n%s\thard\tmemlock\t262144\n",
		request->user ? request->user : "*", request->user ? request->user : "*");
	return 0;
}

static void drop_in(FILE *to, const struct fix_request *request, const char *name)
{
	const char *unit = request->unit ? request->unit : "UNIT";
	const char *end = strchr(unit, '.') ? "" : ".service";

	fprintf(to,
		"# /etc/systemd/system/%s%s.d/%s.conf\n# then: systemctl daemon-reload && systemctl restart "
		"%s%s\n[Service]\n",
		unit, end, name, unit, end);
}

static int systemd(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	drop_in(to, request, "60-io_uring");
	/* In a unit without a filter the line would be an allow-list of nothing else, and break the service. */
	fprintf(to,
		"LimitMEMLOCK=256M\n"
		"# Where `systemctl show -p SystemCallFilter %s` is not empty, without the #: it adds to that list. "
		"Where it is\n"
		"# empty, nothing refuses io_uring, and the line alone would allow these three calls and no other.\n"
		"#SystemCallFilter=io_uring_setup io_uring_enter io_uring_register\n",
		request->unit ? request->unit : "UNIT");
	return 0;
}

static int limits(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	drop_in(to, request, "60-io_uring-limits");
	fprintf(to, "# Completions that nobody reaps count as memory, polling threads as CPU time, io_uring's workers "
		    "as tasks.\n"
		    "MemoryMax=2G\n"
		    "CPUQuota=200%%\n"
		    "TasksMax=512\n"
		    "# In a container: docker run --memory 2g --cpus 2 --pids-limit 512; in Kubernetes "
		    "resources.limits of the container.\n");
	return 0;
}

static int selinux(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	fprintf(to,
		"# What SELinux refused lately, as a module that allows it. Read the .te file before the last line:\n"
		"# class io_uring is \"may it at all\" (allowed), \"may it poll\" (sqpoll), \"may it use other "
		"credentials\"\n"
		"# (override_creds); class anon_inode is the ring's descriptor.\n"
		"ausearch -m avc -ts recent | grep -E 'tclass=(io_uring|anon_inode)' | audit2allow -M "
		"circlip_io_uring\n"
		"cat circlip_io_uring.te\n"
		"semodule -i circlip_io_uring.pp\n");
	return 0;
}

static int update(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	fprintf(to, "# The newest kernel of the release in use, then a restart. What it repairs is in the "
		    "distribution's tracker:\n"
		    "# https://security-tracker.debian.org/tracker/source-package/linux for Debian,\n"
		    "# https://ubuntu.com/security/cves for Ubuntu, "
		    "https://access.redhat.com/security/security-updates/cve for Red Hat.\n"
		    "apt-get update && apt-get --only-upgrade install 'linux-image-*'     # Debian, Ubuntu\n"
		    "dnf upgrade kernel                                                 # Fedora, Red Hat\n"
		    "# Until then: circlip doctor --fix sysctl-group shows how only one group may make rings.\n");
	return 0;
}

/* ---- seccomp profiles ---- */

static int no_base(struct err *err)
{
	return err_set(
		err, -ENOENT,
		"no seccomp profile is installed here to add to: give the runtime's own with --base FILE (Docker's is "
		"https://raw.githubusercontent.com/moby/profiles/main/seccomp/default.json, Podman's and CRI-O's come "
		"with the package containers-common or golang-github-containers-common)");
}

static const char open_notes[] =
	"It lets the container do all that io_uring can; no seccomp filter can look into a ring. Restricted rings "
	"instead: circlip agent.\n";

static int profile(const struct fix_request *request, bool resolved, FILE *to, FILE *notes, const char *how,
		   struct err *err)
{
	const char *base = request->base ? request->base : unblock_installed();
	int r = base ? unblock_write(base, resolved, to, err) : no_base(err);

	if (r == 0)
		fprintf(notes,
			"%s is the base, with io_uring's three calls allowed. Write it to io_uring.json, then:\n%s%s",
			base, how, open_notes);
	return r;
}

static int docker(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	return profile(request, false, to, notes, "  docker run --security-opt seccomp=io_uring.json ...\n", err);
}

static int podman(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	return profile(request, false, to, notes, "  podman run --security-opt seccomp=io_uring.json ...\n", err);
}

static int oci(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	return profile(request, true, to, notes,
		       "  runc, crun: the object is linux.seccomp of config.json\n"
		       "  Kubernetes: /var/lib/kubelet/seccomp/profiles/io_uring.json on each node (circlip doctor "
		       "--fix kubernetes)\n",
		       err);
}

static int kubernetes(const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	fprintf(to, "# On each node, by hand or with a DaemonSet:\n"
		    "#   circlip doctor --fix oci > /var/lib/kubelet/seccomp/profiles/io_uring.json\n"
		    "# and in the pods that need io_uring:\n"
		    "apiVersion: v1\n"
		    "kind: Pod\n"
		    "metadata:\n"
		    "  name: NAME\n"
		    "spec:\n"
		    "  containers:\n"
		    "  - name: NAME\n"
		    "    image: IMAGE\n"
		    "    securityContext:\n"
		    "      allowPrivilegeEscalation: false\n"
		    "      seccompProfile:\n"
		    "        type: Localhost\n"
		    "        localhostProfile: profiles/io_uring.json\n"
		    "    resources:\n"
		    "      limits:\n"
		    "        cpu: \"2\"\n"
		    "        memory: 2Gi\n");
	fputs(open_notes, notes);
	return 0;
}

/* ---- the table ---- */

static const struct {
	const char *kind, *summary;
	int (*write)(const struct fix_request *, FILE *, FILE *, struct err *);
} fixes[] = {
	{ "sysctl", "a file for /etc/sysctl.d that allows rings to everybody (kernel.io_uring_disabled = 0)", sysctl },
	{ "sysctl-group", "a file for /etc/sysctl.d that allows them to one group only (kernel.io_uring_disabled = 1)",
	  sysctl_group },
	{ "docker", "a seccomp profile for docker run: what is installed here, or --base, with io_uring's calls added",
	  docker },
	{ "podman", "the same for podman run", podman },
	{ "oci", "the same profile without conditions, for runc, crun and kubelet's folder", oci },
	{ "kubernetes", "a pod's securityContext; the profile itself is --fix oci", kubernetes },
	{ "systemd", "a drop-in that adds io_uring to a service's filter, and memory to lock", systemd },
	{ "memlock", "a file for /etc/security/limits.d: more memory to lock for users who log in", memlock },
	{ "limits", "a drop-in that bounds memory, CPU time and threads of a service", limits },
	{ "selinux", "the commands that make a policy module of what was refused", selinux },
	{ "update", "the commands that bring a newer kernel", update },
};
enum { N_FIXES = sizeof(fixes) / sizeof(*fixes) };

const char *fix_kind(size_t i)
{
	return i < N_FIXES ? fixes[i].kind : NULL;
}

const char *fix_summary(size_t i)
{
	return i < N_FIXES ? fixes[i].summary : NULL;
}

int fix_write(size_t kind, const struct fix_request *request, FILE *to, FILE *notes, struct err *err)
{
	return kind < N_FIXES ? fixes[kind].write(request, to, notes, err)
			      : err_set(err, -EINVAL, "there is no such fix");
}

const char *fix_for_filter(const char *cgroup_path)
{
	static const struct {
		const char *mark, *kind;
	} marks[] = {
		{ "kubepods", "kubernetes" },
		{ "docker", "docker" },
		{ "libpod", "podman" },
		{ ".service", "systemd" },
	};

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (strstr(cgroup_path, marks[i].mark))
			return marks[i].kind;
	return "oci";
}
