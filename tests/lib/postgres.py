# SPDX-License-Identifier: MIT
"""
PostgreSQL 18 or newer, the first to do its I/O through io_uring, from a newer Debian: this one's is older. It is unpacked into a folder that
becomes its root; nothing is installed. `/data` there is the server's own, `/host` this machine's /usr and `/build` the build folder, so that
the `circlip` that was built here runs in there with the libraries that it was linked with.
"""
import glob
import os
import re
import shutil
import subprocess
import time

import circlip
import foreign
import packages

SUITE = "testing"
# initdb runs a shell, and the server looks up time zones.
BESIDES = ["dash", "tzdata"]
LIBRARIES = r"lib|zlib"
USER = 26
PASSWD = f"root:x:0:0::/:/bin/sh\npostgres:x:{USER}:{USER}::/data:/bin/sh\n"
FIRST = 18
SHIM = "src/shim/libcirclip-shim.so"  # in the build folder; `circlip` looks for it beside the program that runs, which is the loader there
READY = "ready to accept connections"

# Everything is mounted in a namespace that ends with what runs in it.
ENTER = """set -e
root=$1 data=$2 build=$3
shift 3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir -m 1777 "$root/dev/shm"
for name in null zero urandom; do
	: >"$root/dev/$name"
	mount --bind "/dev/$name" "$root/dev/$name"
done
mount --bind "$data" "$root/data"
mount --bind /usr "$root/host"
mount --bind "$build" "$root/build"
export CIRCLIP_SHIM=/build/@SHIM@
exec chroot --userspec=@USER@:@USER@ "$root" "$@"
""".replace("@USER@", str(USER)).replace("@SHIM@", SHIM)


def newest(apt):
    versions = [int(name[len("postgresql-"):]) for name in apt("apt-cache", "pkgnames", "postgresql-").split() if re.fullmatch(r"postgresql-\d+", name)]
    if max(versions, default=0) < FIRST:
        raise packages.Unavailable(f"{SUITE} has no PostgreSQL {FIRST} or newer")
    return [f"postgresql-{max(versions)}", f"postgresql-client-{max(versions)}", *BESIDES]


def root():
    """Its root folder; fetched if it is not here yet. Raises packages.Unavailable with the reason."""
    if os.geteuid():
        raise packages.Unavailable("changing the root folder needs root")
    for name in ("unshare", "mount", "chroot"):
        packages.tool(name)
    place = packages.root("postgres", SUITE, newest, LIBRARIES)
    for name in ("host", "build"):
        os.makedirs(os.path.join(place, name), exist_ok=True)
    with open(os.path.join(place, "etc/passwd"), "w", encoding="ascii") as f:
        f.write(PASSWD)
    return place


def programs(place):
    """Where its programs lie, as seen in there."""
    found = glob.glob(os.path.join(place, "usr/lib/postgresql/*/bin"))
    if not found:
        raise packages.Unavailable(f"no PostgreSQL lies in {place}")
    return found[0][len(place):]


def build():
    return os.path.realpath(os.environ.get("CIRCLIP_BUILD", "build"))


def circlip_inside(*words):
    """`circlip` for use in there, by the loader and the libraries that it has here."""
    libraries = "/host/lib/x86_64-linux-gnu"
    binary = os.path.relpath(os.path.realpath(circlip.binary()), build())
    return [f"{libraries}/ld-linux-x86-64.so.2", "--library-path", libraries, os.path.join("/build", binary), *words]


class Server:
    """One server with its data. Begun from a copy of `template`'s, where that is given."""

    def __init__(self, place, folder, name, template=None):
        self.place, self.bin = place, programs(place)
        self.data = os.path.join(folder, name)
        self.log = os.path.join(folder, name + ".log")
        self.process = None
        if template:
            subprocess.run(["cp", "-a", template.data, self.data], check=True)
        else:
            os.mkdir(self.data, 0o700)
            os.chown(self.data, USER, USER)

    def inside(self, *words):
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "enter", self.place, self.data, build(), *words]

    def program(self, name, *words):
        return [os.path.join(self.bin, name), *words]

    def run(self, name, *words, timeout=300):
        return foreign.bare(self.inside(*self.program(name, *words)), timeout)

    def make(self):
        """The data of a new cluster; what went wrong, or nothing."""
        made = self.run("initdb", "-D", "/data/db", "--no-sync", "-A", "trust", "--locale=C", "-E", "UTF8", "--no-instructions")
        return [made.out, made.err] if made.status else []

    def command(self, *settings):
        settings = ("listen_addresses=", "unix_socket_directories=/data", "io_method=io_uring", "shared_buffers=16MB", "fsync=off", *settings)
        return self.program("postgres", "-D", "/data/db", *(word for s in settings for word in ("-c", s)))

    def start(self, prefix=(), settings=()):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.inside(*prefix, *self.command(*settings)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def ready(self, said=None, process=None, times=1):
        """Whether it said so, for the n-th time; looked for, because it tells nobody."""
        said, process, end = said or self.said, process or self.process, time.monotonic() + 180
        while said().count(READY) < times and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        return said().count(READY) >= times

    def pid(self):
        """Its first process, as that process calls itself."""
        with open(os.path.join(self.data, "db/postmaster.pid"), encoding="ascii") as f:
            return int(f.readline())

    def child(self, title):
        """The process of it that calls itself so."""
        for folder in glob.glob("/proc/[0-9]*"):
            try:
                with open(os.path.join(folder, "stat"), encoding="utf-8", errors="replace") as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
                with open(os.path.join(folder, "cmdline"), encoding="utf-8", errors="replace") as f:
                    if parent == self.pid() and title in f.read():
                        return int(os.path.basename(folder))
            except OSError:
                pass
        raise RuntimeError(f"the server has no {title}")

    def sql(self, *statements):
        return self.run("psql", "-h", "/data", "-X", "-A", "-t", "-q", *(word for s in statements for word in ("-c", s)), "postgres")

    def bench(self, *words):
        return self.run("pgbench", "-h", "/data", "-n", *words, "postgres")

    def stop(self):
        """Asked to end; its status, None when it did not."""
        os.kill(self.pid(), 2)
        try:
            return self.process.wait(180)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def remove(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.data, ignore_errors=True)


def rings(pid):
    """How many rings a process has."""
    found = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            found += "io_uring" in os.readlink(entry.path)
        except OSError:
            pass
    return found
