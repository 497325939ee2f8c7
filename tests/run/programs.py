#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Programs that nobody here wrote, alone and under `circlip run`, with a policy that allows all and with the curated profile made for them
(where there is one): the same outcome, and rings were made.
"""
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import foreign  # noqa: E402
import restricted  # noqa: E402
from tap import Tap  # noqa: E402

AVAILABLE = [m for m, why in restricted.available().items() if why is None]


def policies(profile):
    yield "allow-all", []
    if restricted.dry(profile)[0]:
        yield profile, []


def compare(tap, name, command, profile, same, env=None, cwd=None, falls_back=False):
    """`falls_back`: it wants a polling thread, and does without rings where it gets none."""
    alone = same(foreign.bare(command, env=env, cwd=cwd))
    for policy, options in policies(profile):
        for mechanism in [m for m in AVAILABLE if m != "task"]:
            run = restricted.run(command, policy, ["--mechanism", mechanism, *options], timeout=120, env=env, cwd=cwd)
            under = same(foreign.Outcome(run.status, run.out, run.err))
            problems = [] if alone == under else [f"alone: {str(alone)[-600:]}", f"under: {str(under)[-600:]}", run.err[-800:], str(run.records)[-800:]]
            rings = (run.summary or {}).get("made", 0) + (run.summary or {}).get("altered", 0)
            denied = [f"denied: {r['what']} ({r['remedy']})" for r in run.of("denied") if not (falls_back and r["flags"] == "SQPOLL")]
            problems += ["no ring was made"] * (rings == 0 and not falls_back) + denied + ["it hung"] * run.hung
            tap.result(f"{name}: {policy}, {mechanism}: same outcome, {rings} rings", problems)


def without_time(outcome):
    return outcome.status, re.sub(r"[0-9.]+ seconds", "", outcome.out), outcome.err


# --- fio

FIO = {"reads": ["--rw=randread"], "fixed buffers": ["--rw=randrw", "--fixedbufs=1"],
       "registered files": ["--rw=randread", "--registerfiles=1"], "four jobs": ["--rw=randread", "--numjobs=4"], "verified writes": ["--rw=write", "--verify=crc32c", "--do_verify=1"]}


def figures(outcome):
    jobs = [line.split(";") for line in outcome.out.splitlines() if line.startswith("3;")]
    return outcome.status, [(j[2], j[4], j[5], j[46]) for j in jobs]


def fio(tap):
    if not shutil.which("fio"):
        tap.skip("fio", "fio is not installed")
        return
    with foreign.folder() as folder:
        for name, options in FIO.items():
            command = ["fio", "--name=job", "--ioengine=io_uring", "--bs=4k", "--iodepth=32", "--size=8m", f"--directory={folder}", "--minimal", *options]
            compare(tap, f"fio, {name}", command, "storage-only", figures, cwd=folder)


# --- plocate and qemu-img

def plocate(tap):
    if not foreign.where("plocate") or not foreign.where("updatedb.plocate"):
        tap.skip("plocate", "plocate is not installed")
        return
    with foreign.folder() as folder:
        tree, copy, database = (os.path.join(folder, name) for name in ("tree", "plocate", "db"))
        for i in range(40):
            os.makedirs(os.path.join(tree, f"directory-{i}"))
            for j in range(50):
                open(os.path.join(tree, f"directory-{i}", f"file-{i * j}-{j}.txt"), "w", encoding="ascii").close()
        shutil.copyfile(foreign.where("plocate"), copy)
        os.chmod(copy, 0o755)
        foreign.bare([foreign.where("updatedb.plocate"), "-U", tree, "-o", database, "-l", "no", "--prunepaths", "", "--prunefs", "", "--prunenames", "",
                      "--prune-bind-mounts", "no"])
        compare(tap, "plocate", [copy, "-d", database, "-e", "file-1"], "default", lambda o: (o.status, o.out), cwd=folder)


def qemu_img(tap):
    if not shutil.which("qemu-img"):
        tap.skip("qemu-img", "qemu-img is not installed")
        return
    with foreign.folder() as folder:
        image = os.path.join(folder, "from.raw")
        with open(image, "wb") as f:
            f.write(os.urandom(4 * 1024 * 1024))
        bench = ["qemu-img", "bench", "-i", "io_uring", "-f", "raw", "-c", "2000", "-d", "32", "-s", "4096"]
        compare(tap, "qemu-img bench", [*bench, image], "storage-only", without_time)
        compare(tap, "qemu-img bench, direct", [*bench, "-t", "none", image], "storage-only", without_time)


# --- Node

def node(tap):
    version = foreign.bare(["node", "--version"]).out.strip() if shutil.which("node") else ""
    if int((re.match(r"v(\d+)", version) or [0, 0])[1]) < 20:
        tap.skip("node", f"node {version} is older than 20 and does not use io_uring" if version else "node is not installed")
        return
    with foreign.folder() as folder:
        compare(tap, "node", ["node", os.path.join(HERE, "..", "programs", "node-work.js"), folder], "node", lambda o: (o.status, o.out),
                env={**os.environ, "UV_USE_IO_URING": "1"}, falls_back=True)


# --- MariaDB

WORK = ("CREATE DATABASE work; USE work; CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(200), KEY (name)) ENGINE=InnoDB; "
        "INSERT INTO t SELECT seq, CONCAT(REPEAT('x', 100), seq) FROM seq_1_to_5000; UPDATE t SET name = CONCAT(name, 'y') WHERE id % 3 = 0; FLUSH TABLES;")
READ = "SELECT COUNT(*), SUM(id), SUM(LENGTH(name)) FROM work.t"


def client(folder, statements):
    return foreign.bare(["mariadb", "--no-defaults", f"--socket={folder}/s", "-N", "-B", "-e", statements])


def serve(tap, name, folder, prefix):
    """(what a client sees, whether the server used io_uring)"""
    place = os.path.join(folder, name)
    os.mkdir(place)
    shutil.copytree(os.path.join(folder, "empty"), os.path.join(place, "data"))
    user = ["--user=root"] if os.getuid() == 0 else []
    log = os.path.join(place, "error.log")
    process = subprocess.Popen([*prefix, foreign.where("mariadbd"), "--no-defaults", *user, f"--datadir={place}/data", f"--socket={place}/s", f"--pid-file={place}/pid",
                                f"--log-error={log}", "--skip-networking", "--innodb-use-native-aio=1", "--innodb-buffer-pool-size=8M",
                                "--innodb-flush-method=O_DIRECT", f"--tmpdir={place}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    end, text = time.monotonic() + 120, ""
    while time.monotonic() < end and process.poll() is None and "ready for connections" not in text:
        time.sleep(0.05)
        if os.path.exists(log):
            with open(log, encoding="utf-8", errors="replace") as f:
                text = f.read()
    done = [client(place, WORK), client(place, READ), client(place, "SHUTDOWN")]
    try:
        _, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        err = "it hung"
    return [(o.status, o.out) for o in done], process.returncode, text, err


def mariadb(tap):
    if not all(foreign.where(p) for p in ("mariadbd", "mariadb", "mariadb-install-db")):
        tap.skip("mariadb", "MariaDB is not installed")
        return
    with foreign.folder() as folder:
        foreign.bare(["mariadb-install-db", "--no-defaults", *(["--user=root"] if os.getuid() == 0 else []), f"--datadir={folder}/empty",
                      "--auth-root-authentication-method=normal", "--skip-test-db"])
        alone = serve(tap, "alone", folder, [])
        if "io_uring" not in alone[2]:
            tap.skip("mariadb", "this server does not use io_uring")
            return
        for policy, options in policies("database"):
            for mechanism in [m for m in AVAILABLE if m != "task"]:
                under = serve(tap, f"{policy}-{mechanism}", folder, [restricted.circlip.binary(), "run", "--policy", policy, "--mechanism", mechanism, *options, "--"])
                problems = [] if alone[:2] == under[:2] else [f"alone: {alone[:2]}", f"under: {under[:2]}", under[2][-1500:], under[3][-1500:]]
                problems += ["it did not use io_uring"] * ("io_uring" not in under[2]) + [under[3][-800:]] * ("denied" in under[3])
                tap.result(f"mariadb: {policy}, {mechanism}: a client sees the same", problems)


def main():
    tap = Tap()
    if not AVAILABLE:
        tap.skip("programs", restricted.available()["strip"])
        tap.done()
    for program in (fio, plocate, qemu_img, node, mariadb):
        if not sys.argv[1:] or program.__name__ in sys.argv[1:]:
            program(tap)
    tap.done()


main()
