#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Programs that nobody here wrote, alone and under `circlip run`: the same outcome, rings were made, and nothing was denied. Each runs under a
policy that allows all and under the curated profile that was made for it, with every mechanism that there is; and under other profiles that
must do for it, with the strongest. That a policy is in force at all is shown by a program that it must stop.
One function per program; `profiles.py NAME` runs one.
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

BUILD = os.environ.get("CIRCLIP_BUILD", "build")
ECHO, BUSY = (os.path.join(BUILD, "tests/policy", name) for name in ("policy-echo", "policy-busy"))
ACCEPT = ["--allow-unenforced", "socketFamilies"]  # only Linux 7.0 looks at them
MECHANISMS = [m for m, why in restricted.available().items() if why is None]


def ways(tap, name, thorough, strongest):
    """(profile, options of circlip run, words for people) of each run that there is to be."""
    for profile in (*thorough, *strongest):
        possible, text = restricted.dry(profile, *ACCEPT)
        if not possible:
            tap.skip(f"{name} under {profile}", "circlip run cannot enforce it here: " + text.strip()[-300:])
        elif profile in strongest:
            yield profile, ACCEPT, f"{name} under {profile}"
        else:
            for mechanism in MECHANISMS:
                if restricted.dry(profile, *ACCEPT, "--mechanism", mechanism, by=restricted.binary(mechanism))[0]:
                    yield profile, [*ACCEPT, "--mechanism", mechanism], f"{name} under {profile}, {mechanism}"


def by_output(outcome):
    return outcome.status, outcome.out


def compare(tap, name, command, thorough=(), strongest=(), same=by_output, env=None, falls_back=False):
    """`same(outcome)` must not differ. `falls_back`: it wants a polling thread, and does without rings where it gets none."""
    alone = None
    for profile, options, words in ways(tap, name, thorough, strongest):
        alone = alone or same(foreign.bare(command, 120, env))
        run = restricted.run(command, profile, options, timeout=120, env=env)
        under = same(foreign.Outcome(run.status, run.out, run.err))
        problems = [] if alone == under else [f"alone: {str(alone)[-600:]}", f"under it: {str(under)[-600:]}", run.err[-800:], str(run.records)[-800:]]
        problems += [f"denied: {r['what']} ({r['remedy']})" for r in run.of("denied") if not (falls_back and r["flags"] == "SQPOLL")]
        problems += ["it hung"] * run.hung
        summary = run.summary or {"counted": True}
        if summary["counted"] and not falls_back:
            problems += ["no ring was made"] * (summary.get("made", 0) + summary.get("altered", 0) == 0)
        tap.result(words, problems)


def in_force(tap):
    """What a program is denied, it is denied: busy does things that each of these lacks."""
    for profile, says in (("default", "fixed 1: -13"), ("storage-only", "unix 1: -13"), ("database", "unix 1: -13"), ("node", "ring: -1"),
                          ("paranoid", "ring: -38"), ("network-server", "unlink 1: -13")):
        for _, options, _ in ways(tap, "busy", (), (profile,)):
            run = restricted.run([BUSY, "more", "unlink"], profile, options)
            tap.result(f"{profile} is in force", [] if says in run.out else [f"it lacks {says!r}: {run.out}", run.err[-600:]])


# --- fio: each way of asking, the profiles with which every mechanism is tried, and those with which the strongest is

STORAGE = ("allow-all", "storage-only")
FIO = (
    ("--rw=randread", STORAGE, ("default",)),
    ("--rw=randrw --fixedbufs=1", STORAGE, ()),
    ("--rw=randread --registerfiles=1", STORAGE, ()),
    ("--rw=randread --numjobs=4", STORAGE, ()),
    ("--rw=write --verify=crc32c --do_verify=1", STORAGE, ()),
    ("--rw=randrw --fsync=8", (), ("storage-only",)),
    ("--rw=randread --fixedbufs=1 --registerfiles=1", (), ("storage-only",)),
    ("--rw=write --sync_file_range=write:8", (), ("storage-only",)),
    ("--rw=read --nonvectored=0 --iodepth_batch=8", (), ("storage-only",)),
    ("--rw=randread --numjobs=4 --thread", (), ("storage-only",)),
    ("--rw=randread --direct=1", (), ("storage-only",)),
    ("--rw=randwrite --fixedbufs=1", (), ("default",)),
    ("--rw=randread --fixedbufs=1", (), ("database",)),
    ("--rw=write --fsync=16", (), ("database",)),
)


def figures(outcome):
    """Of fio's terse output what is no time: the job, its error, bytes read and written."""
    jobs = [line.split(";") for line in outcome.out.splitlines() if line.startswith("3;")]
    return outcome.status, [(j[2], j[4], j[5], j[46]) for j in jobs]


def fio(tap):
    if not shutil.which("fio"):
        tap.skip("fio", "fio is not installed")
        return
    with foreign.folder() as folder:
        for kind, thorough, strongest in FIO:
            compare(tap, f"fio {kind}", ["fio", "--name=job", "--ioengine=io_uring", "--bs=4k", "--iodepth=32", "--size=4m", "--randseed=1",
                                         f"--directory={folder}", f"--aux-path={folder}", "--minimal", *kind.split()], thorough, strongest, figures)


# --- qemu-img and plocate

def without_time(outcome):
    return outcome.status, re.sub(r"[0-9.]+ seconds", "", outcome.out), outcome.err


