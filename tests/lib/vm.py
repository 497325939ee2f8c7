# SPDX-License-Identifier: MIT
"""
Debian's kernels in qemu under software emulation: run these files and this command in that kernel, and tell what came of it.

    kernel = vm.Kernel.get("6.12")                       # raises vm.Unavailable with the reason
    run = vm.run(kernel, "probe --all", {"/bin/probe": "build/tests/probe"}, timeout=120)
    run.status, run.out, run.console                     # status None: it did not end in time, or the machine died

The guest is busybox and the files that were named, with the shared libraries that they need; everything is root and lives in memory.
Kernels are kept in the build folder.
"""
import collections
import glob
import os
import re
import secrets
import stat
import subprocess
import tempfile
import time

from packages import Apt, Unavailable, tool

# By what they are called here: the suite that holds the newest of its line, and what its version must begin with.
Line = collections.namedtuple("Line", "suite version")
LINES = {
    "6.1": Line("bookworm", "6.1."),
    "6.12": Line("bookworm-backports", "6.12."),
    "7": Line("sid", "7."),
}
# Under qemu 7.2's emulation cmpxchg16b leaves wrong flags behind now and then (seen: EFLAGS holding part of a pointer, a double fault in 3 of
# 10 boots of 6.12). Without that instruction the kernel's allocator takes a lock instead.
CPU = "max,-cx16"
META = "linux-image-cloud-amd64"  # the smallest of Debian's, with everything that matters here built in
BUSYBOX = "/bin/busybox"
# All that a machine needs before a test runs in it. The console is the kernel's; what the command says goes to the second port.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=dumb
mount -t devtmpfs dev /dev
mkdir -p /proc /sys /tmp /run /root /dev/pts /dev/shm
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs trace /sys/kernel/tracing
mount -t securityfs security /sys/kernel/security
ln -s /proc/self/fd /dev/fd
ip link set lo up
stty -F /dev/ttyS1 raw -echo
cd /tmp
exec 3>/dev/ttyS1
sh /command </dev/null >&3 2>&1
echo "@MARK@ $?" >&3
stty -F /dev/ttyS1 >/dev/null 2>&1 # waits until what was written has left
reboot -f
"""


Run = collections.namedtuple("Run", "status out console seconds")


def cache():
    return os.environ.get("CIRCLIP_KERNELS") or os.path.join(os.environ.get("CIRCLIP_BUILD") or "build", "kernels")


class Kernel:
    def __init__(self, name, image):
        self.name, self.image = name, image
        self.release = os.path.basename(image)[len("vmlinuz-"):]

    @classmethod
    def get(cls, name):
        """A kernel of that line, fetched if it is not here yet."""
        if name not in LINES:
            raise Unavailable(f"there is no line {name} ({', '.join(LINES)})")
        for needed in ("qemu-system-x86_64", "busybox"):
            tool(needed)
        kept = glob.glob(os.path.join(cache(), name, "vmlinuz-*"))
        return cls(name, kept[0] if kept else cls._fetch(name))

    @staticmethod
    def _fetch(name):
        line = LINES[name]
        os.makedirs(cache(), exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"fetch-{name}-", dir=cache()) as folder:
            apt = Apt(os.path.join(folder, "apt"), line.suite)
            apt("apt-get", "update")
            found = apt.needs(META, r"linux-image-\S+")
            images = [p for p in found if p.startswith("linux-image-" + line.version)]
            if not images:
                raise Unavailable(f"{line.suite} has no Linux {line.version}* (its {META} needs {' '.join(found) or 'nothing'})")
            # Since 7.x the image is a package of its own behind the old name.
            packages = images + apt.needs(images[0], r"linux-binary-\S+")
            apt("apt-get", "download", *packages, cwd=folder)
            for package in glob.glob(os.path.join(folder, "*.deb")):
                subprocess.run([tool("dpkg-deb"), "-x", package, os.path.join(folder, "root")], check=True)
            found = [os.path.join(top, f) for top, _, files in os.walk(os.path.join(folder, "root")) for f in files if f.startswith("vmlinuz")]
            if not found:
                raise Unavailable(f"no kernel lies in {' '.join(packages)}")
            release = images[0][len("linux-image-"):]
            os.makedirs(os.path.join(cache(), name), exist_ok=True)
            kept = os.path.join(cache(), name, "vmlinuz-" + release)
            os.rename(found[0], kept + ".new")
            os.rename(kept + ".new", kept)
            return kept


def libraries(path):
    """The shared objects that a program wants, the loader among them."""
    with open(path, "rb") as f:
        if f.read(4) != b"\x7fELF":
            return []
    run = subprocess.run(["ldd", path], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode:  # a static one
        return []
    if "not found" in run.stdout:
        raise Unavailable(f"{path} wants a library that is not here: {run.stdout}")
    return re.findall(r"(/\S+) \(0x", run.stdout)


class Archive:
    """A cpio archive in the form that the kernel unpacks; written here because device nodes in it need no root this way."""

    def __init__(self, file):
        self.file, self.inode, self.folders = file, 0, set()

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        name = name.lstrip("/").encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0]
        header = b"070701" + b"".join(b"%08x" % f for f in fields)
        for part in (header + name, data):
            self.file.write(part + b"\0" * (-len(part) % 4))

    def folder(self, name):
        if name not in self.folders and name != "/":
            self.folder(os.path.dirname(name))
            self.folders.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def file_of(self, name, data, mode=0o755):
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFREG | mode, data)

    def device(self, name, major, minor):
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def end(self):
        self._entry("TRAILER!!!", 0)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def pack(target, command, files, mark):
    wanted = {"/bin/busybox": tool("busybox")}
    wanted.update(files)
    for path in list(wanted.values()):
        wanted.update({library: library for library in libraries(path)})
    with open(target, "wb") as f:
        archive = Archive(f)
        for folder in ("/dev", "/proc", "/sys", "/tmp", "/run", "/root", "/etc", "/sbin", "/usr/bin", "/usr/sbin"):
            archive.folder(folder)
        archive.device("/dev/console", 5, 1)
        archive.file_of("/init", INIT.replace("@MARK@", mark).encode())
        archive.file_of("/command", command.encode())
        archive.file_of("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n", 0o644)
        archive.file_of("/etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
        for name, path in wanted.items():
            archive.file_of(name, read(path))
        archive.end()


def run(kernel, command, files=None, timeout=180, memory=512, cpus=2, append="", counting=False):
    """
    Boots `kernel`, runs the shell text `command` as root in /tmp with `files` ({path in the guest: path here}; programs bring their
    libraries) and turns the machine off. All of that within `timeout` seconds. `counting`: one CPU, whose clock goes on by a
    nanosecond with each instruction, however busy this machine is.
    """
    mark = "end-" + secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="circlip-vm-", dir=cache()) as folder:
        initrd, out, console = (os.path.join(folder, name) for name in ("initrd", "out", "console"))
        pack(initrd, command, files or {}, mark)
        line = f"console=ttyS0 loglevel=4 panic=-1 lsm=landlock,bpf mitigations=off random.trust_cpu=on {append}"
        speed = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1"] if counting else ["-accel", "tcg,thread=multi", "-smp", str(cpus)]
        qemu = [tool("qemu-system-x86_64"), *speed, "-cpu", CPU, "-m", str(memory), "-nodefaults",
                "-no-user-config", "-display", "none", "-no-reboot", "-kernel", kernel.image, "-initrd", initrd, "-append", line,
                "-serial", f"file:{console}", "-serial", f"file:{out}"]
        start = time.monotonic()
        process = subprocess.Popen(qemu, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            errors = process.communicate(timeout=timeout)[1]
        except subprocess.TimeoutExpired:
            errors = f"ended after {timeout} s"
        finally:
            process.kill()
            process.wait()
        seconds = time.monotonic() - start
        text, said = ((read(path).decode(errors="replace") if os.path.exists(path) else "") for path in (out, console))
        ending = re.search(rf"^{mark} (\d+)$", text, re.M)
        if process.returncode not in (0, -9) and not said:
            raise Unavailable(f"qemu does not run here: {errors.strip()}")
        return Run(int(ending[1]) if ending else None, text[:ending.start()] if ending else text, said + errors, seconds)
