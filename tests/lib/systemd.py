# SPDX-License-Identifier: MIT
"""
systemd itself, in namespaces of its own: it sees no unit of this machine but what it is given, and can change nothing that
outlives it.
"""
import os
import re
import shutil
import subprocess
import tempfile

from containers import CGROUPS, until

SYSTEMD = "/lib/systemd/systemd"
# What a service's dependencies name; each of them empty.
TARGETS = ("test", "sysinit", "basic", "sockets", "shutdown", "multi-user")
BOOT = r"""set -e
mount --make-rprivate /
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for folder in /run /tmp /var/log /etc/systemd /lib/systemd/system /lib/systemd/system-generators; do
	[ ! -d "$folder" ] || mount -t tmpfs tmpfs "$folder"
done
mkdir -p /etc/systemd/system
mount -t tmpfs tmpfs "$2" && cp "$3"/* "$2/"
cp "$1"/* /lib/systemd/system/
export container=other
exec """ + SYSTEMD + " --system --unit=test.target --log-target=null --show-status=no"


class Systemd:
    """
    `units`: {name: text}. `program` is put where their ExecStart has it. `folder` must not lie below /tmp or /run. Where it
    cannot be, `why` says so.
    """

    def __init__(self, folder, units, program):
        self.process, self.pid, self.why, self.cgroup = None, None, None, None
        files = tempfile.mkdtemp(dir=folder)
        for name, text in {**{f"{t}.target": "[Unit]\nDefaultDependencies=no\n" for t in TARGETS}, **units}.items():
            with open(os.path.join(files, name), "w", encoding="utf-8") as f:
                f.write(text)
        programs = tempfile.mkdtemp(dir=folder)
        shutil.copy(program, programs)
        where = os.path.dirname(re.search(r"^ExecStart=(\S+)", "".join(units.values()), re.M)[1])
        if not os.path.exists(SYSTEMD):
            self.why = "systemd is not installed"
        elif not shutil.which("nsenter"):
            self.why = "nsenter is not installed"
        else:
            self.boot([files, where, programs], os.path.join(folder, "systemd.log"))

    def boot(self, arguments, log):
        root = next((r for r in CGROUPS if os.path.exists(os.path.join(r, "cgroup.controllers"))), None)
        if not root:
            self.why = "there is no cgroup of version 2"
            return
        self.cgroup = os.path.join(root, f"circlip-test-{os.getpid()}-systemd")
        os.mkdir(self.cgroup)

        def enter():
            with open(os.path.join(self.cgroup, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write("0")
        with open(log, "wb") as out:
            self.process = subprocess.Popen(["unshare", "-m", "-p", "-C", "-f", "--mount-proc", "--kill-child", "sh", "-c", BOOT, "sh", *arguments],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=enter)
        until(lambda: self.process.poll() is not None or (self.child() and self.run("systemctl", "is-active", "test.target").stdout == "active\n"), 180)
        if self.process.poll() is not None or not self.pid:
            with open(log, encoding="utf-8", errors="replace") as f:
                self.why = "systemd does not start in namespaces here: " + f.read().strip()[-300:]

    def child(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
            self.pid = next(iter(f.read().split()), None)
        return self.pid

    def inside(self, *words):
        return ["nsenter", "-t", self.pid, "-m", "-p", "-C", *words]

    def run(self, *words):
        return subprocess.run(self.inside(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)

    def show(self, unit, what):
        return self.run("systemctl", "show", unit, "-p", what, "--value").stdout.strip()

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            until(lambda: not any(files and open(os.path.join(folder, "cgroup.procs"), encoding="ascii").read()
                                  for folder, _, files in os.walk(self.cgroup)), 10)
        for folder, _, _ in os.walk(self.cgroup or "/nonexistent", topdown=False):
            os.rmdir(folder)
