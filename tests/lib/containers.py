# SPDX-License-Identifier: MIT
"""Containers by runc and crun from a folder that the test makes, and the agent that serves them."""
import fcntl
import itertools
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

import circlip

CGROUPS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory", "/sys/fs/cgroup")
# Debian 12's crun refuses the hybrid layout of cgroups; it is content with a tree of its own to look at.
CRUN = 'mount -t cgroup2 cg2 /sys/fs/cgroup && exec crun --root "$0" --cgroup-manager=disabled "$@"'


# Rings count against what their user has locked in all of the machine, for a while after their end too: who is to be kept to little has a user
# of its own.
users = itertools.count(1 + random.randrange(1 << 14))


def until(condition, timeout=60):
    """What `condition()` gave when it was true, or its last answer."""
    end = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(0.02)


class Manager:
    """
    A service manager as far as the agent sees one: hears its notifications, keeps the descriptors that it stores, and passes
    them on (sd_notify(3), sd_listen_fds(3)). Like systemd it drops those that hang up.
    """
    BEFORE = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"]

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.stored, self.said = [], []

    def hear(self):
        while True:
            try:
                text, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
            except BlockingIOError:
                return self
            fields = dict(line.split("=", 1) for line in text.decode().splitlines())
            self.said.append(fields)
            if "FDSTORE" in fields:
                self.stored += [(fields["FDNAME"], fd) for fd in fds]
            if "FDSTOREREMOVE" in fields:
                self.drop(lambda name, fd: name == fields["FDNAME"])

    def drop(self, which):
        for name, fd in self.stored:
            if which(name, fd):
                os.close(fd)
        self.stored = [(name, fd) for name, fd in self.stored if not which(name, fd)]

    def drop_hung_up(self):
        poll = select.poll()
        for _, fd in self.stored:
            poll.register(fd, 0)
        gone = {fd for fd, what in poll.poll(0) if what & (select.POLLHUP | select.POLLERR)}
        self.drop(lambda name, fd: fd in gone)

    def names(self):
        return [name for name, _ in self.hear().stored]

    def start(self, command, **options):
        self.hear().drop_hung_up()
        passed = list(self.stored)

        def hand_over():
            aside = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + len(passed)) for _, fd in passed]
            for i, fd in enumerate(aside):
                os.dup2(fd, 3 + i)
        environment = {**os.environ, "NOTIFY_SOCKET": self.path, "LISTEN_FDS": str(len(passed)), "LISTEN_FDNAMES": ":".join(n for n, _ in passed)}
        return subprocess.Popen(self.BEFORE + command, env=environment, preexec_fn=hand_over, close_fds=False, **options)

    def close(self):
        self.hear().drop(lambda name, fd: True)
        self.socket.close()


class Agent:
    """`circlip agent` in a folder of its own. `log` are the lines so far."""

    def __init__(self, folder, rules=None, options=(), before=(), program=None, manager=None):
        self.manager = manager
        self.folder, self.options, self.before, self.program = folder, list(options), list(before), program or circlip.binary()
        self.socket, self.control = os.path.join(folder, "agent.sock"), os.path.join(folder, "control.sock")
        self.log_path, self.rules_path = os.path.join(folder, "agent.log"), os.path.join(folder, "rules.yaml")
        if rules is not None:
            self.set_rules(rules)
        self.process = None

    def set_rules(self, text):
        with open(self.rules_path, "w", encoding="utf-8") as f:
            f.write(text)

    def start(self):
        arguments = [*self.before, self.program, "agent", "--listen", self.socket, "--control", self.control, "--log", self.log_path]
        if os.path.exists(self.rules_path):
            arguments += ["--rules", self.rules_path]
        begun = len(self.events("agent-begun"))
        with open(os.path.join(self.folder, "agent.err"), "ab") as err:
            start = self.manager.start if self.manager else subprocess.Popen
            self.process = start(arguments + self.options, stdin=subprocess.DEVNULL, stdout=err, stderr=err)
        until(lambda: len(self.events("agent-begun")) > begun or self.process.poll() is not None)
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, "agent.err"), encoding="utf-8", errors="replace") as err:
                raise RuntimeError("the agent did not begin: " + err.read())
        return self

    def events(self, name=None, container=None):
        return [line for line in circlip.read_records(self.log_path)
                if (name is None or line["event"] == name) and (container is None or line.get("id") == container)]

    def status(self):
        done = subprocess.run([circlip.binary(), "agent", "status", "--socket", self.control, "--format", "json"],
                              capture_output=True, text=True, timeout=120)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def container(self, name):
        return next((c for c in (self.status() or {}).get("containers", []) if c["id"] == name), None)

    def end(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)
        return self.process.returncode if self.process else None