def qemu(tap):
    if not shutil.which("qemu-img"):
        tap.skip("qemu-img", "qemu-img is not installed")
        return
    with foreign.folder() as folder:
        image = os.path.join(folder, "from.raw")
        with open(image, "wb") as f:
            f.write(os.urandom(8 << 20))
        bench = ["qemu-img", "bench", "-i", "io_uring", "-f", "raw", "-c", "2000", "-d", "32", "-s", "4096"]
        for options, thorough, strongest in (("", STORAGE, ("paranoid", "default", "database")), ("-t none", STORAGE, ()),
                                             ("-w --flush-interval 100", (), ("storage-only", "paranoid", "default", "database"))):
            compare(tap, "qemu-img bench " + (options or "reading"), [*bench, *options.split(), image], thorough, strongest, without_time)


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
        shutil.copyfile(foreign.where("plocate"), copy)  # without its set-gid bit
        os.chmod(copy, 0o755)
        foreign.bare([foreign.where("updatedb.plocate"), "-U", tree, "-o", database, "-l", "no", "--prunepaths", "", "--prunefs", "",
                      "--prunenames", "", "--prune-bind-mounts", "no"])
        compare(tap, "plocate -e file-1", [copy, "-d", database, "-e", "file-1"], ("allow-all", "default"))
        compare(tap, "plocate file-7", [copy, "-d", database, "file-7"], (), ("default",))


# --- servers and what they are written with

def node(tap):
    version = foreign.bare(["node", "--version"]).out.strip() if shutil.which("node") else ""
    if int((re.match(r"v(\d+)", version) or [0, 0])[1]) < 20:
        tap.skip("node", f"node {version} is older than 20 and does not use io_uring" if version else "node is not installed")
        return
    with foreign.folder() as folder:
        compare(tap, "node", ["node", os.path.join(HERE, "..", "programs", "node-work.js"), folder], ("allow-all", "node"),
                ("default", "network-server"), env={**os.environ, "UV_USE_IO_URING": "1"}, falls_back=True)


def server(tap):
    compare(tap, "a server", [ECHO], (), ("network-server",))


WORK = ("CREATE DATABASE work; USE work; CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(200), KEY (name)) ENGINE=InnoDB; "
        "INSERT INTO t SELECT seq, CONCAT(REPEAT('x', 150), seq) FROM seq_1_to_20000; UPDATE t SET name = CONCAT(name, 'y') WHERE id % 5 = 0; "
        "DELETE FROM t WHERE id % 3 = 0; FLUSH TABLES;")
READ = "SELECT COUNT(*), SUM(id), SUM(LENGTH(name)) FROM work.t"


def read_file(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def serve(folder, name, prefix):
    """((what a client sees, the server's status), its log, what circlip said)"""
    place = os.path.join(folder, name)
    shutil.copytree(os.path.join(folder, "empty"), os.path.join(place, "data"))
    user = ["--user=root"] if os.getuid() == 0 else []
    log = os.path.join(place, "error.log")
    process = subprocess.Popen([*prefix, foreign.where("mariadbd"), "--no-defaults", *user, f"--datadir={place}/data", f"--socket={place}/s", f"--pid-file={place}/pid",
                                f"--log-error={log}", "--skip-networking", "--innodb-use-native-aio=1", "--innodb-buffer-pool-size=8M",
                                "--innodb-flush-method=O_DIRECT", f"--tmpdir={place}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while "ready for connections" not in read_file(log) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)  # it tells nobody when it is ready
    done = [foreign.bare(["mariadb", "--no-defaults", f"--socket={place}/s", "-N", "-B", "-e", text]) for text in (WORK, READ, "SHUTDOWN")]
    try:
        _, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        err = "it hung"
    return ([(o.status, o.out, o.err) for o in done], process.returncode), read_file(log), err


def mariadb(tap):
    if not all(foreign.where(p) for p in ("mariadbd", "mariadb", "mariadb-install-db")):
        tap.skip("mariadb", "MariaDB is not installed")
        return
    with foreign.folder() as folder:
        foreign.bare(["mariadb-install-db", "--no-defaults", *(["--user=root"] if os.getuid() == 0 else []), f"--datadir={folder}/empty",
                      "--auth-root-authentication-method=normal", "--skip-test-db"])
        alone, log, _ = serve(folder, "alone", [])
        if "Using io_uring" not in log:
            tap.skip("mariadb", "this server does not use io_uring")
            return
        for profile, options, words in ways(tap, "mariadb", ("allow-all", "database"), ("paranoid",)):
            under, log, err = serve(folder, re.sub(r"\W", "-", words), [restricted.binary(restricted.mechanism_of(options)), "run", "--policy", profile, *options,
                                                                                 "--"])
            problems = [] if alone == under else [f"alone: {alone}", f"under it: {under}", log[-1500:], err[-1500:]]
            tap.result(words, problems + ["it did not use io_uring"] * ("Using io_uring" not in log) + [err[-800:]] * ("denied" in err))


SUBJECTS = [in_force, fio, qemu, plocate, node, server, mariadb]


def main():
    tap = Tap()
    wanted = sys.argv[1:]
    if not MECHANISMS:
        tap.skip("programs under policies", restricted.available()["strip"])
        tap.done()
    for subject in SUBJECTS:
        if not wanted or subject.__name__ in wanted:
            subject(tap)
    tap.done()


main()
