#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Each curated profile with the programs that it was made for: alone and under `circlip run --policy`, the same outcome. That the policy is in
force at all is shown by a program that it must stop. One function per program; `profiles.py NAME` runs one.
"""
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import circlip  # noqa: E402
import foreign  # noqa: E402
from tap import Tap  # noqa: E402

BUILD = os.environ.get("CIRCLIP_BUILD", "build")
ECHO, BUSY = (os.path.join(BUILD, "tests/policy", name) for name in ("policy-echo", "policy-busy"))


def under(profile, command):
    return [circlip.binary(), "run", "--allow-unenforced", "socketFamilies", "--policy", profile, "--", *command]


def why_not(profile):
    """None where the profile can be enforced here, else the reason."""
    done = subprocess.run([circlip.binary(), "run", "--allow-unenforced", "socketFamilies", "--policy", profile, "--dry-run", "--", "true"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.stderr.strip()[-300:] if done.returncode else None


def compare(tap, profile, name, command, same=lambda o: (o.status, o.out), env=None, before=None):
    """`same(outcome)` must not differ between alone and under the profile."""
    reason = why_not(profile)
    if reason:
        tap.skip(f"{name} under {profile}", "circlip run cannot enforce it here: " + reason)
        return
    seen = []
    for words in (command, under(profile, command)):
        if before:
            before()
        seen.append(foreign.bare(words, 120, env))
    alone, restricted = seen
    tap.result(f"{name} under {profile}", [] if same(alone) == same(restricted) else [f"alone: {str(same(alone))[-600:]}", f"under it: {str(same(restricted))[-600:]}",
                                                                                      restricted.err[-600:]])


def in_force(tap):
    """What a program is denied, it is denied: busy does things that each of these lacks."""
    for profile, says in (("default", "fixed 1: -13"), ("storage-only", "unix 1: -13"), ("database", "unix 1: -13"), ("node", "ring: -1"),
                          ("paranoid", "ring: -38"), ("network-server", "unlink 1: -13")):
        reason = why_not(profile)
        if reason:
            tap.skip(f"{profile} is in force", reason)
            continue
        done = foreign.bare(under(profile, [BUSY, "more", "unlink"]), 60)
        tap.result(f"{profile} is in force", [] if says in done.out else [f"it lacks {says!r}: {done.out}", done.err[-600:]])


def figures(outcome):
    return outcome.status, [(line.split(";")[4], line.split(";")[5], line.split(";")[46]) for line in outcome.out.splitlines() if line.startswith("3;")]


def fio(tap):
    if not shutil.which("fio"):
        tap.skip("fio", "fio is not installed")
        return
    with foreign.folder() as folder:
        for profile, kinds in (("storage-only", ("--rw=randrw --fsync=8", "--rw=randread --fixedbufs=1 --registerfiles=1", "--rw=write --sync_file_range=write:8",
                                                 "--rw=read --nonvectored=0 --iodepth_batch=8", "--rw=randread --numjobs=4 --thread", "--rw=randread --direct=1")),
                               ("default", ("--rw=randread", "--rw=randwrite --fixedbufs=1")), ("database", ("--rw=randread --fixedbufs=1", "--rw=write --fsync=16"))):
            for kind in kinds:
                compare(tap, profile, f"fio {kind}", ["fio", "--name=job", "--ioengine=io_uring", "--bs=4k", "--iodepth=32", "--size=4m", "--randseed=1",
                                                      f"--directory={folder}", "--minimal", *kind.split()], same=figures)


def qemu(tap):
    if not shutil.which("qemu-img"):
        tap.skip("qemu-img", "qemu-img is not installed")
        return
    with foreign.folder() as folder:
        image = os.path.join(folder, "from.raw")
        with open(image, "wb") as f:
            f.write(os.urandom(8 << 20))
        bench = ["qemu-img", "bench", "-i", "io_uring", "-f", "raw", "-c", "2000", "-d", "32", "-s", "4096"]
        for profile in ("storage-only", "paranoid", "default", "database"):
            for options in ([], ["-w", "--flush-interval", "100"]):
                compare(tap, profile, "qemu-img " + (" ".join(options) or "reading"), [*bench, *options, image],
                        same=lambda o: (o.status, re.sub(r"[0-9.]+ seconds", "", o.out)))


def plocate(tap):
    if not shutil.which("plocate"):
        tap.skip("plocate", "plocate is not installed")
        return
    with foreign.folder() as folder:
        tree, copy, database = (os.path.join(folder, name) for name in ("tree", "plocate", "db"))
        for i in range(20):
            os.makedirs(os.path.join(tree, f"d{i}"))
            for j in range(20):
                open(os.path.join(tree, f"d{i}", f"file-{i * j}-{j}"), "w", encoding="ascii").close()
        shutil.copyfile(foreign.where("plocate"), copy)  # without its set-gid bit
        os.chmod(copy, 0o755)
        foreign.bare([foreign.where("updatedb.plocate") or "updatedb", "-U", tree, "-o", database, "-l", "no", "--prunepaths", "", "--prunefs", "",
                      "--prunenames", "", "--prune-bind-mounts", "no"])
        for options in (["file-7"], ["-e", "file-1"]):
            compare(tap, "default", "plocate " + " ".join(options), [copy, "-d", database, *options])


def node(tap):
    if not shutil.which("node") or int((re.match(r"v(\d+)", foreign.bare(["node", "--version"]).out) or [0, 0])[1]) < 20:
        tap.skip("node", "there is no Node 20 or newer")
        return
    work = os.path.join(HERE, "..", "programs", "node-work.js")
    with foreign.folder() as folder:
        for profile in ("node", "default", "network-server"):
            compare(tap, profile, "node", ["node", work, folder], env={**os.environ, "UV_USE_IO_URING": "1"})


def server(tap):
    compare(tap, "network-server", "a server", [ECHO])


def mariadb_run(folder, name, wrap):
    """What a client sees, the server's status, and whether it used io_uring."""
    place = os.path.join(folder, name)
    shutil.copytree(os.path.join(folder, "empty"), os.path.join(place, "data"))
    user = ["--user=root"] if os.getuid() == 0 else []
    log = os.path.join(place, "error.log")
    process = subprocess.Popen(wrap([foreign.where("mariadbd"), "--no-defaults", *user, f"--datadir={place}/data", f"--socket={place}/s", f"--pid-file={place}/pid",
                                     f"--log-error={log}", "--skip-networking", "--innodb-use-native-aio=1", "--innodb-buffer-pool-size=8M", f"--tmpdir={place}"]),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def read_log():
        try:
            with open(log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    end = time.monotonic() + 120
    while "ready for connections" not in read_log() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)  # it tells nobody when it is ready
    seen = [foreign.bare(["mariadb", "--no-defaults", f"--socket={place}/s", "-N", "-B", "-e", text], timeout=120) for text in
            ("CREATE DATABASE w; USE w; CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(200)) ENGINE=InnoDB; INSERT INTO t SELECT seq, REPEAT('x', 150) FROM seq_1_to_20000; "
             "DELETE FROM t WHERE id % 3 = 0; SELECT COUNT(*), SUM(id) FROM t", "SHUTDOWN")]
    try:
        status = process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        status = "hung"
    return [(o.status, o.out, o.err) for o in seen], status, "Using io_uring" in read_log()


def mariadb(tap):
    if not foreign.where("mariadbd") or not shutil.which("mariadb-install-db"):
        tap.skip("mariadb", "mariadbd is not installed")
        return
    with foreign.folder() as folder:
        foreign.bare(["mariadb-install-db", "--no-defaults", *(["--user=root"] if os.getuid() == 0 else []), f"--datadir={folder}/empty",
                      "--auth-root-authentication-method=normal", "--skip-test-db"])
        alone = mariadb_run(folder, "alone", lambda command: command)
        if not alone[2]:
            tap.skip("mariadb", "this server does not use io_uring")
            return
        for profile in ("database", "paranoid"):
            reason = why_not(profile)
            if reason:
                tap.skip(f"mariadb under {profile}", reason)
                continue
            got = mariadb_run(folder, profile, lambda command, p=profile: under(p, command))
            tap.result(f"mariadb under {profile}, with io_uring", [] if got == alone else [f"alone: {alone}", f"under it: {got}"])


SUBJECTS = [in_force, fio, qemu, plocate, node, server, mariadb]


def main():
    tap = Tap()
    wanted = sys.argv[1:]
    for subject in SUBJECTS:
        if not wanted or subject.__name__ in wanted:
            subject(tap)
    tap.done()


main()