def unmount_below(folder):
    """What an engine left mounted would keep the folder."""
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
        points = [line.split()[1] for line in f]
    for point in sorted((p for p in points if p.startswith(folder + "/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], stdin=subprocess.DEVNULL, capture_output=True)


class Stage:
    """A root file system, and cgroups that contain what is started here."""

    def __init__(self, probe):
        self.folder = tempfile.mkdtemp(prefix="circlip-test-", dir="/var/tmp")
        self.rootfs = os.path.join(self.folder, "rootfs")
        for name in ("proc", "dev", "sys", "bin", "tmp"):
            os.makedirs(os.path.join(self.rootfs, name))
        shutil.copy(probe, os.path.join(self.rootfs, "bin/probe"))
        for name in ("folder", "rootfs"):
            os.chmod(getattr(self, name), 0o755)
        self.containers, self.cgroups, self.daemons = [], [], []

    def agent_folder(self):
        return tempfile.mkdtemp(prefix="agent-", dir=self.folder)

    def new_cgroup(self, name):
        """Folders in the hierarchies that are there; where none can be made, everybody stays where he is."""
        made = []
        for root in CGROUPS:
            if not os.path.exists(os.path.join(root, "cgroup.procs")):
                continue
            path = os.path.join(root, f"circlip-test-{os.getpid()}-{name}")
            try:
                os.mkdir(path)
            except OSError:
                continue
            made.append(path)
            self.cgroups.append(path)
        return made

    def close(self):
        for container in self.containers:
            container.delete()
        for daemon in self.daemons:
            daemon.terminate()
            daemon.wait()
        for path in self.cgroups:
            try:
                until(lambda: not open(os.path.join(path, "cgroup.procs"), encoding="ascii").read(), 20)
                os.rmdir(path)
            except OSError:
                pass
        unmount_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


def seccomp(socket, metadata, flags=None):
    """As `circlip agent profile --runtime runc` would have it, but for the register calls: those are tried on their own."""
    part = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "listenerPath": socket, "listenerMetadata": metadata,
            "syscalls": [{"names": ["io_uring_setup"], "action": "SCMP_ACT_NOTIFY"}]}
    return {**part, "flags": flags} if flags else part


def generated(agent, runtime, policy, metadata):
    """The seccomp part as `circlip agent profile` writes it for `policy`, a file; spoken to at the agent's socket."""
    base = os.path.join(agent.folder, "base.json")
    with open(base, "w", encoding="utf-8") as f:
        f.write('{"linux": {}}')
    made = subprocess.run([circlip.binary(), "agent", "profile", "--runtime", runtime, "--base", base, "--socket", agent.socket, "--metadata", metadata,
                           "--policy", policy], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if made.returncode:
        raise RuntimeError(made.stderr)
    return json.loads(made.stdout)["linux"]["seccomp"]


class Container:
    def __init__(self, stage, runtime, words, profile=None, annotations=None, capabilities=(), userns=False, limits=(), own_user=False):
        self.stage, self.runtime, self.id = stage, runtime, f"{runtime}-{uuid.uuid4().hex[:8]}"
        self.bundle = tempfile.mkdtemp(prefix="bundle-", dir=stage.folder)
        os.chmod(self.bundle, 0o755)
        self.root = os.path.join(self.bundle, "state")
        self.out = os.path.join(self.bundle, "out")
        self.cgroups = stage.new_cgroup(self.id)
        self.process = None
        stage.containers.append(self)
        with open(os.path.join(self.bundle, "config.json"), "w", encoding="utf-8") as f:
            json.dump(self.config(words, profile, annotations, capabilities, userns, limits, own_user), f)

    def config(self, words, profile, annotations, capabilities, userns, limits, own_user):
        caps = {kind: list(capabilities) for kind in ("bounding", "effective", "permitted")}
        spaces = ["pid", "ipc", "uts", "mount"] + ["user"] * userns
        user = next(users) << 16 if userns or own_user else 0
        mapping = [{"containerID": 0, "hostID": user, "size": 65536}]
        self.user = user = 0 if userns else user
        part = {"namespaces": [{"type": s} for s in spaces], **({"uidMappings": mapping, "gidMappings": mapping} if userns else {})}
        if profile:
            part["seccomp"] = profile
        return {"ociVersion": "1.0.2", "root": {"path": self.stage.rootfs, "readonly": True}, "hostname": "probe",
                "process": {"terminal": False, "user": {"uid": user, "gid": user}, "args": ["/bin/probe", *words], "cwd": "/",
                            "env": ["PATH=/bin"], "capabilities": caps, "noNewPrivileges": True, "rlimits": list(limits)},
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                           {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}],
                "annotations": annotations or {}, "linux": part}

    def enter(self):
        for path in self.cgroups:
            with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write("0")

    def command(self, *words):
        if self.runtime == "crun":
            return ["unshare", "-m", "--propagation", "private", "sh", "-c", CRUN, self.root, *words]
        return ["runc", "--root", self.root, *words]

    def start(self):
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(self.command("run", "--bundle", self.bundle, self.id), stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, preexec_fn=self.enter)
        return self

    def text(self):
        with open(self.out, encoding="utf-8", errors="replace") as f:
            return f.read()

    def lines(self):
        return results(self.text())

    def reached(self, word, timeout=60):
        until(lambda: word in self.lines() or self.process.poll() is not None, timeout)
        return word in self.lines()

    def finish(self, timeout=180):
        """Its results, word by word."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.delete()
        return self.lines()

    def run(self, timeout=180):
        return self.start().finish(timeout)

    def exec(self, *words, timeout=180):
        done = subprocess.run(self.command("exec", "--user", f"{self.user}:{self.user}", self.id, "/bin/probe", *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, preexec_fn=self.enter)
        return results(done.stdout) or {"output": done.stdout}

    def signal(self, name):
        subprocess.run(self.command("kill", self.id, name), stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    def delete(self):
        if self.process is None:
            return
        subprocess.run(self.command("delete", "--force", self.id), stdin=subprocess.DEVNULL, capture_output=True, timeout=180)
        if self.process.poll() is None:
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def results(text):
    """{"word": result}; of a word that is there more than once the list."""
    found = {}
    for line in text.splitlines():
        parts = line.split()
        if len(parts) == 2 and parts[1].lstrip("-").isdigit():
            found.setdefault(parts[0], []).append(int(parts[1]))
    return {word: values[0] if len(values) == 1 else values for word, values in found.items()}


def why_not(stage, runtime):
    """None, or why this runtime cannot run a container here at all."""
    if not shutil.which(runtime):
        return f"{runtime} is not installed"
    container = Container(stage, runtime, ["uid"])
    found = container.run()
    return None if found.get("uid") == 0 else f"{runtime} cannot start a container here: {container.text().strip()[-300:]}"
