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

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import foreign  # noqa: E402
import mariadb as mariadb_server  # noqa: E402
import restricted  # noqa: E402
import workloads  # noqa: E402
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
        run = restricted.run(command, profile, options, timeout=300, env=env)
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


def fio(tap):
    if not shutil.which("fio"):
        tap.skip("fio", "fio is not installed")
        return
    with foreign.folder() as folder:
        for kind, thorough, strongest in FIO:
            compare(tap, f"fio {kind}", workloads.fio(folder, *kind.split()), thorough, strongest, workloads.fio_figures)


# --- qemu-img and plocate

def qemu(tap):
    if not shutil.which("qemu-img"):
        tap.skip("qemu-img", "qemu-img is not installed")
        return
    with foreign.folder() as folder:
        image = os.path.join(folder, "from.raw")
        with open(image, "wb") as f:
            f.write(os.urandom(8 << 20))
        for options, thorough, strongest in (("", STORAGE, ("paranoid", "default", "database")), ("-t none", STORAGE, ()),
                                             ("-w --flush-interval 100", (), ("storage-only", "paranoid", "default", "database"))):
            compare(tap, "qemu-img bench " + (options or "reading"), workloads.qemu_bench(image, 2000, *options.split()), thorough, strongest,
                    workloads.without_seconds)


def plocate(tap):
    if not foreign.where("plocate") or not foreign.where("updatedb.plocate"):
        tap.skip("plocate", "plocate is not installed")
        return
    with foreign.folder() as folder:
        locate, _ = workloads.plocate(folder)
        compare(tap, "plocate -e file-1", [*locate, "-e", "file-1"], ("allow-all", "default"))
        compare(tap, "plocate file-7", [*locate, "file-7"], (), ("default",))


# --- servers and what they are written with

def node(tap):
    why_not = workloads.why_no_node()
    if why_not:
        tap.skip("node", why_not)
        return
    with foreign.folder() as folder:
        compare(tap, "node", workloads.node(folder), ("allow-all", "node"), ("default", "network-server"), env=workloads.NODE_ENVIRONMENT, falls_back=True)


def server(tap):
    compare(tap, "a server", [ECHO], (), ("network-server",))


def serve(folder, name, prefix):
    """((what a client sees, the server's status), its log, what circlip said)"""
    place = mariadb_server.copy_data(folder, name)
    process = subprocess.Popen([*prefix, *mariadb_server.server(place)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seen = mariadb_server.use(place, process)
    try:
        _, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        err = "it hung"
    return (seen, process.returncode), mariadb_server.log(place), err


def mariadb(tap):
    if not all(map(foreign.where, mariadb_server.PROGRAMS)):
        tap.skip("mariadb", "MariaDB is not installed")
        return
    with foreign.folder() as folder:
        mariadb_server.make_data(folder)
        alone, log, _ = serve(folder, "alone", [])
        if "Using io_uring" not in log:
            tap.skip("mariadb", "this server does not use io_uring")
            return
        for profile, options, words in ways(tap, "mariadb", ("allow-all", "database"), ("paranoid",)):
            program = restricted.binary(restricted.mechanism_of(options))
            under, log, err = serve(folder, re.sub(r"\W", "-", words), [program, "run", "--policy", profile, *options, "--"])
            problems = [] if alone == under else [f"alone: {alone}", f"under it: {under}", log[-1500:], err[-1500:]]
            tap.result(words, problems + ["it did not use io_uring"] * ("Using io_uring" not in log) + [err[-800:]] * ("denied" in err))


SUBJECTS = [in_force, fio, qemu, plocate, node, server, mariadb]


def main():
    tap = Tap()
    if not MECHANISMS:
        tap.skip("programs under policies", restricted.available()["strip"])
        tap.done()
    tap.each(SUBJECTS)


main()
